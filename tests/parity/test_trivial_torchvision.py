"""test_trivial_torchvision.py AUGMENT_TOOL: TrivialAugmentWide's operations have the
pixels, and its draws the distribution, that torchvision's have."""
import subprocess
import sys
import unittest

try:
    import numpy as np
    from PIL import Image
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode, autoaugment
except ImportError as missing:
    print(f"{missing}: skipped")
    sys.exit(77)

TOOL = sys.argv.pop(1)
BINS = 31
SPACE = transforms.TrivialAugmentWide()._augmentation_space(BINS)
NAMES = list(SPACE)


def run(*arguments, data=b""):
    return subprocess.run([TOOL, *map(str, arguments)], input=data, check=True,
                          capture_output=True).stdout


def theirs(image, name, magnitude):
    made = autoaugment._apply_op(image, name, magnitude, InterpolationMode.NEAREST, None)
    return np.asarray(made)


def picture(height, width, channels, seed):
    """Broad and fine structure, of which some channels do not have all values."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3)).astype("u1")
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))
    image = image.astype("f4") * (0.9, 0.5, 0.7) + (0, 60, 20)
    image += draw.normal(0, 12, image.shape)
    image = np.clip(image, 0, 255).astype("u1")
    image[:4, :, 2] = 255
    return Image.fromarray(image[:, :, 0] if channels == 1 else image)


IMAGES = [picture(224, 224, 3, 1), picture(160, 192, 3, 2), picture(33, 28, 1, 3),
          picture(28, 28, 1, 4), picture(97, 64, 3, 5), picture(2, 9, 3, 6),
          picture(9, 1, 1, 7)]
FLAT = [Image.new("RGB", (20, 14), (7, 7, 200)), Image.new("L", (15, 15), 255)]


class Operations(unittest.TestCase):
    def compare(self, image, op, which, negative):
        """The largest difference, and the share of values that differ by more than 1."""
        name = NAMES[op]
        magnitudes, signed = SPACE[name]
        magnitude = float(magnitudes[which]) if magnitudes.ndim else 0.0
        # Some builds of PyTorch step to 15.999999 in place of 16, and cut that to 15.
        whole = round(magnitude)
        magnitude = float(whole) if abs(magnitude - whole) < 1e-4 else magnitude
        wanted = theirs(image, name, -magnitude if signed and negative else magnitude)
        planes = np.asarray(image).reshape(image.height, image.width, -1)
        found = run("trivial", planes.shape[2], image.height, image.width, op, which,
                    int(negative), data=planes.transpose(2, 0, 1).tobytes())
        found = np.frombuffer(found, "u1").reshape(planes.shape[2], *planes.shape[:2])
        off = np.abs(found.transpose(1, 2, 0).astype(int) -
                     wanted.reshape(planes.shape).astype(int))
        return off.max(), np.mean(off > 1)

    def check(self, op):
        worst = share = 0
        for which in range(BINS):
            for image in IMAGES[:1] if which % 5 else IMAGES + FLAT:
                for negative in (which % 2 == 0,) if which % 5 else (False, True):
                    top, over = self.compare(image, op, which, negative)
                    with self.subTest(bin=which, size=image.size, negative=negative):
                        self.assertLess(over, 0.001)
                    worst, share = max(worst, top), max(share, over)
                    if not SPACE[NAMES[op]][1]:
                        break
        print(f"{NAMES[op]}: off by {worst} at most, by more than 1 in {share:.4%}")

    def test_there_are_fourteen(self):
        self.assertEqual(len(NAMES), 14)

    def test_a_difference_is_noticed(self):
        image = IMAGES[0]
        for op, which, magnitude in (("ShearX", 9, 0.30), ("Rotate", 10, 45.5),
                                     ("Color", 20, 0.63), ("Sharpness", 28, 0.80)):
            top, over = self.compare(image, NAMES.index(op), which, False)
            self.assertLess(over, 0.001, op)
            found = theirs(image, op, magnitude).astype(int)
            wanted = theirs(image, op, float(SPACE[op][0][which])).astype(int)
            self.assertGreater(np.mean(np.abs(found - wanted) > 1), 0.001, op)


for number, title in enumerate(NAMES):
    setattr(Operations, f"test_{title}", lambda self, op=number: self.check(op))


class Draws(unittest.TestCase):
    def test_operations_strengths_and_signs_are_uniform(self):
        n = 40000
        drawn = np.frombuffer(run("trivials", n), "<i4").reshape(n, 3)
        for column, kinds in enumerate((14, BINS, 2)):
            counts = np.bincount(drawn[:, column], minlength=kinds)
            self.assertEqual(len(counts), kinds)
            chi_square = ((counts - n / kinds) ** 2 / (n / kinds)).sum()
            self.assertLess(chi_square, kinds - 1 + 4 * np.sqrt(2 * (kinds - 1)))
        together = np.corrcoef(drawn.T)
        self.assertLess(np.abs(together - np.eye(3)).max(), 4 / np.sqrt(n))


if __name__ == "__main__":
    unittest.main()

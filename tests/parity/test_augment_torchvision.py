"""test_augment_torchvision.py AUGMENT_TOOL: random augmentation has torchvision's
distributions, and colour adjustments have its values.

Distributions are compared by Kolmogorov and Smirnov's two-sample test; samples of both
sides are always the same ones, so a test that passes always does."""
import subprocess
import sys
import unittest

try:
    import numpy as np
    import torch
    from torchvision import transforms
    from torchvision.transforms import functional
except ImportError as missing:
    print(f"{missing}: skipped")
    sys.exit(77)

TOOL = sys.argv.pop(1)
N = 6000
KINDS = ("brightness", "contrast", "saturation", "hue")


def run(*arguments, data=b"", kind="<i4", shape=()):
    out = subprocess.run([TOOL, *map(str, arguments)], input=data, check=True,
                         capture_output=True).stdout
    return np.frombuffer(out, kind).reshape(shape)


def distance(a, b):
    """The largest difference of two samples' distribution functions."""
    places = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(x), places, side="right") / len(x) for x in (a, b)]
    return np.abs(below[0] - below[1]).max()


class Distributions(unittest.TestCase):
    def assert_alike(self, ours, theirs, what):
        """Samples of one distribution are further apart once in ten thousand times."""
        limit = 2.23 * np.sqrt((len(ours) + len(theirs)) / (len(ours) * len(theirs)))
        self.assertLess(distance(ours, theirs), limit, what)

    def assert_boxes_alike(self, ours, theirs, height, width):
        def features(boxes):
            top, left, h, w = boxes.astype("f8").T
            yield "area", h * w
            yield "ratio", w / h
            yield "row", (top + 0.5) / (height - h + 1)
            yield "column", (left + 0.5) / (width - w + 1)
            yield "bottom", top + h
            yield "right", left + w
        for (name, a), (_, b) in zip(features(ours), features(theirs)):
            self.assert_alike(a, b, f"{name} of {height} x {width}")

    def test_a_distribution_that_differs_a_little_is_noticed(self):
        draw = np.random.default_rng(1)
        with self.assertRaises(AssertionError):
            self.assert_alike(draw.uniform(0.08, 1, N), draw.uniform(0.14, 1, N), "")

    def test_resized_crops(self):
        for height, width in ((375, 500), (500, 375), (300, 300), (200, 700), (64, 2000)):
            torch.manual_seed(height)
            image = torch.empty(3, height, width)
            theirs = np.array([transforms.RandomResizedCrop.get_params(
                image, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(N)])
            ours = run("crop", N, height, width, shape=(N, 4))
            self.assert_boxes_alike(ours, theirs, height, width)

    def test_erased_boxes(self):
        for height, width in ((224, 224), (32, 32), (64, 200)):
            torch.manual_seed(width)
            image = torch.empty(3, height, width)
            theirs = [transforms.RandomErasing.get_params(
                image, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(N)]
            # What could not be placed comes back as the whole image.
            theirs = np.array([box for box in theirs if box[2:] != (height, width)])
            ours = run("erase", N, 1, height, width, shape=(N, 4))
            ours = ours[ours[:, 2] > 0]
            self.assertLess(abs(len(ours) - len(theirs)), 5 * np.sqrt(N) / 2)
            self.assert_boxes_alike(ours, theirs, height, width)

    def test_erasing_has_its_probability(self):
        for p in (0, 0.25, 0.5, 1):
            erased = np.count_nonzero(run("erase", N, p, 224, 224, shape=(N, 4))[:, 2])
            self.assertLessEqual(abs(erased - p * N), 5 * np.sqrt(p * (1 - p) * N) + 1, p)

    def test_jitter_factors_and_order(self):
        torch.manual_seed(5)
        strengths = {"brightness": 0.4, "contrast": 1.5, "saturation": 0.2, "hue": 0.1}
        jitter = transforms.ColorJitter(**strengths)
        theirs = [jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation,
                                    jitter.hue) for _ in range(N)]
        ours = run("jitter", N, *strengths.values(), kind="<f4", shape=(N, 4, 2))
        orders = np.zeros((2, 4 ** 4))
        for sample, (order, *_) in zip(ours, theirs):
            for side, kinds in enumerate((sample[:, 0].astype(int), order.numpy())):
                orders[side, int(np.ravel_multi_index(kinds, [4] * 4))] += 1
        self.assertEqual(np.count_nonzero(orders[0]), 24)
        used = orders[:, orders[1] > 0]
        chi_square = ((used[0] - used[1]) ** 2 / (used[0] + used[1])).sum()
        self.assertLess(chi_square, 23 + 4 * np.sqrt(46))
        for kind, name in enumerate(KINDS):
            factors = ours[ours[:, :, 0] == kind][:, 1]
            self.assertEqual(len(factors), N)
            self.assert_alike(factors, np.array([p[kind + 1] for p in theirs]), name)

    def test_adjustments_that_are_off_are_not_drawn(self):
        ours = run("jitter", 100, 0, 0.3, 0, 0, kind="<f4", shape=(100, 4, 2))
        self.assertTrue((ours[:, 0, 0] == 1).all() and (ours[:, 1:, 0] == -1).all())


class Values(unittest.TestCase):
    def assert_adjusted(self, image, *steps):
        channels, height, width = image.shape
        expected = torch.from_numpy(image)
        for kind, factor in steps:
            expected = getattr(functional, f"adjust_{KINDS[kind]}")(expected, factor)
        words = [word for step in steps for word in step]
        found = run("adjust", channels, height * width, *words, data=image.tobytes(),
                    kind="<f4", shape=image.shape)
        worst = np.abs(found - expected.numpy()).max()
        self.assertLess(worst, 3e-6, steps)

    def setUp(self):
        draw = np.random.default_rng(3)
        self.colour = (draw.integers(0, 256, (3, 40, 50)) / 255).astype("f4")
        # Hue has cases of its own where channels are equal, or at an end.
        self.colour[:, 0] = self.colour[0, 0]
        self.colour[0, 1] = self.colour[1, 1]
        self.colour[1, 2] = self.colour[2, 2]
        self.colour[:, 3, :25] = 0
        self.colour[:, 3, 25:] = 1

    def test_each_adjustment(self):
        for kind in range(3):
            for factor in (0, 0.3, 1, 1.7, 4):
                self.assert_adjusted(self.colour, (kind, factor))
        for factor in (-0.5, -0.2, -0.01, 0, 0.1, 0.34, 0.5):
            self.assert_adjusted(self.colour, (3, factor))

    def test_adjustments_in_every_order(self):
        factors = (1.3, 0.6, 1.4, 0.15)
        for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)):
            self.assert_adjusted(self.colour, *((kind, factors[kind]) for kind in order))

    def test_one_channel(self):
        grey = self.colour[:1].copy()
        self.assert_adjusted(grey, (0, 1.4), (1, 0.5))
        found = run("adjust", 1, 2000, 2, 0.1, 3, 0.3, data=grey.tobytes(), kind="<f4",
                    shape=grey.shape)
        np.testing.assert_array_equal(found, grey)


if __name__ == "__main__":
    unittest.main()

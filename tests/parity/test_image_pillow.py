"""test_image_pillow.py IMAGE_TOOL: decoding, resizing and cropping give Pillow's pixels."""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
    from PIL import Image
except ImportError as missing:
    print("SKIPPED:", missing)
    sys.exit(77)

TOOL = sys.argv.pop(1)


def photo(width, height, channels, seed=0):
    """Smooth structure with some noise on it, so that no filter step is without effect."""
    draw = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [127 + 80 * numpy.sin(x / (7 + c) + y / (11 - c)) for c in range(channels)]
    pixels = numpy.stack(planes, -1) + draw.normal(0, 20, (height, width, channels))
    return numpy.clip(pixels, 0, 255).astype(numpy.uint8)


def run(path, channels, *box):
    """What image_tool makes of the file, as an array [height, width, channels]."""
    done = subprocess.run([TOOL, path, str(channels), *map(str, box)],
                          capture_output=True, check=True)
    header, pixels = done.stdout.split(b"\n", 1)
    _, width, height, _ = header.split()
    shape = int(height), int(width), channels
    return numpy.frombuffer(pixels, numpy.uint8).reshape(shape).astype(int)


def by_pillow(path, channels, box=None, size=None):
    image = Image.open(path).convert("RGB" if channels == 3 else "L")
    if box:
        x, y, width, height = box
        image = image.resize(size, Image.BILINEAR, (x, y, x + width, y + height))
    return numpy.asarray(image).reshape(image.height, image.width, channels).astype(int)


class Pixels(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def assert_close(self, ours, theirs, most):
        self.assertEqual(ours.shape, theirs.shape)
        self.assertLessEqual(numpy.abs(ours - theirs).max(), most)

    def check_decode(self, name, most=0):
        for channels in (1, 3):
            with self.subTest(file=name, channels=channels):
                self.assert_close(run(self.path(name), channels),
                                  by_pillow(self.path(name), channels), most)

    def test_jpeg(self):
        colour = Image.fromarray(photo(131, 97, 3))
        kinds = {"420.jpg": {"subsampling": 2}, "422.jpg": {"subsampling": 1},
                 "444.jpg": {"subsampling": 0}, "progressive.jpg": {"progressive": True},
                 "q10.jpg": {"quality": 10}}
        for name, options in kinds.items():
            colour.save(self.path(name), **options)
            self.check_decode(name)
        Image.fromarray(photo(131, 97, 1)[:, :, 0]).save(self.path("grey.jpg"))
        self.check_decode("grey.jpg")
        Image.fromarray(photo(131, 97, 4), "CMYK").save(self.path("cmyk.jpg"))
        self.check_decode("cmyk.jpg")

    def test_png(self):
        for mode, channels in (("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
            pixels = photo(61, 43, channels)
            Image.fromarray(pixels.squeeze(), mode).save(self.path(mode + ".png"))
            self.check_decode(mode + ".png")
        colour = Image.fromarray(photo(61, 43, 3))
        palette = colour.quantize(50)
        palette.save(self.path("palette.png"))
        self.check_decode("palette.png", most=1)  # luma of a palette rounds otherwise
        palette.save(self.path("transparent.png"), transparency=3)
        self.check_decode("transparent.png", most=1)
        colour.convert("1").save(self.path("bits.png"))
        self.check_decode("bits.png")

    def test_resize(self):
        cases = [((0, 0, 131, 97), (64, 64)), ((0, 0, 131, 97), (256, 224)),
                 ((10, 20, 50, 60), (224, 224)), ((0, 0, 131, 97), (3, 2)),
                 ((5.25, 7.5, 100.125, 80.0625), (37, 41)), ((0, 0, 131, 97), (131, 50)),
                 ((130, 96, 1, 1), (8, 8)), ((3, 5, 96, 90), (96, 90))]
        Image.fromarray(photo(131, 97, 3)).save(self.path("photo.png"))
        for channels in (1, 3):
            for box, size in cases:
                with self.subTest(channels=channels, box=box, size=size):
                    self.assert_close(
                        run(self.path("photo.png"), channels, *box, *size),
                        by_pillow(self.path("photo.png"), channels, box, size), 1)

    def test_crop(self):
        """As torchvision's RandomResizedCrop: Pillow's crop, then its resize."""
        Image.fromarray(photo(331, 257, 3)).save(self.path("photo.jpg"), quality=95)
        Image.fromarray(photo(331, 257, 4), "CMYK").save(self.path("cmyk.jpg"))
        Image.fromarray(photo(331, 257, 3)).save(self.path("photo.png"))
        cases = [((0, 0, 331, 257), (64, 64)), ((50, 31, 100, 90), (224, 224)),
                 ((7, 101, 300, 150), (224, 160)), ((300, 200, 31, 57), (32, 50)),
                 ((33, 1, 290, 250), (33, 29))]
        for name in ("photo.jpg", "cmyk.jpg", "photo.png"):
            for box, size in cases:
                x, y, width, height = box
                image = Image.open(self.path(name)).convert("RGB")
                theirs = image.crop((x, y, x + width, y + height))
                theirs = numpy.asarray(theirs.resize(size, Image.BILINEAR)).astype(int)
                with self.subTest(file=name, box=box, size=size):
                    self.assert_close(
                        run(self.path(name), 3, *box, *size, "exact"), theirs, 1)
                    scaled = run(self.path(name), 3, *box, *size, "scaled")
                    self.assertLess(numpy.abs(scaled - theirs).mean(), 4.0)


if __name__ == "__main__":
    unittest.main()

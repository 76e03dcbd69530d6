"""test_preprocess.py PREPARE_TOOL: what evaluation and prediction make of image files is
what torchvision's Resize, CenterCrop, ToTensor and Normalize make of them.

Files of odd sizes and kinds are prepared by both. Without normalisation the samples are
whole levels of 255: at least 99 % of them must lie within 2 levels of torchvision's, none
further than 4. What was seen is printed.
"""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
    from PIL import Image
    from torchvision import transforms
except ImportError as missing:
    print("SKIPPED:", missing)
    sys.exit(77)

TOOL = sys.argv.pop(1)
SIZES = [(333, 500), (501, 375), (224, 224), (256, 256), (100, 80), (257, 1023), (1023, 257),
         (300, 1), (1, 300), (2, 600), (700, 2), (37, 41), (480, 640), (1200, 799), (2, 2)]
# Resize, CenterCrop.
GEOMETRIES = [(256, (224, 224)), (232, (224, 224)), (224, (224, 224)), (37, (32, 32)),
              (342, (299, 299)), (64, (48, 61)), (28, (28, 28)), (28, (32, 32)),
              (20, (33, 24))]
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PLAIN = [0.0] * 3, [1.0] * 3


def photo(height, width, channels, seed=0):
    """Smooth structure, an edge and some noise, so that no filter step is without effect."""
    draw = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [127 + 80 * numpy.sin(x / (7 + c) + y / (11 - c)) + 40 * (x > y)
              for c in range(channels)]
    pixels = numpy.stack(planes, -1) + draw.normal(0, 20, (height, width, channels))
    return numpy.clip(pixels, 0, 255).astype(numpy.uint8)


def by_convoy(path, channels, resize, crop, mean, std):
    numbers = [repr(v) for pair in zip(mean[:channels], std[:channels]) for v in pair]
    done = subprocess.run([TOOL, path, *map(str, crop), str(resize), *numbers],
                          capture_output=True, check=True)
    return numpy.frombuffer(done.stdout, numpy.float32).reshape(channels, *crop)


def by_torchvision(path, channels, resize, crop, mean, std):
    chain = transforms.Compose([
        transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor(),
        transforms.Normalize(mean[:channels], std[:channels])])
    with Image.open(path) as image:
        return chain(image.convert("RGB" if channels == 3 else "L")).numpy()


class Preprocessing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seen = numpy.zeros(0, numpy.uint8)

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.seen.size} values: largest difference {cls.seen.max()} levels, equal "
              f"{100 * (cls.seen == 0).mean():.4f} %, within 2 levels "
              f"{100 * (cls.seen <= 2).mean():.4f} %")

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def save(self, name, pixels, mode=None, **options):
        path = os.path.join(self.folder, name)
        Image.fromarray(pixels, mode).save(path, **options)
        return path

    def compare(self, path, channels=3, resize=256, crop=(224, 224)):
        with self.subTest(file=os.path.basename(path), resize=resize, crop=crop,
                          channels=channels):
            ours = by_convoy(path, channels, resize, crop, *PLAIN)
            theirs = by_torchvision(path, channels, resize, crop, *PLAIN)
            levels = numpy.abs(numpy.rint(255 * ours) - numpy.rint(255 * theirs))
            type(self).seen = numpy.append(self.seen, levels.astype(numpy.uint8))
            self.assertGreaterEqual((levels <= 2).mean(), 0.99)
            self.assertLessEqual(levels.max(), 4)
            ours = by_convoy(path, channels, resize, crop, *IMAGENET)
            theirs = by_torchvision(path, channels, resize, crop, *IMAGENET)
            level = 1 / 255 / numpy.array(IMAGENET[1][:channels]).reshape(-1, 1, 1)
            self.assertLessEqual((numpy.abs(ours - theirs) / level - levels).max(), 1e-3)

    def test_photographs_of_odd_sizes(self):
        for seed, (height, width) in enumerate(SIZES):
            pixels = photo(height, width, 3, seed)
            self.compare(self.save(f"{height}x{width}.jpg", pixels, quality=90))
            self.compare(self.save(f"{height}x{width}.png", pixels))

    def test_other_sizes_of_resize_and_crop(self):
        for height, width in [(333, 500), (28, 28), (61, 40), (23, 90)]:
            path = self.save(f"{height}x{width}.png", photo(height, width, 3))
            for resize, crop in GEOMETRIES:
                self.compare(path, resize=resize, crop=crop)

    def test_kinds_of_jpeg(self):
        for name, options in (("420", {"subsampling": 2}), ("422", {"subsampling": 1}),
                              ("444", {"subsampling": 0}), ("coarse", {"quality": 20}),
                              ("progressive", {"progressive": True})):
            self.compare(self.save(f"{name}.jpg", photo(333, 501, 3), **options))
        self.compare(self.save("cmyk.jpg", photo(301, 420, 4), "CMYK"))
        self.compare(self.save("grey.jpg", photo(333, 500, 1)[:, :, 0]))

    def test_kinds_of_png(self):
        for mode, channels in (("L", 1), ("LA", 2), ("RGBA", 4)):
            self.compare(self.save(f"{mode}.png", photo(211, 340, channels).squeeze(), mode))
        path = os.path.join(self.folder, "palette.png")
        Image.fromarray(photo(211, 340, 3)).quantize(50).save(path)
        self.compare(path)

    def test_one_channel(self):
        grey = self.save("grey.png", photo(28, 28, 1)[:, :, 0])
        for resize, crop in ((28, (28, 28)), (28, (32, 32)), (32, (28, 28))):
            self.compare(grey, channels=1, resize=resize, crop=crop)
        self.compare(self.save("colour.jpg", photo(133, 200, 3)), channels=1)
        self.compare(self.save("grey.jpg", photo(133, 200, 1)[:, :, 0]), channels=1)

    def test_an_image_of_the_size_wanted_is_left_as_it_is(self):
        pixels = photo(28, 28, 1)[:, :, 0]
        path = self.save("grey.png", pixels)
        found = by_convoy(path, 1, 28, (28, 28), *PLAIN)
        self.assertTrue((found[0] == pixels.astype(numpy.float32) / 255).all())


if __name__ == "__main__":
    unittest.main()

"""Every image of a pack is proven: what is none, or has no class, is left out and named; all
others can be decoded, with the colours that Pillow finds in them."""
import io
import json
import os
import random
import struct
import sys
import unittest
import zlib

try:
    import h5py
    import pack_sources as sources
    from PIL import Image
except ImportError as missing:
    print("SKIPPED:", missing)
    sys.exit(77)

from convoy_case import Case

EXIF_TURNED = b"Exif\0\0MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0\0"  # orientation 6
EXIF_BROKEN = b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\7" * 40


def with_segment(data, content):
    """The JPEG with an APP1 segment behind its start."""
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


def png(image, **options):
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def png_16(width, height, channels, draw):
    """A PNG of 16 bits a sample, which Pillow cannot write for colour."""
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))
    rows = b"".join(b"\0" + draw.randbytes(2 * width * channels) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def good_images():
    """Name to bytes of what must be kept."""
    draw = random.Random(8)
    colour = sources.picture(draw, 40, 30)
    alpha = colour.copy()
    alpha.putalpha(sources.picture(draw, 40, 30, "L"))
    return {
        "plain.jpg": sources.jpeg(draw, 40, 30),
        "progressive.jpg": sources.jpeg(draw, 40, 30, progressive=True),
        "grey.jpg": sources.jpeg(draw, 40, 30, mode="L"),
        "cmyk.jpg": sources.jpeg(draw, 40, 30, mode="CMYK", quality=95),
        "turned.jpg": with_segment(sources.jpeg(draw, 40, 30), EXIF_TURNED),
        "broken-exif.jpg": with_segment(sources.jpeg(draw, 40, 30), EXIF_BROKEN),
        "png-in-disguise.JPEG": png(colour),
        "jpeg-in-disguise.png": sources.jpeg(draw, 40, 30),
        "no-suffix": sources.jpeg(draw, 40, 30),
        "palette.png": png(colour.quantize(16)),
        "alpha.png": png(alpha),
        "bits-1.png": png(colour.convert("1")),
        "grey-16.png": png_16(40, 30, 1, draw),
        "colour-16.png": png_16(40, 30, 3, draw),
        "alpha-16.png": png_16(40, 30, 4, draw),
        "trailing-garbage.jpg": sources.jpeg(draw, 40, 30) + b"garbage" * 9,
    }


def bad_images():
    """Name to bytes of what must be left out, and a word of why."""
    draw = random.Random(9)
    whole = sources.jpeg(draw, 200, 150, quality=95)
    progressive = sources.jpeg(draw, 200, 150, progressive=True)
    drawing = png(sources.picture(draw, 60, 40))
    flipped = bytearray(drawing)
    flipped[len(flipped) // 2] ^= 1
    gif = io.BytesIO()
    sources.picture(draw, 9, 9).convert("P").save(gif, "GIF")
    return {
        "empty.jpg": (b"", "empty"),
        "cut.jpg": (whole[:-200], "JPEG"),
        "cut-progressive.jpg": (progressive[:len(progressive) // 2], "JPEG"),
        "cut-header.jpg": (whole[:100], "JPEG"),
        "cut.png": (drawing[:-20], "PNG"),
        "flipped.png": (bytes(flipped), "PNG"),
        "an.gif.jpg": (gif.getvalue(), "GIF"),
        "a-page.jpg": (b"<html>404 not found</html>", "web page"),
        "zeros.jpg": (bytes(1000), "neither a JPEG nor a PNG"),
        "notes.txt": (b"some words", "neither a JPEG nor a PNG"),
    }


class Images(Case):
    @classmethod
    def make_pack(cls, name, n, **options):
        """No packs are shared here."""

    def setUp(self):
        super().setUp()
        self.tree = self.folder / "tree"
        self.out = self.folder / "out"
        self.good = good_images()
        sources.write_files(self.tree / "a", self.good)
        sources.write_files(self.tree / "b", {"1.jpg": self.good["plain.jpg"]})

    def pack(self, *options, ranks=0, status=0):
        return self.expect("pack", self.tree, "-o", self.out, "--quiet", *options,
                           ranks=ranks, status=status)

    def info(self):
        return json.loads(self.expect("info", "--json", self.out).out)

    def records(self):
        with h5py.File(self.out, "r") as file:
            offsets, data = file["offsets"][:], file["bytes"][:].tobytes()
            return [data[a:b] for a, b in zip(offsets, offsets[1:])]

    def test_every_kind_of_image_is_kept_byte_for_byte(self):
        for options in ((), ("--threads", 3)):
            self.pack("--strict", *options)
            wanted = [self.good[name] for name in sorted(self.good)]
            self.assertEqual(self.records(), wanted + [self.good["plain.jpg"]])
            self.assertEqual(self.info()["encoding"], "jpeg")
            self.assertNotIn("left_out", self.info())
            self.expect("verify", self.out)

    def test_what_is_no_image_is_left_out_and_named(self):
        bad = bad_images()
        sources.write_files(self.tree / "a" / "deeper", {k: v[0] for k, v in bad.items()})
        for options, ranks in (((), 0), (("--parts", 4), 0), (("--parts", 4), 3)):
            done = self.pack(*options, ranks=ranks, status=1)
            lines = [line for line in done.err.splitlines() if line.startswith("left out")]
            self.assertEqual(len(lines), len(bad), done.err)
            for name, line in zip(sorted(bad), lines):
                self.assertIn(f"{self.tree}/a/deeper/{name}: ", line)
                self.assertIn(bad[name][1], line)
            self.assert_one_message(done, "complete", f"without {len(bad)} things",
                                    "--allow-skipped")
            info = self.info()
            self.assertEqual(info["records"], len(self.good) + 1)
            self.assertEqual([f"left out: {text}" for text in info["left_out"]], lines)
            self.expect("verify", self.out)
            again = self.pack(*options, "--allow-skipped", ranks=ranks)
            self.assertIn(lines[0], again.err)
            if ranks == 0 and self.out.is_file():
                os.remove(self.out)

    def test_strict_stops_at_the_first(self):
        bad = bad_images()
        sources.write_files(self.tree / "b", {"x.jpg": bad["cut.jpg"][0]})
        for ranks in (0, 2):
            done = self.run_convoy("pack", self.tree, "-o", self.out, "--strict", ranks=ranks)
            self.assert_one_message(done, self.tree / "b" / "x.jpg", "JPEG")
            self.assertFalse(self.out.exists())
        self.assertEqual(sorted(os.listdir(self.folder)), ["tree"])

    def test_folders_that_are_no_classes_are_named(self):
        (self.tree / "empty" / "deeper").mkdir(parents=True)
        sources.write_files(self.tree / "notes", {"readme.txt": b"x", "more/2.txt": b"y"})
        sources.write_files(self.tree, {"labels.csv": b"x", ".hidden/1.jpg": b"x"})
        done = self.pack(status=1)
        for text in ("empty: is no class", "notes: is no class: none of its 2 files",
                     "labels.csv: is a file beside class folders"):
            self.assertIn(f"left out: {self.tree}/{text}", done.err)
        self.assertEqual([c["name"] for c in self.info()["classes"]], ["a", "b"])
        self.assertEqual(len(self.info()["left_out"]), 3)
        done = self.run_convoy("pack", self.tree, "-o", self.out, "--strict")
        self.assert_one_message(done, self.tree)

    def test_larger_images_are_made_smaller(self):
        draw = random.Random(6)
        large = {"tall.jpg": sources.jpeg(draw, 90, 200, quality=95),
                 "wide.png": png(sources.picture(draw, 301, 100)),
                 "cmyk.jpg": sources.jpeg(draw, 128, 64, mode="CMYK", quality=95),
                 "exact.jpg": sources.jpeg(draw, 64, 64),
                 "small.png": png(sources.picture(draw, 20, 64))}
        sizes = {"tall.jpg": (29, 64), "wide.png": (64, 21), "cmyk.jpg": (64, 32)}
        for name in self.good:
            os.remove(self.tree / "a" / name)
        sources.write_files(self.tree / "a", large)
        ids = set()
        for options, ranks in (((), 0), (("--parts", 3), 2), (("--threads", 4), 0)):
            self.out = self.folder / f"out{len(options)}{ranks}{options[-1:]}"
            self.pack("--max-side", 64, "--quality", 95, *options, ranks=ranks)
            ids.add(self.info()["id"])
            self.expect("verify", self.out)
        self.assertEqual(len(ids), 1)
        for name, record in zip(sorted(large), self.records()):
            if name not in sizes:
                self.assertEqual(record, large[name])
                continue
            found = Image.open(io.BytesIO(record))
            self.assertEqual((found.format, found.size), ("JPEG", sizes[name]))
            wanted = Image.open(io.BytesIO(large[name])).convert("RGB").resize(
                found.size, Image.BILINEAR)
            distances = [abs(a - b) for a, b in zip(found.convert("RGB").tobytes(),
                                                    wanted.tobytes())]
            self.assertLess(max(distances), 24, name)
            self.assertLess(sum(distances) / len(distances), 3, name)

    def test_options_that_cannot_be(self):
        for options, words in ((("--max-side", 8), ("max-side is 8", "16")),
                               (("--quality", 50), ("quality", "max-side")),
                               (("--max-side", 64, "--quality", 101), ("quality is 101",)),
                               (("--parts", 600), ("parts is 600", "512")),
                               (("--parts", 50), ("50 parts", "17 records"))):
            done = self.run_convoy("pack", self.tree, "-o", self.out, *options)
            self.assert_one_message(done, *words)
            self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main()

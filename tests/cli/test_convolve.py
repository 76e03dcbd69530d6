"""convoy convolve says what a kernel makes of an image, with the numbers behind it, and what
cannot be meant in one line."""
import re
import struct
import unittest
import zlib

from convoy_case import Case, write_png

LAYER = """5 2 6 8 2 0 1 2
4 3 4 5 1 9 6 3
3 9 4 4 7 7 6 9
1 3 4 6 8 2 2 1
8 4 6 2 3 1 8 8
5 8 9 0 1 0 2 3
9 2 6 6 3 6 2 1
9 8 8 2 6 3 4 5
"""
KERNEL = "-1,0,1\n2,1,2\n1,-2,0\n"
FORMULA = "output = floor((input + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1"
CSV_FILES = ["learnt.csv", "losses.csv", "reflectivity.csv", "seismogram.csv", "wavelet.csv"]


def read_png(path):
    """Rows of bytes of a PNG without interlacing, and its channels."""
    data, idat = path.read_bytes()[8:], b""
    while data:
        n, kind = struct.unpack(">I4s", data[:8])
        body, data = data[8:8 + n], data[12 + n:]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8
            channels = {0: 1, 2: 3}[colour]
        elif kind == b"IDAT":
            idat += body
    raw, rows, stride = zlib.decompress(idat), [], width * channels
    for y in range(height):
        filtered = raw[y * (stride + 1):(y + 1) * (stride + 1)]
        above = rows[-1] if rows else bytes(stride)
        row = bytearray()
        for i, byte in enumerate(filtered[1:]):
            left = row[i - channels] if i >= channels else 0
            corner = above[i - channels] if i >= channels else 0
            row.append((byte + predict(filtered[0], left, above[i], corner)) % 256)
        rows.append(bytes(row))
    return rows, channels


def predict(kind, left, up, corner):
    """PNG's filters 0 to 4."""
    if kind == 4:
        guess = left + up - corner
        return min((left, up, corner), key=lambda value: abs(guess - value))
    return (0, left, up, (left + up) // 2)[kind]


class ConvolveCase(Case):
    @classmethod
    def setUpClass(cls):
        pass  # no packs

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def write_photo(self, width=8, height=6, rgb=None):
        path = self.folder / "photo.png"
        write_png(path, width, height, rgb or bytes(range(3 * width * height)))
        return path


class Shown(ConvolveCase):
    def test_the_lecture_s_example_is_explained(self):
        out = self.expect("convolve", self.write("layer.csv", LAYER), "--kernel",
                          self.write("kernel.csv", KERNEL), "--correlate",
                          "--explain", "0,0").out
        self.assertIn(FORMULA, out)
        self.assertIn("floor((8 + 2 * 0 - 1 * (3 - 1) - 1) / 1) + 1 = 6", out)
        self.assertIn("input - (kernel - 1) = 8 - (3 - 1) = 6", out)
        self.assertRegex(out, r"(?m)^ +-1 +0 +1\n +2 +1 +2\n +1 +-2 +0\n")
        products = re.findall(r"\( *(\d+), +(\d+)\) +(\S+) \* +(\S+) = +(\S+)", out)
        self.assertEqual(len(products), 9)
        self.assertEqual(products[0], ("0", "0", "5", "-1", "-5"))
        self.assertEqual(products[7], ("2", "1", "9", "-2", "-18"))
        self.assertEqual(sum(float(product[4]) for product in products), 5)
        self.assertRegex(out, r"(?m)^ +sum = +5$")
        self.assertRegex(out, r"output of 6 x 6: values from \S+ to \S+\n +5 ")

    def test_convolution_shows_the_kernel_turned(self):
        layer = self.write("layer.csv", LAYER)
        out = self.expect("convolve", layer, "--kernel",
                          self.write("kernel.csv", KERNEL)).out
        self.assertRegex(out, r"turned by 180 degrees:\n +0 +-2 +1\n +2 +1 +2\n +1 +0 +-1\n")
        out = self.expect("convolve", layer, "--kernel", "edge3").out
        self.assertIn("turned by 180 degrees, where it is the same", out)

    def test_the_formula_has_stride_padding_and_dilation(self):
        out = self.expect("convolve", self.write("layer.csv", LAYER), "--kernel", "box",
                          "--stride", "2,3", "--pad", 1, "--dilation", "1,2").out
        self.assertIn("rows:    floor((8 + 2 * 1 - 1 * (3 - 1) - 1) / 2) + 1 = 4", out)
        self.assertIn("columns: floor((8 + 2 * 1 - 2 * (3 - 1) - 1) / 3) + 1 = 2", out)
        self.assertNotIn("input - (kernel - 1) =", out)
        self.assertIn("output of 4 x 2:", out)

    def test_padding_is_shown_as_zeros_outside(self):
        out = self.expect("convolve", self.write("layer.csv", LAYER), "--kernel", "edge3",
                          "--pad", 1, "--explain", "0,0").out
        self.assertRegex(out, r"\( *-1, +-1\) +0 \* +-1 = +0\n")
        self.assertRegex(out, r"\( *0, +0\) +5 \* +8 = +40\n")
        self.assertRegex(out, r"(?m)^ +sum = +31$")  # 8 * 5 - 2 - 4 - 3

    def test_each_colour_is_explained(self):
        out = self.expect("convolve", self.write_photo(), "--kernel", "sharpen", "--explain",
                          "1,2").out
        for colour in ("red", "green", "blue"):
            self.assertIn(f"counted from 0, {colour}:", out)
        self.assertIn("output of 4 x 6, 3 colours", out)

    def test_pooling(self):
        layer = self.write("layer.csv", LAYER)
        out = self.expect("convolve", layer, "--pool", "max", "--window", 4).out
        self.assertRegex(out, r"(?m)^ +9 +9\n +9 +8$")
        out = self.expect("convolve", layer, "--pool", "average", "--window", 8).out
        self.assertIn("output of 1 x 1: values from 4.45312 to 4.45312", out)


class Written(ConvolveCase):
    def test_identity_gives_the_picture_without_its_border(self):
        out = self.folder / "out.png"
        rgb = bytes((i * 37 + 11) % 256 for i in range(3 * 8 * 6))
        self.expect("convolve", self.write_photo(rgb=rgb), "--kernel", "identity", "-o", out)
        rows, channels = read_png(out)
        self.assertEqual(channels, 3)
        self.assertEqual(rows, [rgb[24 * y + 3:24 * y + 21] for y in range(1, 5)])
        self.expect("convolve", self.write_photo(rgb=rgb), "--kernel", "identity", "-o", out,
                    "--pad", 1)
        self.assertEqual(b"".join(read_png(out)[0]), rgb)

    def test_channels_and_grey(self):
        rgb = bytes((i * 37 + 11) % 256 for i in range(3 * 8 * 6))
        photo, out = self.write_photo(rgb=rgb), self.folder / "out.csv"
        for channel, name in enumerate(("red", "green", "blue")):
            for word in (channel, name):
                self.expect("convolve", photo, "--kernel", "identity", "--pad", 1,
                            "--channel", word, "-o", out)
                values = [float(x) for x in re.split("[,\n]", out.read_text().strip())]
                self.assertEqual(values, list(rgb[channel::3]))
        self.expect("convolve", photo, "--kernel", "identity", "--pad", 1, "--grey", "-o",
                    out)
        first = float(out.read_text().split(",")[0])
        r, g, b = rgb[:3]
        self.assertEqual(first, (19595 * r + 38470 * g + 7471 * b + 32768) >> 16)

    def test_numbers_become_a_picture_cut_off_or_scaled(self):
        numbers, out = self.write("m.csv", "-10,0,100\n200,255,300\n"), self.folder / "o.png"
        words = ("convolve", numbers, "--kernel", "identity", "--pad", 1, "-o", out)
        self.expect(*words)
        self.assertEqual(read_png(out), ([bytes((0, 0, 100)), bytes((200, 255, 255))], 1))
        self.expect(*words, "--scale")
        rows, _ = read_png(out)
        self.assertEqual((rows[0][0], rows[1][2]), (0, 255))

    def test_a_signal_s_result_has_a_number_a_line(self):
        a, b = self.write("a.csv", "1\n2\n3\n"), self.write("b.csv", "1,10\n")
        out = self.folder / "o.csv"
        text = self.expect("convolve", "--signal", a, "--with", b, "-o", out).out
        self.assertEqual(out.read_text(), "1\n12\n23\n30\n")
        self.assertIn("samples: floor((3 + 2 * 1 - 1 * (2 - 1) - 1) / 1) + 1 = 4", text)
        self.expect("convolve", "--signal", a, "--with", b, "-o", out, "--correlate", "--pad",
                    0)
        self.assertEqual(out.read_text(), "21\n32\n")

    def test_the_seismogram_is_learnt_and_can_be_repeated(self):
        folder = self.folder / "s"
        out = self.expect("convolve", "--demo", "seismogram", "-o", folder).out
        self.assertIn("mean squared error", out)
        written = sorted(path.name for path in folder.iterdir())
        self.assertEqual([name for name in written if name.endswith(".csv")], CSV_FILES)
        again = self.folder / "again.csv"
        self.expect("convolve", "--signal", folder / "reflectivity.csv", "--with",
                    folder / "wavelet.csv", "--pad", 25, "-o", again)
        self.assertEqual(again.read_text(), (folder / "seismogram.csv").read_text())


class Refused(ConvolveCase):
    def test_wrong_input_gets_one_line(self):
        photo, layer = self.write_photo(), self.write("layer.csv", LAYER)
        text = self.write("text.png", "no picture")
        ragged = self.write("ragged.csv", "1,2\n3\n")
        words = self.write("words.csv", "1,two\n")
        empty = self.write("empty.csv", "")
        table = self.write("table.csv", "1,2\n3,4\n")
        large = self.write("large.csv", "1e39\n")
        absent, long = self.folder / "absent", self.write("long.csv", "1\n" * 15)
        for expected, arguments in (
                (["ragged.csv", "no matrix", "line 2"], [photo, "--kernel", ragged]),
                (["words.csv", "line 1", "'two'"], [photo, "--kernel", words]),
                (["empty.csv", "no number"], [photo, "--kernel", empty]),
                (["photo.png"], [photo, "--kernel", photo]),
                ([str(self.folder)], [photo, "--kernel", self.folder]),
                (["no kernel 'edge'", "edge1"], [photo, "--kernel", "edge"]),
                (["text.png", "neither a JPEG nor a PNG"], [text, "--kernel", "box"]),
                (["absent"], [absent, "--kernel", "box"]),
                (["6 x 8", "smaller than the kernel of 3 x 3", "9"],
                 [photo, "--kernel", "box", "--dilation", 4]),
                (["6 x 8", "smaller than the kernel of 8 x 8"],
                 [photo, "--kernel", layer, "--grey"]),
                (["row 4", "4 rows"], [photo, "--kernel", "box", "--explain", "4,0"]),
                (["--grey"], [photo, "--kernel", "box", "-o", self.folder / "o.csv"]),
                ([".png or .csv"], [photo, "--kernel", "box", "-o", self.folder / "o.bmp"]),
                (["absent"], [photo, "--kernel", "box", "-o", absent / "o.png"]),
                (["half of the window"],
                 [photo, "--pool", "max", "--window", 2, "--pad", 2]),
                (["8 x 8", "smaller than the window of 9 x 9"],
                 [layer, "--pool", "max", "--window", 9]),
                (["padding of 280 columns", "256"],
                 ["--signal", long, "--with", long, "--dilation", 20]),
                (["too large", "1e39"], [photo, "--kernel", large]),
                (["row 0, column 0", "finite"],
                 [self.write("most.csv", "3e38,3e38\n"), "--kernel",
                  self.write("two.csv", "1,1\n"), "-o", self.folder / "o.csv"]),
                (["another name", "layer.csv"],
                 [layer, "--kernel", "box", "-o", layer]),
                (["another name", "table.csv"],
                 [layer, "--kernel", table, "-o", self.folder / "." / "table.csv"]),
                (["another name", "long.csv"],
                 ["--signal", long, "--with", long, "-o", long]),
                (["1 row with"], [self.write("one.csv", "1\n"), "--kernel", "box"]),
                (["table.csv", "no signal"], ["--signal", table, "--with", table]),
                (["absent"], ["--signal", absent, "--with", table]),
                (["ragged.csv"], ["--demo", "seismogram", "-o", ragged])):
            done = self.run_convoy("convolve", *arguments)
            with self.subTest(arguments=arguments):
                self.assert_one_message(done, *expected)
                self.assertEqual(done.out, "")
        self.assertEqual(layer.read_text(), LAYER)
        self.assertFalse((self.folder / "o.csv").exists())
        self.assertFalse((self.folder / "o.bmp").exists())

    def test_wrong_usage(self):
        for word, arguments in (
                ("IMAGE", []),
                ("--kernel or --pool", ["x.png"]),
                ("not both", ["x.png", "--kernel", "box", "--pool", "max"]),
                ("--window N", ["x.png", "--pool", "max"]),
                ("max or average", ["x.png", "--pool", "least", "--window", 2]),
                ("--window", ["x.png", "--kernel", "box", "--window", 2]),
                ("--explain", ["x.png", "--pool", "max", "--window", 2, "--explain", "0,0"]),
                ("--dilation", ["x.png", "--pool", "max", "--window", 2, "--dilation", 2]),
                ("--stride", ["x.png", "--kernel", "box", "--stride", 0]),
                ("--stride", ["x.png", "--kernel", "box", "--stride", "1,2,3"]),
                ("--pad", ["x.png", "--kernel", "box", "--pad", -1]),
                ("--pad", ["x.png", "--kernel", "box", "--pad", 257]),
                ("--dilation", ["x.png", "--kernel", "box", "--dilation", "2,"]),
                ("--explain", ["x.png", "--kernel", "box", "--explain", 3]),
                ("--channel", ["x.png", "--kernel", "box", "--channel", "violet"]),
                ("--grey", ["x.png", "--kernel", "box", "--channel", 0, "--grey"]),
                ("one IMAGE", ["x.png", "y.png", "--kernel", "box"]),
                ("different tasks", ["x.png", "--signal", "a.csv", "--with", "b.csv"]),
                ("--stride", ["--signal", "a.csv", "--with", "b.csv", "--stride", "2,2"]),
                ("--channel", ["x.csv", "--kernel", "box", "--channel", 0]),
                ("--grey", ["x.txt", "--kernel", "box", "--grey"]),
                ("--with", ["--signal", "a.csv"]),
                ("--signal", ["--with", "a.csv"]),
                (".csv", ["--signal", "a.csv", "--with", "b.csv", "-o", "c.png"]),
                ("--scale", ["--signal", "a.csv", "--with", "b.csv", "--scale"]),
                ("seismogram", ["--demo", "earthquake"]),
                ("-o", ["--demo", "seismogram", "--numbers"]),
                ("empty", ["", "--kernel", "box"]),
                ("--blur", ["x.png", "--blur"])):
            done = self.run_convoy("convolve", *arguments)
            with self.subTest(arguments=arguments):
                self.assert_one_message(done, word, status=2)
                self.assertEqual(done.out, "")

    def test_several_processes_are_refused(self):
        matrix = self.folder / "a.csv"
        matrix.write_text("1,2\n3,4\n")
        done = self.run_convoy("convolve", matrix, "--kernel", "identity", "--pad", 1,
                               "-o", self.folder / "b.csv", ranks=2)
        self.assertNotEqual(done.status, 0)
        self.assertEqual(done.err.count("not in several"), 1, done.err)
        self.assertFalse((self.folder / "b.csv").exists())


if __name__ == "__main__":
    unittest.main()

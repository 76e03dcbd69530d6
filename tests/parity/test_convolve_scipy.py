"""test_convolve_scipy.py CONVOLVE_TOOL CONVOY: convoy convolve gives what SciPy's convolve2d,
correlate2d and convolve give, and pooling what NumPy gives."""
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    from PIL import Image
    from scipy import signal
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-scipy python3-pil")
    sys.exit(77)

CONVOY, TOOL = sys.argv.pop(2), sys.argv.pop(1)
MOST = 3  # strides and dilations 1 to this, paddings 0 to this
NAMED = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "edge1": [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
    "edge2": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "edge3": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box": np.full((3, 3), 1 / 9),
}
LAYER = """5 2 6 8 2 0 1 2
4 3 4 5 1 9 6 3
3 9 4 4 7 7 6 9
1 3 4 6 8 2 2 1
8 4 6 2 3 1 8 8
5 8 9 0 1 0 2 3
9 2 6 6 3 6 2 1
9 8 8 2 6 3 4 5
"""


def read(path):
    return np.loadtxt(path, delimiter=",", ndmin=2)


def spread(kernel, dilation):
    """The kernel with zeros between its values."""
    rows, columns = kernel.shape
    made = np.zeros(((rows - 1) * dilation + 1, (columns - 1) * dilation + 1))
    made[::dilation, ::dilation] = kernel
    return made


def by_scipy(src, kernel, stride=1, pad=0, dilation=1, correlate=False):
    """None where the kernel does not fit."""
    padded = np.pad(np.asarray(src, float), pad)
    wide = spread(np.asarray(kernel, float), dilation)
    if any(k > p for k, p in zip(wide.shape, padded.shape)):
        return None
    function = signal.correlate2d if correlate else signal.convolve2d
    return function(padded, wide, mode="valid")[::stride, ::stride]


class Scipy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.draw = np.random.default_rng(7)

    def normal(self, *shape):
        """Values that f32 has."""
        return self.draw.normal(0, 3, shape).astype(np.float32).astype(float)

    def write(self, name, matrix):
        path = self.folder / name
        np.savetxt(path, matrix, delimiter=",", fmt="%.9g")
        return path

    def convolve(self, *arguments):
        done = subprocess.run([CONVOY, "convolve", *map(str, arguments)],
                              capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_close(self, ours, theirs):
        """To f32's precision, relative to the largest value."""
        self.assertEqual(ours.shape, theirs.shape)
        self.assertLessEqual(np.abs(ours - theirs).max(), 2e-6 * (1 + np.abs(theirs).max()))

    def made_by_tool(self, source, argument):
        """{(stride, pad, dilation, correlate): the output} of what fits."""
        data = subprocess.run([TOOL, source, argument, str(MOST)], check=True,
                              stdout=subprocess.PIPE).stdout
        made = {}
        while data:
            *key, rows, columns = np.frombuffer(data, "<i4", 6)
            values = np.frombuffer(data, "<f4", rows * columns, 24)
            made[tuple(key)] = values.reshape(rows, columns)
            data = data[24 + 4 * values.size:]
        return made

    def check_kernel(self, src, source, kernel, argument):
        made = self.made_by_tool(source, argument)
        for key in itertools.product(range(1, MOST + 1), range(MOST + 1),
                                     range(1, MOST + 1), (0, 1)):
            theirs = by_scipy(src, kernel, *key)
            with self.subTest(kernel=str(argument), key=key):
                self.assertEqual(key in made, theirs is not None)
                if theirs is not None:
                    self.assert_close(made[key], theirs)
        self.assertGreater(len(made), MOST * MOST * (MOST + 1))

    def test_kernels_by_name(self):
        src = self.normal(13, 18)
        source = self.write("src.csv", src)
        for name, kernel in NAMED.items():
            self.check_kernel(src, source, np.array(kernel, float), name)

    def test_kernels_of_files_whatever_their_form(self):
        src = self.normal(16, 11)
        source = self.write("src.csv", src)
        for rows, columns in ((1, 1), (1, 5), (4, 1), (2, 3), (5, 5), (7, 6)):
            kernel = self.normal(rows, columns)
            self.check_kernel(src, source, kernel, self.write("kernel.csv", kernel))

    def test_the_lecture_s_example(self):
        layer = self.folder / "layer.txt"
        layer.write_text(LAYER)
        kernel = [[-1, 0, 1], [2, 1, 2], [1, -2, 0]]
        src = np.array([line.split() for line in LAYER.splitlines()], float)
        for correlate in (False, True):
            out = self.folder / "out.csv"
            self.convolve(layer, "--kernel", self.write("kernel.csv", kernel), "-o", out,
                          *["--correlate"] * correlate)
            self.assertTrue((read(out) == by_scipy(src, kernel, correlate=correlate)).all())
        self.assertEqual(read(out)[0, 0], 5)

    def test_colours_of_a_picture(self):
        pixels = self.draw.integers(0, 256, (20, 31, 3), np.uint8)
        path, out = self.folder / "photo.png", self.folder / "out.png"
        Image.fromarray(pixels).save(path)
        for name, kernel in NAMED.items():
            self.convolve(path, "--kernel", name, "--stride", 2, "--pad", 1, "-o", out)
            theirs = np.stack([by_scipy(pixels[:, :, c], kernel, 2, 1) for c in range(3)], -1)
            made = np.asarray(Image.open(out)).astype(float)
            self.assertEqual(made.shape, theirs.shape)
            # Half a shade, where f32 rounds a tie the other way.
            self.assertLessEqual(np.abs(made - np.clip(theirs, 0, 255)).max(), 0.5 + 1e-4)

    def test_signals(self):
        x, y = self.normal(300), self.normal(40)
        out = self.folder / "out.csv"
        files = ("--signal", self.write("x.csv", x), "--with", self.write("y.csv", y))
        self.convolve(*files, "-o", out)
        self.assert_close(read(out)[:, 0], signal.convolve(x, y, mode="full"))
        self.convolve(*files, "-o", out, "--pad", 0)
        self.assert_close(read(out)[:, 0], signal.convolve(x, y, mode="valid"))
        self.convolve(*files, "-o", out, "--correlate", "--stride", 3)
        self.assert_close(read(out)[:, 0], signal.correlate(x, y, mode="full")[::3])

    def test_pooling(self):
        src = self.normal(12, 18)
        source, out = self.write("src.csv", src), self.folder / "out.csv"
        blocks = src.reshape(4, 3, 6, 3)
        for kind, theirs in (("max", blocks.max((1, 3))), ("average", blocks.mean((1, 3)))):
            self.convolve(source, "--pool", kind, "--window", 3, "-o", out)
            self.assert_close(read(out), theirs)
        windows = np.lib.stride_tricks.sliding_window_view(src, (2, 4))[::2, ::1]
        self.convolve(source, "--pool", "max", "--window", "2,4", "--stride", "2,1", "-o", out)
        self.assert_close(read(out), windows.max((2, 3)))

    def test_the_seismogram(self):
        self.convolve("--demo", "seismogram", "-o", self.folder / "s")
        source, wavelet, record, learnt = (
            read(self.folder / "s" / f"{name}.csv")[:, 0]
            for name in ("reflectivity", "wavelet", "seismogram", "learnt"))
        self.assert_close(record, signal.convolve(source, wavelet, mode="same"))
        self.assertLess(np.abs(learnt - wavelet).max(), 1e-3)


if __name__ == "__main__":
    unittest.main()

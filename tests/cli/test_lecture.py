"""jobs/lecture.sh on a small data set and a few steps: its page is sound, whole and seen in
a browser, its numbers are those of the lecture, and its commands do what the page says."""
import base64
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from PIL import Image

import browser
from convoy_case import CONVOY, write_fashion_mnist
from page_case import Page

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "jobs" / "lecture.sh"
CHAPTERS = ["numbers", "signal", "window", "kernels", "sizes", "counts", "digits", "alexnet",
            "seen", "transfer", "depth", "dense", "ranks"]
HAS_GNUPLOT = shutil.which("gnuplot") is not None
TIMEOUT_S = 540
SCALE = 0.25  # of photographs of a whole page, of which Chromium takes 16,384 pixels
# What there is to see: pictures that did not load are 0 wide. Of sheets, which have a hundred
# maps and samples, only that they are loaded.
MEASURE = """JSON.stringify({
    images: [...document.images].map(image => [image.alt, image.naturalWidth,
                                               image.getBoundingClientRect().width]),
    figures: [...document.querySelectorAll('figure')].filter(
        figure => !figure.closest('.sheet')).map(figure => {
            const box = figure.getBoundingClientRect();
            return [figure.textContent.trim().slice(0, 60),
                    box.left + scrollX, box.top + scrollY, box.width, box.height];
        }),
    small: [...document.querySelectorAll('svg.plot text')].filter(
        text => text.getBoundingClientRect().height < 11).map(text => text.textContent)})"""


def run_script(folder, *arguments, **settings):
    environment = {**os.environ, "FASHION_MNIST": str(folder / "data"), "MNIST": "",
                   "WORK": str(folder), "STEPS": "3", **settings}
    return subprocess.run(["bash", SCRIPT, *arguments], env=environment, text=True,
                          capture_output=True, timeout=TIMEOUT_S)


def figures_of(source):
    """Figures but those of sheets, where a map may well be 0 all over."""
    source = re.sub(r'<div class="sheet[^"]*">.*?</div>', "", source, flags=re.DOTALL)
    return re.findall(r"<figure.*?</figure>", source, re.DOTALL)


def opened(data):
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def has_more_colours(picture, n):
    return picture.getcolors(n) is None


class Lecture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="convoy-test-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        write_fashion_mnist(cls.folder / "data", side=28)
        done = run_script(cls.folder)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        cls.said = done.stdout
        cls.run_folder = cls.folder / "runs" / "lecture"
        cls.path = cls.run_folder / "lecture.html"
        cls.page = Page(cls.path)

    def chapter(self, name):
        found = re.search(f'<section id="{name}">.*?</section>', self.page.source, re.DOTALL)
        self.assertTrue(found, name)
        return found[0]

    def test_the_page_is_sound_and_has_every_chapter(self):
        self.assertTrue(self.said.endswith(f"{self.path}\n"), self.said)
        self.assertEqual(self.page.faults, [])
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)))
        self.assertEqual(re.findall(r'<section id="(\w+)">', self.page.source), CHAPTERS)
        self.assertEqual(re.findall(r'<li><a href="#(\w+)">', self.page.source), CHAPTERS)
        self.assertNotIn("{{", self.page.source)
        for name in CHAPTERS:
            self.assertRegex(self.chapter(name), r"<pre>convoy [a-z]+ ")

    def test_no_picture_is_empty(self):
        figures = figures_of(self.page.source)
        for figure in figures:
            about = figure[:200]
            self.assertRegex(figure, r'<figcaption>.*\S.*</figcaption>|title="[^"]+"')
            pictures = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]*)"', figure)
            drawings = re.findall(r"<svg.*?</svg>", figure, re.DOTALL)
            self.assertTrue(pictures or drawings or "image/svg+xml" in figure, about)
            for data in pictures:
                self.assertTrue(has_more_colours(opened(data), 1), about)
            for drawing in drawings:
                self.assertRegex(drawing, r"<(rect|polyline|path)", about)
        self.assertGreater(len(figures), 45)

    def test_it_says_that_it_is_a_trial_and_has_no_digits(self):
        self.assertIn("Made with STEPS=3", self.page.text)
        self.assertIn("Fashion-MNIST takes its place", self.page.text)

    def test_numbers_of_the_lecture(self):
        self.assertIn("framed here, the sum is 5.", self.page.text)
        self.assertIn("24,864,180 weights", self.page.text)
        layer, kernel, output = [[int(word) for word in re.findall(r">(-?\d+)</text>", svg)]
                                 for svg in re.findall(r'<svg class="matrix".*?</svg>',
                                                       self.chapter("window"), re.DOTALL)[:3]]
        self.assertEqual((len(layer), layer[:8]), (64, [5, 2, 6, 8, 2, 0, 1, 2]))
        self.assertEqual(kernel, [-1, 0, 1, 2, 1, 2, 1, -2, 0])
        self.assertEqual((len(output), output[0]), (36, 5))
        first = (self.run_folder / "correlated.csv").read_text().splitlines()
        self.assertEqual((len(first), float(first[0].split(",")[0])), (6, 5.0))
        for name, side in (("plain", 26), ("pad", 28), ("stride", 13), ("dilation", 24),
                           ("max", 14), ("average", 14)):
            rows = (self.run_folder / f"size-{name}.csv").read_text().splitlines()
            self.assertEqual((len(rows), len(rows[0].split(","))), (side, side), name)

    def test_an_impulse_gives_the_kernel(self):
        kernels = {"identity": [0, 0, 0, 0, 1, 0, 0, 0, 0],
                   "edge1": [1, 0, -1, 0, 0, 0, -1, 0, 1],
                   "edge2": [0, 1, 0, 1, -4, 1, 0, 1, 0],
                   "edge3": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
                   "sharpen": [0, -1, 0, -1, 5, -1, 0, -1, 0], "box": [1 / 9] * 9}
        for name, numbers in kernels.items():
            text = (self.run_folder / f"{name}.kernel.csv").read_text()
            found = [float(word) for word in text.replace("\n", ",").split(",") if word]
            self.assertEqual(len(found), 9, name)
            for a, b in zip(found, numbers):
                self.assertAlmostEqual(a, b, places=5, msg=name)

    def test_all_ranks_have_one_hash(self):
        hashes = re.findall(r"<td>([0-9a-f]{32})</td>", self.chapter("ranks"))
        self.assertEqual((len(hashes), len(set(hashes))), (3, 1), hashes)
        self.assertIn("every bit of every weight", self.page.text)

    def test_gradients_of_all_layers_are_drawn(self):
        """Two more than the chain has, the first convolution and the last layer."""
        for n in (4, 8, 16):
            lines = (self.run_folder / f"chain-{n}.points").read_text().splitlines()
            self.assertEqual([line.split()[0] for line in lines],
                             [str(i + 1) for i in range(n + 2)])
        norms = [float(line.split()[1]) for line in lines]
        self.assertLess(norms[0], norms[-1] / 1000)

    def test_landscapes_are_drawn_or_missed(self):
        chapter = self.chapter("depth")
        if HAS_GNUPLOT:
            self.assertEqual(chapter.count("data:image/svg+xml"), 4)
        else:
            self.assertIn("gnuplot was not found", chapter)

    def test_the_commands_of_the_page_give_its_pictures(self):
        """Those that take no training, as a student would type them."""
        for name, file in (("window", "correlated.csv"), ("kernels", "sharpen.png"),
                           ("sizes", "size-dilation.csv"), ("numbers", "digit.png")):
            line = next(line for line in re.findall(r"convoy convolve [^\n<]*",
                                                    self.chapter(name))
                        if line.endswith(f"-o {file}"))
            before = (self.run_folder / file).read_bytes()
            (self.run_folder / file).unlink()
            subprocess.run([CONVOY, *shlex.split(line)[1:]], cwd=self.run_folder, check=True,
                           capture_output=True, timeout=60)
            self.assertEqual((self.run_folder / file).read_bytes(), before, line)

    def test_the_commands_of_the_document_give_its_pictures(self):
        """docs/seeing.md: every command is tried, and every picture is there."""
        document = (ROOT / "docs" / "seeing.md").read_text()
        commands = re.findall(r"^    convoy (.*)$", document, re.MULTILINE)
        pictures = re.findall(r"\(seeing/([^)]*)\)", document)
        self.assertGreater(min(len(commands), len(pictures)), 12)
        for line in commands:
            done = subprocess.run([CONVOY, *shlex.split(line)], cwd=self.run_folder, text=True,
                                  capture_output=True, timeout=120)
            self.assertEqual(done.returncode, 0, f"{line}\n{done.stderr}")
        for name in pictures:
            self.assertTrue((ROOT / "docs" / "seeing" / name).exists(), name)
            if name.endswith(".png"):
                self.assertTrue((self.run_folder / name).exists(), name)
        self.assertEqual((self.run_folder / "made.csv").read_bytes(),
                         (self.run_folder / "seismogram" / "seismogram.csv").read_bytes())

    @unittest.skipUnless(browser.find(), "chromium is not here")
    def test_a_browser_shows_it_wide_and_narrow(self):
        with browser.Browser() as chromium:
            for width in (1280, 400):
                seen = chromium.open(self.path, width=width)
                self.assertEqual((seen["width"], seen["scroll"]), (width, width))
                found = json.loads(chromium.ask("Runtime.evaluate",
                                                expression=MEASURE)["result"]["value"])
                self.assertEqual(found["small"], [])
                self.assertEqual([image for image in found["images"]
                                  if image[1] == 0 or image[2] < 8], [])
                self.assertEqual(len(found["figures"]), len(figures_of(self.page.source)))
                page = self.photograph(chromium, width, seen["height"])
                for caption, left, top, wide, high in found["figures"]:
                    self.assertGreater(min(wide, high), 20, caption)
                    self.assertLessEqual(left + wide, width, caption)
                    # Most of it, with little of the caption.
                    box = (left, top + min(40, high / 3), left + wide, top + high)
                    part = page.crop([round(SCALE * side) for side in box])
                    self.assertTrue(has_more_colours(part, 2), caption)
            self.assertEqual(chromium.errors, [])

    def photograph(self, chromium, width, height):
        data = chromium.ask("Page.captureScreenshot", captureBeyondViewport=True, clip={
            "x": 0, "y": 0, "width": width, "height": height, "scale": SCALE})["data"]
        return opened(data)


class Refused(unittest.TestCase):
    def test_words_that_are_none(self):
        with tempfile.TemporaryDirectory(prefix="convoy-test-") as folder:
            folder = pathlib.Path(folder)
            (folder / "picture.gif").write_bytes(b"GIF89a")
            (folder / "text.png").write_bytes(b"no picture")
            Image.new("RGB", (1700, 20)).save(folder / "wide.png")
            for arguments, status, words in (
                    (["--images", "x.png"], 2, "usage: lecture.sh"),
                    (["--image"], 2, "usage: lecture.sh"),
                    (["--image", folder / "picture.gif"], 1, ".png, .jpg"),
                    (["--image", folder / "none.png"], 1, "no such file"),
                    (["--image", folder / "text.png"], 1, "neither a JPEG nor a PNG"),
                    (["--image", folder / "wide.png"], 1, "1700 x 20 pixels")):
                done = run_script(folder, *arguments)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertRegex(done.stderr, rf"\A[^\n]*{words}[^\n]*\n\Z")
                self.assertFalse((folder / "runs" / "lecture").exists())
            done = run_script(folder, CONVOY="no-such-program")
            self.assertEqual(done.returncode, 1)
            self.assertIn("CONVOY names no program", done.stderr)

    def test_what_is_missing_is_named(self):
        with tempfile.TemporaryDirectory(prefix="convoy-test-") as folder:
            folder = pathlib.Path(folder)
            done = run_script(folder, MNIST=str(folder))
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{folder}: no t10k-images-idx3-ubyte", done.stderr)
            write_fashion_mnist(folder / "data", side=28)
            (folder / "data" / "train-images-idx3-ubyte.gz").write_bytes(b"not gzipped")
            done = run_script(folder)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"\Alecture.sh: convoy pack \S*train-images\S* failed; "
                                          r"in \S*runs/lecture-2, log.txt ends with:\n")
            self.assertFalse((folder / "runs" / "lecture-2" / "lecture.html").exists())


if __name__ == "__main__":
    unittest.main()

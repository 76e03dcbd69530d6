"""A page in headless Chromium: measured, photographed and printed. Chromium is told by its
DevTools protocol over two pipes, messages that end in a zero byte, so that the width of
the page is the one that was asked for (its windows have a least width)."""
import base64
import io
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time

from PIL import Image

TIMEOUT_S = 120
# What a test, or a person who looks, may want to know of a page.
MEASURE = """JSON.stringify({
    width: document.documentElement.clientWidth,
    scroll: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
    height: document.documentElement.scrollHeight,
    plots: [...document.querySelectorAll('svg.plot')].map(plot => {
        const box = plot.getBoundingClientRect();
        return {title: plot.querySelector('title').textContent,
                box: [box.left + scrollX, box.top + scrollY, box.width, box.height],
                letters: Math.min(...[...plot.querySelectorAll('text')].map(
                    text => text.getBoundingClientRect().height))};
    })})"""


def find():
    return next((path for path in map(shutil.which, ("chromium", "chromium-browser",
                                                     "google-chrome")) if path), None)


class Browser:
    """with Browser() as browser: browser.open(path, width=400)."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="convoy-chromium-")
        to_it, self.write_fd = os.pipe()
        self.read_fd, from_it = os.pipe()

        def take_pipes():  # it reads 3 and writes 4
            high = [os.dup(fd) for fd in (to_it, from_it)]
            low = [fd + 20 for fd in (0, 1)]
            for fd, other in zip(high, low):
                os.dup2(fd, other)
            os.dup2(low[0], 3)
            os.dup2(low[1], 4)
            for fd in (3, 4):
                os.set_inheritable(fd, True)
        self.process = subprocess.Popen(
            [find(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-extensions", "--hide-scrollbars",
             "--remote-debugging-pipe", f"--user-data-dir={self.folder.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=take_pipes, close_fds=False)
        os.close(to_it)
        os.close(from_it)
        self.rest, self.number, self.session, self.errors, self.events = b"", 0, None, [], []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target,
                                flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.write_fd)
        os.close(self.read_fd)
        for _ in range(20):  # its children may still be writing there
            shutil.rmtree(self.folder.name, ignore_errors=True)
            if not os.path.exists(self.folder.name):
                break
            time.sleep(0.1)
        self.folder._finalizer.detach()

    def read(self):
        until_s = time.monotonic() + TIMEOUT_S
        while b"\0" not in self.rest:
            left_s = until_s - time.monotonic()
            ready, _, _ = select.select([self.read_fd], [], [], max(left_s, 0))
            piece = os.read(self.read_fd, 1 << 20) if ready else b""
            if not piece:
                raise AssertionError(f"chromium said nothing; its status is "
                                     f"{self.process.poll()}")
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        message = json.loads(message)
        entry = message.get("params", {}).get("entry", {})
        if message.get("method") == "Runtime.exceptionThrown" or entry.get("level") == "error" \
                or message.get("params", {}).get("type") == "error":
            self.errors.append(message["params"])
        return message

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_fd, data):]
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer.get("method"))

    def open(self, path, width, height=900):
        """Loads the page, as wide as that, and gives what there is to measure."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)
        self.events = []
        self.ask("Page.navigate", url=f"file://{os.path.abspath(path)}")
        while "Page.loadEventFired" not in self.events:
            self.events.append(self.read().get("method"))
        result = self.ask("Runtime.evaluate", expression=MEASURE)["result"]
        return json.loads(result["value"])

    def photograph(self, page):
        """The whole page that open() measured."""
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip={
            "x": 0, "y": 0, "width": page["width"], "height": page["height"], "scale": 1})
        return Image.open(io.BytesIO(base64.b64decode(data["data"]))).convert("RGB")

    def print(self, path):
        data = self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True,
                        paperWidth=8.27, paperHeight=11.69)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data["data"]))


def coloured(picture):
    """How many pixels have a colour: neither black, white nor grey, as axes and letters."""
    return sum(n for n, (r, g, b) in picture.getcolors(1 << 24)
               if max(r, g, b) - min(r, g, b) > 60)


def printed_words(path):
    """Of a PDF its pages, each with its size and its words with their boxes in points."""
    text = subprocess.run(["pdftotext", "-bbox", path, "-"], check=True, text=True,
                          capture_output=True).stdout
    pages = []
    for page in re.findall(r'<page width="([\d.]+)" height="([\d.]+)">(.*?)</page>', text,
                           re.DOTALL):
        words = [(word[4], tuple(map(float, word[:4]))) for word in re.findall(
            r'xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">([^<]*)<',
            page[2])]
        pages.append((float(page[0]), float(page[1]), words))
    return pages


def check(case, page, seen, photograph, width):
    """Of a page that open() measured: it is as wide as it was told to be, and each plot is
    there, with something drawn in it and letters that can be read."""
    case.assertEqual((seen["width"], seen["scroll"]), (width, width))
    case.assertEqual([plot["title"] for plot in seen["plots"]], page.figures)
    for plot in seen["plots"]:
        left, top, wide, high = map(int, plot["box"])
        case.assertGreater(coloured(photograph.crop((left, top, left + wide, top + high))),
                           100, plot["title"])
        case.assertGreaterEqual(plot["letters"], 11, plot["title"])
        case.assertLessEqual(left + wide, width)


def check_print(case, page, path):
    """On paper each plot stands below its title, on the same page and whole."""
    with tempfile.TemporaryDirectory(prefix="convoy-test-") as folder:
        subprocess.run(["pdftoppm", "-r", "72", "-png", path, f"{folder}/page"], check=True)
        pictures = [Image.open(f"{folder}/{name}").convert("RGB")
                    for name in sorted(os.listdir(folder), key=lambda name: int(
                        re.search(r"\d+", name)[0]))]
        for title in page.figures:
            words = title.split()
            found = [(picture, box) for picture, (_, _, texts) in zip(
                pictures, printed_words(path), strict=True)
                for i, (_, box) in enumerate(texts)
                if [text for text, _ in texts[i:i + len(words)]] == words]
            # The words may stand elsewhere, too.
            most = max((coloured(picture.crop((int(left), int(bottom), int(left) + 240,
                                               min(int(bottom) + 150, picture.height))))
                        for picture, (left, _, _, bottom) in found), default=0)
            case.assertGreater(most, 50, title)

"""The progress line on pseudo-terminals: on one row whatever their width, also where it
changes, and what is needed most is what is left."""
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import threading
import time
import unittest

from convoy_case import Case, finish, start, write_images

CLEAR = "\x1b[K"


def set_columns(terminal, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


class Terminal:
    """A pseudo-terminal for a command's stderr, and all that came there."""

    def __init__(self, columns):
        self.ours, self.theirs = pty.openpty()
        set_columns(self.ours, columns)
        self.shown = b""
        self.reader = threading.Thread(target=self.read)

    def read(self):
        while True:
            try:
                part = os.read(self.ours, 65536)
            except OSError:  # what Linux says at its end
                part = b""
            if not part:
                return
            self.shown += part

    def wait(self, process, n):
        """Until n drawings more were begun."""
        n += self.shown.count(b"\r")
        while process.poll() is None and self.shown.count(b"\r") < n:
            time.sleep(0.01)

    def run(self, *arguments, meanwhile=None):
        process = start(arguments, stderr=self.theirs)
        os.close(self.theirs)
        self.reader.start()
        if meanwhile:
            meanwhile(process)
        done = finish(process)
        self.reader.join()
        os.close(self.ours)
        return done.status, self.shown.decode()


class Progress(Case):
    def frames(self, shown):
        """The drawings, "" where the line was cleared; each begins in the first column."""
        self.assertNotIn("\n", shown, "a new row")
        first, *frames = shown.split("\r")
        self.assertEqual(first, "")
        for frame in frames:
            self.assertTrue(frame.endswith(CLEAR), frame)
        self.assertEqual(frames[-1], CLEAR, "the line was not cleared")
        return [frame[:-len(CLEAR)] for frame in frames]

    def train_on(self, terminal, meanwhile, **changes):
        """The drawings of a long training, which is stopped when meanwhile returns."""
        recipe = self.write_recipe(schedule={"epochs": 1000}, checkpoint={"every_epochs": 0},
                                   **changes)

        def watch(process):
            meanwhile(process)
            process.send_signal(signal.SIGTERM)
        status, shown = terminal.run("train", recipe, "--out", self.new_run(),
                                     meanwhile=watch)
        self.assertEqual(status, 75, shown)
        shown, message, _ = shown.partition("convoy: stopped")
        self.assertTrue(message, shown)
        return self.frames(shown)

    def test_the_line_fits_the_terminal(self):
        name, share = r"epoch \d+/1000", r"\d+%"
        bar, count, left = r"\[=*>? *\]", r"\d+/10000", r"[0-9:]+ left"
        loss, speed = r"loss \d+\.\d{4}", r"\d+ img/s"
        wait, threads = r"input wait \d+\.\d %", r"\d+ loader threads?"
        expected = {
            12: r"epoch \d/\d{3}",  # all that there is room for
            40: f"{name} {share}  {loss}  {left}",
            80: f"{name} {bar} {share} {count}  {loss}, {speed}  {left}",
            200: f"{name} {bar} {share} {count}  {loss}, {speed}, {wait}, {threads}  {left}",
        }
        for columns, words in expected.items():
            terminal = Terminal(columns)
            frames = self.train_on(terminal, lambda process: terminal.wait(process, 6))
            for frame in frames:
                self.assertLess(len(frame), columns, frame)
            self.assertTrue(any(re.fullmatch(words, frame) for frame in frames), frames)

    def test_the_step_that_ends_an_epoch_belongs_to_it(self):
        """Each step is an epoch here."""
        terminal = Terminal(200)
        frames = self.train_on(terminal, lambda process: terminal.wait(process, 6),
                               batch={"size": 240})
        shown = [re.match(r"epoch (\d+)/1000 .*% (\d+)/1000 ", frame)
                 for frame in frames if frame]
        self.assertTrue(shown)
        for match in shown:
            self.assertEqual(match[1], match[2], match[0])

    def test_a_window_that_changes_is_followed(self):
        terminal = Terminal(200)
        before = []

        def narrow(process):
            terminal.wait(process, 5)
            set_columns(terminal.ours, 40)
            before.append(terminal.shown.count(b"\r"))
            terminal.wait(process, 6)
        frames = self.train_on(terminal, narrow)
        self.assertGreater(max(map(len, frames[:5])), 40)
        after = frames[before[0] + 1:]  # one may have been under way
        self.assertTrue(any(after), frames)
        for frame in after:
            self.assertLess(len(frame), 40, frame)

    def test_other_commands_fit_too(self):
        recipe = self.write_recipe(name="other.yaml")
        out = self.new_run()
        self.expect("train", recipe, "--out", out, "--quiet", "--stop-after-steps", 0)
        images, _ = write_images(self.folder / "many", 10000, seed=3)
        pack = self.folder / "many.h5"
        drawn = {}
        for name, *command in (
                ("pack", images, "-o", pack),
                ("verify", pack),
                ("eval", "--weights", self.checkpoints(out)[0], "--data", pack,
                 "--microbatch", 1)):
            status, shown = Terminal(20).run(name, *command)
            self.assertEqual(status, 0, shown)
            # The first two may be too quick for a drawing.
            drawn[name] = self.frames(shown) if shown else []
            for frame in drawn[name]:
                self.assertLess(len(frame), 20, frame)
        self.assertTrue(any(drawn["eval"]))


if __name__ == "__main__":
    unittest.main()

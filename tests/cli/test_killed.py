"""A run that is killed or stopped at fifty random moments, and goes on each time on another
number of ranks: it ends with the weights of one that nobody disturbed, and no moment leaves
a file that is not what its name says."""
import collections
import os
import random
import signal
import time
import unittest

from convoy_case import Case, children, finish, start

LIVES = 50
SEED = 20250131
WHAT = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
TAIL = 7  # steps after the last life


class Killed(Case):
    """Steps of a few milliseconds, a checkpoint every third of them and an evaluation every
    tenth: so that moments fall into all three."""

    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(
            schedule={"epochs": 100000},
            checkpoint={"keep": 2, "every_steps": 3, "every_epochs": 1})

    def begins(self, out, process, n_starts):
        """Waits for the line of the life's start: from then on moments are random."""
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and process.poll() is None:
            path = out / "metrics.jsonl"
            if path.exists() and path.read_text().count('"start"') > n_starts:
                return
            time.sleep(0.002)
        done = finish(process)
        self.fail(f"{process.args} does not begin: {done}")

    def hit(self, process, ranks, number, draw):
        """The signal to one rank, when there is one; of SIGKILL sometimes to all of the job."""
        ranks_of = [] if ranks else [process.pid]
        while not ranks_of and process.poll() is None:
            time.sleep(0.002)
            ranks_of = children(process.pid)
        if not ranks_of:
            return
        targets = [draw.choice(ranks_of)]
        if number == signal.SIGKILL and draw.random() < 0.5:
            targets = ranks_of + [process.pid]
        for pid in targets:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def assert_nothing_half(self, out):
        """Every file under a final name is whole, and so is every line of the metrics."""
        for path in (out / "checkpoints").iterdir():
            if path.suffix == ".h5":
                self.expect("weights", "hash", path)
        self.metrics(out)

    def live(self, out, life, draw):
        """One life, hit at a random moment; what it ended with."""
        number, ranks = draw.choice(WHAT), draw.choice((0, 1, 2, 3, 4))
        before = out / "metrics.jsonl"
        n_starts = before.read_text().count('"start"') if before.exists() else 0
        process = start(["train", self.recipe, "--out", out, "--quiet"], ranks)
        if draw.random() < 0.9:
            self.begins(out, process, n_starts)
            time.sleep(draw.random() ** 2 * 0.25)
        else:
            time.sleep(draw.random() * 0.5)  # while it starts
        self.hit(process, ranks, number, draw)
        done = finish(process)
        saves = number != signal.SIGKILL
        if saves and ranks == 0 and n_starts < self.starts(out):
            self.assertEqual(done.status, 75, f"life {life}: {done}")
        self.assertNotEqual(done.status, 0, f"life {life}: {done}")
        return done

    def starts(self, out):
        path = out / "metrics.jsonl"
        return path.read_text().count('"start"') if path.exists() else 0

    def test_fifty_moments_leave_no_trace(self):
        draw = random.Random(SEED)
        out = self.new_run()
        for life in range(LIVES):
            with self.subTest(life=life):
                self.live(out, life, draw)
                self.assert_nothing_half(out)
        last = self.steps_saved(out)[-1]
        self.assertGreater(last, 0)
        steps = last + TAIL
        self.expect("train", self.recipe, "--out", out, "--quiet", "--stop-after-steps",
                    steps, ranks=2)
        whole = self.train(self.recipe, "--stop-after-steps", steps)
        self.assertEqual(self.hash(out), self.hash(whole))
        logged = collections.Counter(line["step"] for line in self.metrics(out)
                                     if line["event"] == "step")
        self.assertEqual(logged, collections.Counter(range(1, steps + 1)))


if __name__ == "__main__":
    unittest.main()

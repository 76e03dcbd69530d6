"""One run, one life: a process that is taken for over, and goes on after its successor,
changes nothing in the run's folder, at whatever point it was stopped; and a lock whose
holder gives no sign of life does not hold."""
import os
import pathlib
import signal
import tempfile
import threading
import time
import unittest

from convoy_case import TIMEOUT_S, finish, start, wait_for
from test_run_folder import Folder

STOP_AT = os.environ["CONVOY_STOP_AT"]
# Seconds without a renewal after which a lock does not hold.
SILENCE = "export CONVOY_LOCK_SILENCE=0.5"


def wait_until_stopped(process):
    until_s = time.monotonic() + TIMEOUT_S
    while pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0] != "T":
        if process.poll() is not None or time.monotonic() > until_s:
            raise AssertionError(f"{process.args} did not stop")
        time.sleep(0.01)


def contents(folder):
    """All that is in the folder, with bytes and times."""
    def what(path):
        if path.is_symlink():
            return os.readlink(path)
        return path.read_bytes() if path.is_file() else None
    return {str(path.relative_to(folder)): (path.lstat().st_mtime_ns, what(path))
            for path in folder.rglob("*")}


class Lives(Folder):
    def setUp(self):
        super().setUp()
        self.long = self.write_recipe("long.yaml", schedule={"epochs": 1000},
                                      checkpoint={"keep": 1}, metrics={"tensorboard": True})

    def start_first(self, stop_at="", ranks=0):
        shell = f"{SILENCE}; echo $$ >>{self.folder}/processes"
        if stop_at:
            shell += f"; export LD_PRELOAD={STOP_AT} STOP_AT={stop_at}"
        process = start(["train", self.long, "--out", self.out, "--quiet"], ranks, shell)
        self.addCleanup(process.kill)
        return process

    def signal_first(self, number):
        for process in (self.folder / "processes").read_text().split():
            os.kill(int(process), number)

    def run_second(self, *options, more=15):
        """A successor that takes some steps; its process and what it said."""
        newest = (self.steps_saved(self.out) or [0])[-1]
        process = start(["train", self.long, "--out", self.out, "--stop-after-steps",
                         newest + more, *options], shell=SILENCE)
        done = finish(process)
        self.assertEqual(done.status, 0, done)
        return process, done

    def assert_first_changes_nothing(self, first):
        process, done = self.run_second()
        self.assertIn("ended without a word", done.out)
        before = contents(self.out)
        self.signal_first(signal.SIGCONT)
        self.assert_one_message(finish(first), "another run", f"process {process.pid}",
                                "without saving")
        self.assertEqual(contents(self.out), before)
        steps = [line["step"] for line in self.metrics(self.out) if line["event"] == "step"]
        self.assertEqual(steps, list(range(1, steps[-1] + 1)))

    def test_a_process_that_was_stopped_at_a_rename_changes_nothing(self):
        # While it sets up; between a checkpoint's writing and its name; as it removes one.
        for place in ("recipe.yaml", "metrics.jsonl", "tensorboard/events",
                      "checkpoints/step-00000020.h5", "life-1/step-00000010.h5.tmp"):
            with self.subTest(place):
                self.out = self.new_run()
                (self.folder / "processes").write_text("")
                first = self.start_first(place)
                wait_until_stopped(first)
                self.assert_first_changes_nothing(first)

    def test_ranks_that_were_stopped_change_nothing(self):
        first = self.start_first(ranks=2)
        wait_for(first, self.out / "checkpoints/step-00000010.h5")
        self.signal_first(signal.SIGSTOP)
        self.assert_first_changes_nothing(first)

    def test_one_that_has_nothing_to_write_ends_too(self):
        self.long = self.write_recipe("long.yaml", schedule={"epochs": 10000},
                                      checkpoint={"every_epochs": 0},
                                      metrics={"every_steps": 10 ** 6},
                                      data={"val": ""})
        first = self.start_first()
        wait_for(first, self.out / "metrics.jsonl")
        self.signal_first(signal.SIGSTOP)
        process, _ = self.run_second(more=5)
        before = contents(self.out)
        self.signal_first(signal.SIGCONT)
        self.assert_one_message(finish(first), "another run", f"process {process.pid}")
        self.assertEqual(contents(self.out), before)

    def test_one_that_was_stopped_before_it_had_the_lock_is_a_later_life(self):
        first = self.start_first("run.lock")
        wait_until_stopped(first)
        self.run_second()
        self.assertEqual((self.out / "life-2/run.lock").read_text().count("life: 2\n"), 1)
        self.signal_first(signal.SIGCONT)
        wait_for(first, self.out / "checkpoints/step-00000030.h5")
        first.send_signal(signal.SIGTERM)
        self.assertEqual(finish(first).status, 75)
        self.assertEqual([path.name for path in self.out.glob("life-*")], ["life-3"])

    def test_one_that_was_stopped_and_has_no_successor_goes_on(self):
        first = self.start_first()
        wait_for(first, self.out / "metrics.jsonl")
        self.signal_first(signal.SIGSTOP)
        time.sleep(1)
        self.signal_first(signal.SIGCONT)
        first.send_signal(signal.SIGTERM)
        self.assertEqual(finish(first).status, 75)

    def test_checkpoints_may_be_on_another_file_system(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
            self.out.mkdir()
            (self.out / "checkpoints").symlink_to(other)
            self.run_second(more=25)
            *best, newest = self.steps_saved(self.out)
            self.assertEqual((len(best), newest), (1, 25))
            self.assertEqual([name for name in os.listdir(other) if ".tmp" in name], [])


class Silence(Folder):
    """Locks of another host, of which nothing is known but their times."""

    def setUp(self):
        super().setUp()
        self.write_lock(host="elsewhere", job="4711", life=7)

    def start_next(self, shell=SILENCE):
        return start(["train", self.write_recipe(), "--out", self.out,
                      "--stop-after-steps", 1], shell=shell)

    def test_a_silent_one_is_waited_for_and_taken_over(self):
        done = finish(self.start_next("export CONVOY_LOCK_SILENCE=4"))
        self.assertEqual(done.status, 0, done.err)
        self.assertRegex(done.out, r"waiting up to \d s for a sign of life")
        self.assertRegex(done.out, "ended without a word .*elsewhere, job 4711")
        self.assertIn("life: 8\n", (self.out / "life-8/run.lock").read_text())
        self.assertFalse(self.lock.exists())

    def test_one_that_is_old_is_taken_over_at_once(self):
        os.utime(self.lock, (time.time() - 3600,) * 2)
        done = finish(self.start_next(shell=None))
        self.assertEqual(done.status, 0, done.err)
        self.assertNotIn("waiting", done.out)

    def test_one_that_is_renewed_is_respected(self):
        text = self.lock.read_text()
        process = self.start_next("export CONVOY_LOCK_SILENCE=60")
        ended = threading.Event()

        def renew():
            while not ended.wait(0.05):
                os.utime(self.lock)
        renewing = threading.Thread(target=renew)
        renewing.start()
        try:
            done = finish(process)
        finally:
            ended.set()
            renewing.join()
        self.assert_one_message(done, "another run", "elsewhere, job 4711")
        self.assertEqual(self.lock.read_text(), text)

    def test_a_signal_ends_the_waiting(self):
        process = self.start_next("export CONVOY_LOCK_SILENCE=3600")
        line = process.stdout.readline()
        self.assertIn("waiting up to", line)
        process.send_signal(signal.SIGTERM)
        self.assert_one_message(finish(process), "stopped by a signal before", status=75)
        self.assertTrue(self.lock.exists())

    def test_a_holder_of_this_host_renews_its_lock(self):
        self.lock.unlink()
        process = start(["train", self.long, "--out", self.out, "--quiet"], shell=SILENCE)
        wait_for(process, self.lock)
        before_ns = self.lock.stat().st_mtime_ns
        until_s = time.monotonic() + TIMEOUT_S
        while self.lock.stat().st_mtime_ns == before_ns and time.monotonic() < until_s:
            time.sleep(0.01)
        self.assertGreater(self.lock.stat().st_mtime_ns, before_ns)
        self.assertEqual(self.stop(process).status, 75)


if __name__ == "__main__":
    unittest.main()

"""What a batch system or a shell does to the process: signals save and end with status
75, and closed descriptors or files that are none cannot hold it up."""
import fcntl
import os
import pathlib
import re
import signal
import socket
import time
import unittest

from convoy_case import TIMEOUT_S, Case, finish, start, wait_for


def catches(pid, number):
    """Whether the process has a handler for the signal."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^SigCgt:\s*(\w+)", status, re.M)[1], 16) >> (number - 1) & 1


def until(holds):
    deadline_s = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


class Signals(Case):
    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(schedule={"epochs": 1000})

    def start_run(self, **options):
        """A run that has taken a step."""
        out = self.new_run()
        process = start(["train", self.recipe, "--out", out, "--quiet"], **options)
        wait_for(process, out / "metrics.jsonl")
        return out, process

    def assert_saved(self, out, done):
        self.assert_one_message(done, "stopped by a signal", status=75)
        self.assertEqual(self.steps_saved(out)[-1], self.metrics(out)[-1]["step"])

    def test_each_signal_of_a_batch_system_saves(self):
        for number in (signal.SIGUSR2, signal.SIGHUP, signal.SIGXCPU):
            with self.subTest(signal=number):
                out, process = self.start_run()
                process.send_signal(number)
                self.assert_saved(out, finish(process))

    def test_a_signal_that_comes_twice_still_saves(self):
        for number in (signal.SIGTERM, signal.SIGUSR1):
            with self.subTest(signal=number):
                out, process = self.start_run()
                process.send_signal(signal.SIGSTOP)  # both wait for it to go on
                process.send_signal(number)
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
                self.assert_saved(out, finish(process))

    def test_a_second_interrupt_ends_at_once(self):
        # Output that nobody reads holds the run up, so that the save cannot come first.
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * 4096)
        out = self.new_run()
        process = start(["train", self.recipe, "--out", out], stdout=writer)
        os.close(writer)
        wait_for(process, out / "run.json")
        process.send_signal(signal.SIGINT)
        until(lambda: not catches(process.pid, signal.SIGINT))
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(finish(process).status, -signal.SIGINT)

    def test_a_hang_up_that_was_ignored_stays_so(self):
        out, process = self.start_run(
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        # Not for one checkpoint by name: a fast run has removed it before anybody looks.
        until(lambda: self.steps_saved(out)[-1:] >= [20])
        wait_for(process, out / "metrics.jsonl", (out / "metrics.jsonl").stat().st_size)
        process.send_signal(signal.SIGTERM)
        self.assert_saved(out, finish(process))


class TimeLimits(Case):
    """The run saves and ends by itself while there is time."""

    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(schedule={"epochs": 1000}, checkpoint={"keep": 2})

    def assert_ends_in_time(self, done, out, words):
        self.assert_one_message(done, words, status=75)
        step = self.steps_saved(out)[-1]
        self.assertIn(f"after saving step {step}", done.err)
        self.assertEqual(self.metrics(out)[-1]["step"], step)
        whole = self.train(self.recipe, "--stop-after-steps", step)
        self.assertEqual(self.hash(out), self.hash(whole))

    def test_minutes_that_were_given(self):
        out = self.new_run()
        done = self.run_convoy("train", self.recipe, "--out", out, "--quiet",
                               "--max-minutes", "0.03")
        self.assert_ends_in_time(done, out, "stopped in time for --max-minutes")

    def test_the_end_of_a_job(self):
        out = self.new_run()
        done = self.run_convoy("train", self.recipe, "--out", out, "--quiet", ranks=2,
                               shell="export SLURM_JOB_END_TIME=$(($(date +%s) + 4))")
        self.assert_ends_in_time(done, out, "stopped in time for the end of the job")

    def test_each_life_gets_on(self):
        out = self.new_run()
        for step in (1, 2):
            self.train(self.recipe, "--max-minutes", "0.0001", out=out, status=75)
            self.assertEqual(self.steps_saved(out)[-1], step)

    def test_what_is_no_limit(self):
        done = self.run_convoy("train", self.recipe, "--out", self.new_run(),
                               "--stop-after-steps", 3, "--max-minutes", "60",
                               shell="export SLURM_JOB_END_TIME=1000000000")
        self.assertEqual(done.status, 0, done.err)
        self.assertIn("SLURM_JOB_END_TIME is over already", done.out)
        for value in ("0", "-1", "nan", "inf", "5m", ""):
            self.assert_one_message(
                self.run_convoy("train", self.recipe, "--out", self.new_run(),
                                "--max-minutes", value), "--max-minutes", status=2)


class Descriptors(Case):
    def test_without_standard_streams_a_run_ends_well(self):
        recipe = self.write_recipe()
        whole = self.hash(self.train(recipe, "--stop-after-steps", 12))
        for shell in ("exec <&- >&- 2>&-", "exec <&-", "exec 2>&-"):
            for ranks in (0, 2):
                with self.subTest(shell=shell, ranks=ranks):
                    out = self.new_run()
                    done = self.run_convoy("train", recipe, "--out", out,
                                           "--stop-after-steps", 12, shell=shell,
                                           ranks=ranks)
                    self.assertEqual(done.status, 0, done)
                    self.assertEqual(self.hash(out), whole)


class Irregular(Case):
    """Pipes, sockets and devices where a file is expected: refused without waiting."""

    def commands(self, path):
        yield from (("info", path), ("verify", path), ("weights", "hash", path),
                    ("weights", "diff", path, path),
                    ("weights", "export", path, "-o", self.folder / "o.safetensors"),
                    ("weights", "import", path, "-o", self.folder / "o.h5", "--model", "mlp"),
                    ("train", path, "--out", self.folder / "run"),
                    ("train", self.write_recipe(), "--out", self.folder / "run",
                     "--set", f"data.train={path}"),
                    ("train", self.write_recipe(), "--out", self.folder / "run",
                     "--resume", path),
                    ("train", self.write_recipe(), "--out", self.folder / "run",
                     "--set", f"init.weights={path}"),
                    ("eval", "--weights", path, "--data", self.train_pack),
                    ("predict", "--weights", path, "x.jpg"), ("bench", "loader", path),
                    ("pack", path, "-o", self.folder / "o.h5"),
                    ("pack", self.folder / "images", "-o", self.folder / "o.h5",
                     "--devkit", path))

    def test_every_command_refuses_them(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        (self.folder / "images" / "a").mkdir(parents=True)
        (self.folder / "images" / "a" / "0.jpg").write_bytes(b"\xff\xd8\xff")
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(self.folder / "socket"))
            for path in (pipe, self.folder / "socket", "/dev/zero"):
                for command in self.commands(path):
                    with self.subTest(command=command):
                        done = finish(start(command), timeout_s=20)
                        self.assert_one_message(done, path, "not a regular file")

    def test_a_pipe_beside_an_image_file_does_not_stop_packing(self):
        labels = self.shared / "train" / "train-labels-idx1-ubyte"
        images = self.folder / "train-images-idx3-ubyte"
        images.write_bytes((self.shared / "train" / images.name).read_bytes())
        os.mkfifo(self.folder / labels.name)
        done = finish(start(["pack", images, "-o", self.folder / "o.h5"]), timeout_s=20)
        self.assert_one_message(done, labels.name, "not a regular file")

    def test_a_recipe_may_come_through_a_link_and_the_standard_input(self):
        recipe = self.write_recipe()
        link = self.folder / "link.yaml"
        link.symlink_to(recipe)
        self.train(link, "--stop-after-steps", 0)
        with open(recipe) as file:
            done = finish(start(["train", "/dev/stdin", "--out", self.new_run(),
                                 "--stop-after-steps", "0"], stdin=file))
        self.assertEqual(done.status, 0, done)


if __name__ == "__main__":
    unittest.main()

"""A run directory has one run at a time, what is lost of it is made again, and what fails
leaves nothing half-written behind."""
import os
import signal
import socket
import subprocess
import unittest

from convoy_case import Case, finish, start, wait_for


class Folder(Case):
    def setUp(self):
        super().setUp()
        self.long = self.write_recipe("long.yaml", schedule={"epochs": 1000})
        self.out = self.folder / "run"
        self.lock = self.out / "run.lock"

    def start_run(self, seen="metrics.jsonl", ranks=0):
        process = start(["train", self.long, "--out", self.out, "--quiet"], ranks)
        wait_for(process, self.out / seen)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        return finish(process)

    def next_run(self, *options, ranks=0):
        return self.run_convoy("train", self.long, "--out", self.out, "--stop-after-steps",
                               self.steps() + 3, *options, ranks=ranks)

    def steps(self):
        return max(line["step"] for line in self.metrics(self.out))

    def write_lock(self, **changes):
        """The lock of a run that ended long ago, or of what changes say."""
        ended = subprocess.Popen(["true"])
        ended.wait()
        holder = {"host": socket.gethostname(), "process": ended.pid,
                  "since": "2025-01-31T12:00:00Z", "job": "", "restarts": 0, "born": 12345,
                  "space": os.readlink("/proc/self/ns/pid"), **changes}
        self.out.mkdir(exist_ok=True)
        self.lock.write_text("".join(f"{key}: {value}\n" for key, value in holder.items()))


class Locked(Folder):
    def test_a_second_run_is_refused_and_the_first_goes_on(self):
        process = self.start_run()
        for options in ((), ("--resume", "never")):
            done = self.run_convoy("train", self.long, "--out", self.out, *options)
            self.assert_one_message(done, "another run", f"process {process.pid}",
                                    socket.gethostname(), self.out)
        self.assert_one_message(self.run_convoy("train", self.long, "--out", self.out, ranks=2),
                                "another run", self.out)
        self.assertEqual(self.stop(process).status, 75)
        steps = [line["step"] for line in self.metrics(self.out) if line["event"] == "step"]
        self.assertEqual(steps, list(range(1, steps[-1] + 1)))
        self.assertFalse(self.lock.exists())

    def test_the_holders_job_is_named(self):
        self.write_lock(host="node17", job="4711")
        done = self.run_convoy("train", self.long, "--out", self.out)
        self.assert_one_message(done, "process", "node17", "job 4711", "2025-01-31",
                                f"remove {self.lock}")

    def test_every_orderly_end_gives_the_folder_back(self):
        recipe = self.write_recipe()
        self.train(recipe, "--stop-after-steps", 3, out=self.out, ranks=2)
        self.assertFalse(self.lock.exists())
        self.train(recipe, "--set", "seed=2", out=self.out, ranks=2, status=1)
        self.assertFalse(self.lock.exists())
        self.train(recipe, "--resume", self.folder / "none.h5", out=self.out, status=1)
        self.assertFalse(self.lock.exists())

    def test_what_a_killed_run_left_is_taken_over_with_a_word(self):
        process = self.start_run("checkpoints/step-00000010.h5")
        process.kill()
        finish(process)
        self.assertTrue(self.lock.exists())
        done = self.next_run()
        self.assertEqual(done.status, 0, done.err)
        self.assertIn(f"process {process.pid} on {socket.gethostname()}", done.out)
        self.assertFalse(self.lock.exists())

    def test_a_number_that_went_to_another_process_is_not_the_holder(self):
        self.write_lock(process=os.getpid())
        self.train(self.write_recipe(), "--stop-after-steps", 1, out=self.out)
        self.assertFalse(self.lock.exists())

    def test_of_another_host_or_namespace_nothing_is_known(self):
        for changes in ({"host": "elsewhere"}, {"space": "pid:[1]"}):
            self.write_lock(**changes)
            self.assert_one_message(
                self.run_convoy("train", self.long, "--out", self.out), "another run")
            self.assertTrue(self.lock.exists())

    def test_a_job_that_was_queued_again_takes_its_folder_over(self):
        recipe = self.write_recipe()
        arguments = ["train", recipe, "--out", self.out, "--stop-after-steps", 1]
        for restarts, status in (("0", 1), ("1", 0)):
            self.write_lock(host="elsewhere", job="4711")
            done = finish(start(arguments, shell="export SLURM_JOB_ID=4711; export "
                                f"SLURM_RESTART_COUNT={restarts}"))
            self.assertEqual(done.status, status, done.err)
            self.assertEqual(self.lock.exists(), status == 1)

    def test_an_earlier_life_that_still_runs_sees_it_and_ends(self):
        first, second = None, None
        for life in range(2):
            seen = self.out / f"checkpoints/step-{10 * (life + 1):08}.h5"
            first, second = second, start(
                ["train", self.long, "--out", self.out, "--quiet"],
                shell=f"export SLURM_JOB_ID=4711 SLURM_RESTART_COUNT={life}")
            wait_for(second, seen)
        self.assert_one_message(finish(first), "another run", f"process {second.pid}",
                                "without saving")
        wait_for(second, self.out / "checkpoints/step-00000500.h5")
        self.assertEqual(self.stop(second).status, 75)
        steps = [line["step"] for line in self.metrics(self.out) if line["event"] == "step"]
        self.assertEqual(steps, list(range(1, steps[-1] + 1)))

    def test_an_unreadable_lock_is_refused_too(self):
        self.out.mkdir()
        self.lock.write_text("")
        self.assert_one_message(self.run_convoy("train", self.long, "--out", self.out),
                                "another run", self.lock)


class Lost(Folder):
    def test_a_checkpoints_folder_that_is_removed_is_made_again(self):
        process = self.start_run("checkpoints/step-00000010.h5")
        (self.out / "checkpoints").rename(self.folder / "gone")
        wait_for(process, self.out / "checkpoints")
        self.assertEqual(self.stop(process).status, 75)
        self.assertEqual(self.steps_saved(self.out)[-1], self.steps())

    def test_a_link_with_a_temporary_name_is_not_followed(self):
        target = self.folder / "precious"
        target.write_text("kept")
        folder = self.out / "checkpoints"
        folder.mkdir(parents=True)
        # The names that version 0.1 wrote, and those of the process that is to come.
        script = (f'for f in checkpoints/step-00000003.h5 recipe.yaml; do '
                  f'ln -s {target} "{self.out}/$f.$(hostname)-$$.tmp"; '
                  f'ln -s {target} "{self.out}/$f.tmp"; done')
        done = finish(start(["train", self.write_recipe(), "--out", self.out,
                             "--stop-after-steps", 3], shell=script))
        self.assertEqual(done.status, 0, done.err)
        self.assertEqual(target.read_text(), "kept")
        self.assertEqual(self.steps_saved(self.out), [3])

    def test_leftovers_of_dead_processes_go_and_others_stay(self):
        folder = self.out / "checkpoints"
        folder.mkdir(parents=True)
        ended = subprocess.Popen(["true"])
        ended.wait()
        host = socket.gethostname()
        gone = [folder / f"step-00000001.h5.{host}-{ended.pid}.tmp",
                folder / "step-00000001.h5.tmp"]
        kept = [folder / "step-00000001.h5.elsewhere-17.tmp",
                folder / f"step-00000009.h5.{host}-{ended.pid}.tmp"]
        for path in gone + kept:
            path.write_text("x")
        self.train(self.write_recipe(), "--stop-after-steps", 3, out=self.out)
        self.assertEqual([path.exists() for path in gone + kept],
                         [False, False, True, True])


class FileSize(Folder):
    """Under a limit on the size of files, which leaves MPI what it needs."""
    LIMIT = 8 << 20

    def limited(self, *arguments, limit=LIMIT):
        return finish(start(arguments, shell=f"ulimit -f {limit // 512}"))

    def refused(self, done):
        self.assert_one_message(done, "File too large")

    def leftovers(self):
        return [path for path in self.folder.rglob("*.tmp*") if path.is_file()]

    def test_packing(self):
        pack = self.folder / "big.h5"
        images = self.shared / "train" / "train-images-idx3-ubyte"
        self.refused(self.limited("pack", images, "-o", pack, limit=8192))
        self.assertFalse(pack.exists())
        self.assertEqual(self.leftovers(), [])

    def wide_recipe(self):
        return self.write_recipe(model={"name": "mlp", "width": 1024, "batch_norm": False})

    def test_checkpoints(self):
        self.refused(self.limited("train", self.wide_recipe(), "--out", self.out, "--quiet",
                                  "--stop-after-steps", 1))
        self.assertEqual(self.steps_saved(self.out), [])
        self.assertEqual(self.leftovers(), [])
        self.assertFalse(self.lock.exists())

    def test_a_checkpoint_that_has_no_room_again_is_not_begun(self):
        done = self.limited("train", self.wide_recipe(), "--out", self.out, "--set",
                            "checkpoint.every_steps=1", "--stop-after-steps", 4)
        self.refused(done)
        self.assertIn("without step 4 saved", done.err)
        self.assertRegex(done.err, r"checkpoints: has no room for \d+ bytes")
        self.assertIn("cannot write", done.out)  # the first time
        self.assertEqual(self.leftovers(), [])

    def test_metrics(self):
        self.out.mkdir()
        lines = b'{"event": "step", "step": 0, "pad": "' + b"x" * 60 + b'"}\n'
        (self.out / "metrics.jsonl").write_bytes(lines * (self.LIMIT // len(lines)))
        self.refused(self.limited("train", self.write_recipe(), "--out", self.out, "--quiet"))
        self.assertEqual(self.leftovers(), [])
        self.assertFalse(self.lock.exists())

    def test_weights(self):
        out = self.train(self.wide_recipe(), "--stop-after-steps", 0)
        self.refused(self.limited("weights", "export", self.checkpoints(out)[0], "-o",
                                  self.folder / "big.safetensors"))
        self.assertEqual(self.leftovers(), [])


if __name__ == "__main__":
    unittest.main()

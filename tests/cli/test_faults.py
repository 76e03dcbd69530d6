"""What disks and memory do to saving: calls of the thread that writes checkpoints fail now
and then, or for a while, by a library that is preloaded. Training goes on, no good
checkpoint is lost, and a run whose last state is not saved says so."""
import os
import signal
import time
import unittest

try:
    import event_file
except ModuleNotFoundError:
    event_file = None  # test_tensorboard tells

from convoy_case import Case, TIMEOUT_S, end, finish, start, wait_for

LIBRARY = os.environ["CONVOY_FAILING_FILES"]
CALLS = ("write", "fsync", "rename", "close", "open", "unlink", "symlink", "malloc")


class Faults(Case):
    N = 20  # steps: of 10 an epoch

    def start_faulty(self, recipe, out, calls, every=1, seed=1, during=None,
                     thread="convoy-save", more="", **options):
        settings = {"FAULTS": calls, "EVERY": every, "SEED": seed, "THREAD": thread,
                    **({"WHILE": during} if during else {})}
        words = " ".join(f"CONVOY_TEST_{key}={value}" for key, value in settings.items())
        return start(["train", recipe, "--out", out],
                     shell=f"export {words} LD_PRELOAD={LIBRARY} {more}", **options)

    def assert_nothing_is_broken(self, out):
        """What has a final name verifies; no step is missing in the log, or twice."""
        files = sorted((out / "checkpoints").glob("step-*.h5"))
        if files:
            self.expect("weights", "hash", *files)
        steps = [line["step"] for line in self.metrics(out) if line["event"] == "step"]
        self.assertEqual(steps, list(range(1, steps[-1] + 1)))
        return [int(path.stem[5:]) for path in files]


class NowAndThen(Faults):
    reference = None

    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(
            schedule={"epochs": 2}, checkpoint={"every_steps": 2, "keep": 2})
        if not self.reference:
            type(self).reference = self.hash(self.train(self.recipe))

    def check(self, calls, every, seed):
        out = self.new_run()
        done = finish(self.start_faulty(self.recipe, out, calls, every, seed))
        everything = f"{calls} {every} {seed}\n{done.out}\n{done.err}"
        self.assertIn(done.status, (0, 1), everything)
        saved = self.assert_nothing_is_broken(out)
        heard = [line["step"] for line in self.metrics(out, saves=True)
                 if line["event"] == "save"]
        self.assertTrue(set(heard[-1:]) <= set(saved), everything)
        if done.status == 0:
            self.assertEqual(saved[-1], self.N, everything)
        else:
            self.assertIn(f"without step {self.N} saved", done.err, everything)
            self.assertIn("cannot save step", done.out, everything)
            self.train(self.recipe, out=out)
        self.assertEqual(self.hash(out), self.reference, everything)
        return done.status, len(heard)

    def test_every_call_alone(self):
        for seed, call in enumerate(CALLS):
            self.check(call, 3, seed)

    def test_all_calls(self):
        ends = [self.check(",".join(CALLS), every, seed)
                for seed, every in enumerate((8, 30, 60, 120))]
        self.assertTrue(any(n > 0 for _, n in ends), f"nothing was ever saved: {ends}")

    def test_never(self):
        out = self.new_run()
        done = finish(self.start_faulty(self.recipe, out, "fsync"))
        self.assert_one_message(done, f"without step {self.N} saved", "cannot sync")
        self.assertEqual(done.out.count("cannot save"), 1, done.out)
        self.assertIn("there is no checkpoint yet", done.out)
        self.assertEqual(self.assert_nothing_is_broken(out), [])
        self.assertEqual(list(out.rglob("*.tmp*")), [])

    def test_without_links(self):
        out = self.new_run()
        done = finish(self.start_faulty(self.recipe, out, "symlink"))
        self.assertEqual(done.status, 0, done.err)
        self.assertEqual(done.out.count("latest.h5: cannot become a link"), 1, done.out)
        self.assertEqual(self.hash(out), self.reference)


class Mounted(Faults):
    def test_checkpoints_may_be_another_mount_of_the_same_file_system(self):
        recipe = self.write_recipe(schedule={"epochs": 2}, checkpoint={"keep": 1})
        out = self.new_run()
        done = finish(self.start_faulty(recipe, out, "nothing",
                                        more="CONVOY_TEST_MOUNTED=1"))
        self.assertEqual(done.status, 0, done.err)
        self.assertNotIn("cannot", done.out)
        self.assertEqual(self.assert_nothing_is_broken(out)[-1], self.N)
        self.assertEqual(list(out.rglob("*.tmp*")), [])


class ForAWhile(Faults):
    """A fault that begins when a run has checkpoints, and ends before it does."""

    def setUp(self):
        super().setUp()
        self.out = self.folder / "run"
        self.fault = self.folder / "fault"
        self.log = self.folder / "log"

    def begin(self, calls="open", steps=10, **options):
        recipe = self.write_recipe("long.yaml", schedule={"epochs": 10000}, data={"val": ""},
                                   checkpoint={"every_epochs": 0, "every_steps": steps,
                                               "keep": 3},
                                   metrics={"tensorboard": True})
        with open(self.log, "w") as log:
            process = self.start_faulty(recipe, self.out, calls, during=self.fault,
                                        stdout=log, **options)
        return process

    def wait_for_text(self, process, text):
        until_s = time.monotonic() + TIMEOUT_S
        while text not in self.log.read_text():
            if process.poll() is not None or time.monotonic() > until_s:
                end(process)
                self.fail(f"no '{text}' in {self.log.read_text()}")
            time.sleep(0.01)

    def newest(self):
        return max(self.steps_saved(self.out), default=0)

    def finish(self, process, status=75):
        process.send_signal(signal.SIGTERM)
        done = finish(process)
        self.assertEqual(done.status, status, f"{self.log.read_text()}\n{done.err}")
        self.assert_nothing_is_broken(self.out)
        return done

    def test_a_full_disk(self):
        process = self.begin("write")
        wait_for(process, self.out / "checkpoints/step-00000010.h5")
        self.fault.touch()
        self.wait_for_text(process, "cannot save step")
        kept = self.newest()
        self.assertIn(f"step-{kept:08}.h5", self.log.read_text())
        self.fault.unlink()
        self.wait_for_text(process, "saving works again")
        self.finish(process)
        self.assertGreater(self.newest(), kept)

    def test_a_folder_that_can_only_be_read_until_the_end(self):
        process = self.begin("open")
        wait_for(process, self.out / "checkpoints/step-00000010.h5")
        self.fault.touch()
        self.wait_for_text(process, "cannot save step")
        kept = self.newest()
        done = self.finish(process, status=1)
        self.assertIn("Read-only file system", done.err)
        self.assertEqual(self.newest(), kept)

    def test_a_folder_that_goes_and_comes_back(self):
        process = self.begin()
        wait_for(process, self.out / "checkpoints/step-00000010.h5")
        self.out.rename(self.folder / "gone")
        self.wait_for_text(process, "cannot save step")
        self.assertFalse(self.out.exists())
        (self.folder / "gone").rename(self.out)
        self.wait_for_text(process, "saving works again")
        self.finish(process)

    def test_it_is_tried_again_before_a_save_is_due(self):
        self.fault.touch()
        process = self.begin("rename", steps=300, more="CONVOY_SAVE_RETRY=0")
        self.wait_for_text(process, "cannot save step 300")
        self.fault.unlink()
        self.wait_for_text(process, "saving works again")
        first = self.steps_saved(self.out)[0]
        self.finish(process)
        self.assertNotEqual(first % 300, 0)

    def test_metrics_wait_and_none_is_lost(self):
        process = self.begin("write", thread="convoy")
        wait_for(process, self.out / "metrics.jsonl", size=1000)
        self.fault.touch()
        self.wait_for_text(process, "metrics.jsonl: cannot write")
        self.fault.unlink()
        self.wait_for_text(process, "no line is missing")
        self.finish(process)
        if event_file:
            logged = [line["step"] for line in self.metrics(self.out)
                      if line["event"] == "step"]
            self.assertEqual([event.step for event, value in event_file.values(self.out)
                              if value.tag == "train/loss"], logged)


if __name__ == "__main__":
    unittest.main()

"""A run that is stopped, killed or moved to other ranks gives the weights and metrics of
the uninterrupted one, and what would not is refused."""
import os
import shutil
import signal
import unittest

from convoy_case import Case, children, finish, flip_byte, start, wait_for

N = 25  # steps; an epoch has 10
TIMES = ("images_per_s", "input_wait", "loader_threads", "seconds", "step_s",
         "compute_s", "exchange_s", "hidden_s", "input_s", "optimizer_s", "peak_memory_bytes",
         "val_seconds")


class Resume(Case):
    def until(self, steps, recipe, out=None, **options):
        return self.train(recipe, "--stop-after-steps", steps, out=out, **options)

    def figures(self, out):
        """The metrics without what depends on the clock, and how often it was begun."""
        return [{key: value for key, value in line.items() if key not in TIMES}
                for line in self.metrics(out) if line["event"] not in ("start", "ranks")]

    def damage_newest(self, out):
        newest = self.checkpoints(out)[-1]
        flip_byte(newest, newest.stat().st_size // 2)
        self.expect("weights", "hash", newest, status=1)
        return newest

    def assert_same_run(self, out, recipe, steps=N):
        """out is as an uninterrupted run of these steps left it."""
        whole = self.until(steps, recipe)
        self.assertEqual(self.hash(out), self.hash(whole))
        self.assertEqual(self.figures(out), self.figures(whole))
        logged = [line["step"] for line in self.figures(out) if line["event"] == "step"]
        self.assertEqual(logged, list(range(1, steps + 1)))

    def refused(self, out, recipe, *options, words, ranks=0):
        before = self.contents(out)
        done = self.run_convoy("train", recipe, "--out", out, *options, ranks=ranks)
        self.assert_one_message(done, *words)
        after = self.contents(out)
        self.assertEqual(after, before)


class GoingOn(Resume):
    def test_stops_within_and_at_the_end_of_epochs_leave_no_trace(self):
        recipe = self.write_recipe()
        out = self.until(7, recipe, ranks=2)
        for steps, ranks in ((10, 3), (13, 0), (20, 4), (N, 2)):
            self.until(steps, recipe, out, ranks=ranks)
            self.assertEqual(self.steps_saved(out)[-1], steps)
        self.assert_same_run(out, recipe)

    def test_a_damaged_newest_checkpoint_is_passed_over(self):
        recipe = self.write_recipe()
        out = self.until(23, recipe)
        self.damage_newest(out)
        done = self.expect("train", recipe, "--out", out, "--stop-after-steps", N, ranks=2)
        self.assertIn("step-00000023.h5", done.out)
        self.assertIn("from step 20", done.out)
        self.assert_same_run(out, recipe)

    def test_a_damaged_checkpoint_is_not_one_of_those_to_keep(self):
        recipe = self.write_recipe(checkpoint={"keep": 1}, data={"val": ""})
        out = self.until(10, recipe)
        earlier = self.checkpoints(out)[0]
        kept = earlier.read_bytes()
        self.until(23, recipe, out)
        self.damage_newest(out)
        earlier.write_bytes(kept)
        self.until(13, recipe, out)
        self.assertEqual(self.steps_saved(out), [13, 23])
        self.until(N, recipe, out)
        self.assert_same_run(out, recipe)

    def test_where_no_checkpoint_is_good_nothing_begins(self):
        recipe = self.write_recipe(checkpoint={"keep": 2})
        out = self.until(13, recipe)
        for path in self.checkpoints(out):
            os.truncate(path, path.stat().st_size // 3)
        for ranks in (0, 2):
            self.refused(out, recipe, words=("step-00000013.h5", "2 that cannot",
                                             "--resume FILE", "--out"), ranks=ranks)
        self.refused(out, recipe, "--resume", "never", words=("never", "step 13"))

    def test_what_cannot_be_read_now_is_not_passed_over(self):
        recipe = self.write_recipe()
        out = self.until(3, recipe)
        os.symlink("step-00000009.h5", out / "checkpoints" / "step-00000009.h5")  # a loop
        for ranks in (0, 2):
            self.refused(out, recipe, words=("step-00000009.h5", "cannot open"), ranks=ranks)

    def test_a_checkpoint_cut_short_is_passed_over(self):
        recipe = self.write_recipe()
        out = self.until(13, recipe)
        newest = self.checkpoints(out)[-1]
        os.truncate(newest, newest.stat().st_size // 3)
        self.until(N, recipe, out)
        self.assert_same_run(out, recipe)

    def test_a_file_can_be_gone_on_from_elsewhere_and_with_another_recipe(self):
        recipe = self.write_recipe()
        first = self.until(13, recipe)
        file = self.folder / "moved.h5"
        shutil.copy(self.checkpoints(first)[-1], file)
        out = self.train(recipe, "--resume", file, "--stop-after-steps", N, ranks=2)
        whole = self.until(N, recipe)
        self.assertEqual(self.hash(out), self.hash(whole))
        other = self.train(recipe, "--resume", file, "--stop-after-steps", N, "--set",
                           "schedule.lr=0.01")
        # What it goes on from is the folder's first checkpoint: no kill makes it begin anew.
        self.assertEqual(self.steps_saved(out)[0], 13)
        moved = self.train(recipe, "--resume", file, "--stop-after-steps", 0)
        self.assertEqual((self.steps_saved(moved), self.hash(moved)), ([13], self.hash(file)))
        self.until(N, recipe, moved)
        self.assertEqual(self.hash(moved), self.hash(whole))
        self.assertNotEqual(self.hash(other), self.hash(whole))

    def test_keys_that_change_no_result_may_change_and_packs_may_move(self):
        recipe = self.write_recipe()
        out = self.until(13, recipe)
        moved = self.folder / "moved.h5"
        shutil.copy(self.train_pack, moved)
        self.until(20, self.write_recipe(
            "other.yaml", data={"train": str(moved), "threads": 3},
            checkpoint={"keep": 2, "every_epochs": 2}, metrics={"every_steps": 2}), out)
        self.until(N, recipe, out)
        self.assertEqual(self.hash(out), self.hash(self.until(N, recipe)))

    def test_lines_of_metrics_come_at_the_same_steps(self):
        recipe = self.write_recipe(metrics={"every_steps": 4})
        out = self.until(7, recipe)
        self.until(N, recipe, out)
        steps = [line["step"] for line in self.metrics(out) if line["event"] == "step"]
        self.assertEqual(steps, [4, 8, 12, 16, 20, 24])

    def test_a_finished_run_has_nothing_left_to_do(self):
        recipe = self.write_recipe(schedule={"epochs": 2})
        out = self.train(recipe)
        before = self.hash(out), self.figures(out)
        self.train(recipe, out=out)
        self.assertEqual((self.hash(out), self.figures(out)), before)

    def test_only_the_newest_checkpoints_are_kept(self):
        recipe = self.write_recipe(checkpoint={"keep": 2}, data={"val": ""})  # no best
        out = self.until(43, recipe)
        self.assertEqual(self.steps_saved(out), [40, 43])
        rare = self.until(43, self.write_recipe(checkpoint={"every_epochs": 3}))
        self.assertEqual(self.steps_saved(rare), [30, 43])
        self.assertEqual(self.hash(rare), self.hash(out))


class Diverged(Resume):

    def test_what_diverged_takes_no_good_ones_place(self):
        # One step an epoch; the first already leads to products that are infinite.
        recipe = self.write_recipe(checkpoint={"keep": 1}, batch={"size": 240, "microbatch": 24},
                                   model={"name": "mlp", "batch_norm": False, "dropout": -1},
                                   schedule={"lr": 1e30, "warmup_epochs": 0})
        out = self.train(recipe, "--stop-after-steps", 0)
        first = self.checkpoints(out)[0].read_bytes()
        for ranks in (0, 2):
            done = self.run_convoy("train", recipe, "--out", out, "--quiet", ranks=ranks)
            self.assert_one_message(done, "validation loss of step 1", "diverged-00000001.h5")
            self.assertEqual(self.steps_saved(out), [0])
            self.assertEqual(self.checkpoints(out)[0].read_bytes(), first)
        again = self.expect("train", recipe, "--out", out, "--stop-after-steps", 0)
        self.assertIn("validation loss of step 1 is not finite", again.out)

    def test_weights_that_are_no_numbers_are_refused_everywhere(self):
        recipe = self.write_recipe(batch={"size": 240, "microbatch": 24},
                                   model={"name": "lenet", "batch_norm": True},
                                   schedule={"lr": 1e300, "warmup_epochs": 0, "epochs": 9},
                                   data={"val": ""})
        out = self.folder / "diverging"
        self.assertEqual(self.run_convoy("train", recipe, "--out", out, "--quiet").status, 1)
        bad, = (out / "checkpoints").glob("diverged-*.h5")
        for arguments in (["eval", "--weights", bad, "--data", self.val_pack],
                          ["predict", "--weights", bad, bad],
                          ["train", recipe, "--out", self.folder / "on", "--resume", bad]):
            for ranks in (0, 2) if arguments[0] != "predict" else (0,):
                self.assert_one_message(self.run_convoy(*arguments, ranks=ranks), bad,
                                        "not finite, the first in ", "diverged")

    def test_one_that_was_saved_is_passed_over(self):
        recipe = self.write_recipe()
        out = self.until(3, recipe)
        name = out / "checkpoints" / "diverged-00000007.h5"
        shutil.copy(self.checkpoints(out)[0], name)
        done = self.expect("train", recipe, "--out", out, "--stop-after-steps", 5)
        self.assertIn("passed over 1", done.out)
        self.assertIn("going on from step 3", done.out)
        self.checkpoints(out)[0].unlink()
        self.checkpoints(out)[0].unlink()
        self.refused(out, recipe, words=("validation loss of step 7", "--out"))


class Refusing(Resume):
    def test_another_recipe(self):
        recipe = self.write_recipe()
        out = self.until(3, recipe)
        for change, words in (("schedule.lr=0.5", ("schedule", "lr", "0.5", "0.02")),
                              ("seed=2", ("seed: 2", "seed: 1")),
                              ("batch.microbatch=4", ("microbatch: 4", "microbatch: 2"))):
            for ranks in (0, 3):
                self.refused(out, recipe, "--set", change, words=(*words, "--resume-anyway"),
                             ranks=ranks)

    def test_another_pack(self):
        recipe = self.write_recipe()
        out = self.until(3, recipe)
        other = self.make_pack("other", 240, seed=9)
        for key, word in (("train", "train pack"), ("val", "validation pack")):
            self.refused(out, recipe, "--set", f"data.{key}={other}",
                         words=(word, "begun with"), ranks=2)

    def test_resume_never_where_there_is_a_run(self):
        recipe = self.write_recipe()
        out = self.train(recipe, "--resume", "never", "--stop-after-steps", 3)
        for ranks in (0, 3):
            self.refused(out, recipe, "--resume", "never", words=("step 3", "never", out),
                         ranks=ranks)

    def test_a_file_behind_which_the_run_directory_already_is(self):
        recipe = self.write_recipe(checkpoint={"keep": 2}, data={"val": ""})
        out = self.until(23, recipe)
        for ranks in (0, 2):
            self.refused(out, recipe, "--resume", self.checkpoints(out)[0],
                         "--stop-after-steps", 21, words=("step 20", "step 23", "--out"),
                         ranks=ranks)

    def test_files_that_cannot_be_gone_on_from(self):
        recipe = self.write_recipe()
        out = self.until(3, recipe)
        mlp = self.until(3, self.write_recipe(
            "mlp.yaml", model={"name": "mlp", "batch_norm": False}))
        damaged = self.damage_newest(self.until(3, recipe))
        for file, word in ((self.folder / "none.h5", "cannot open"),
                           (self.train_pack, "checkpoint"), (damaged, "damaged"),
                           (self.checkpoints(mlp)[0], "the model does not have")):
            for ranks in (0, 3):
                self.refused(out, recipe, "--resume", file, words=(file, word),
                             ranks=ranks)


class Interrupted(Resume):
    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(schedule={"epochs": 1000})

    def start_run(self, out, ranks, seen):
        """A run that has written the file seen."""
        process = start(["train", self.recipe, "--out", out, "--quiet"], ranks)
        wait_for(process, out / seen)
        return process

    def assert_goes_on(self, out, ranks):
        steps = max(line["step"] for line in self.metrics(out)) + 5
        self.until(steps, self.recipe, out, ranks=ranks)
        self.assert_same_run(out, self.recipe, steps)

    def test_signals_save_and_ask_to_be_queued_again(self):
        for number, ranks in ((signal.SIGTERM, 0), (signal.SIGINT, 0),
                              (signal.SIGUSR1, 0), (signal.SIGUSR1, 2)):
            with self.subTest(signal=number, ranks=ranks):
                out = self.new_run()
                process = self.start_run(out, ranks, "metrics.jsonl")
                process.send_signal(number)
                done = finish(process)
                self.assert_one_message(done, "stopped by a signal", status=75)
                last = self.metrics(out)[-1]["step"]
                self.assertEqual(self.steps_saved(out)[-1], last)
                self.assertIn(f"step {last}", done.err)
                self.assert_goes_on(out, ranks=3)

    def test_a_killed_process_loses_nothing_before_its_last_checkpoint(self):
        out = self.new_run()
        process = self.start_run(out, 0, "checkpoints/step-00000020.h5")
        process.kill()
        self.assertEqual(finish(process).status, -signal.SIGKILL)
        with open(out / "metrics.jsonl", "a") as file:
            file.write('{"event": "step", "step": 9')  # a line that was cut off
        self.assertGreaterEqual(self.steps_saved(out)[-1], 20)
        self.until(self.steps_saved(out)[-1] + 5, self.recipe, out, ranks=2)
        self.assert_same_run(out, self.recipe, self.steps_saved(out)[-1])

    def test_a_killed_rank_ends_the_job(self):
        out = self.new_run()
        process = self.start_run(out, 3, "checkpoints/step-00000010.h5")
        os.kill(children(process.pid)[-1], signal.SIGKILL)
        self.assertNotIn(finish(process).status, (0, 75))
        self.until(self.steps_saved(out)[-1] + 5, self.recipe, out)
        self.assert_same_run(out, self.recipe, self.steps_saved(out)[-1])


if __name__ == "__main__":
    unittest.main()

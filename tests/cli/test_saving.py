"""When checkpoints are written, which of them stay, and what points to them. What faults
do to all that is in test_faults.py."""
import os
import unittest

from convoy_case import Case


class Saving(Case):
    def target(self, out, name):
        return os.readlink(out / "checkpoints" / name)

    def saves(self, out):
        return [line["step"] for line in self.metrics(out, saves=True)
                if line["event"] == "save"]


class Triggers(Saving):
    def test_steps(self):
        recipe = self.write_recipe(checkpoint={"every_epochs": 0, "every_steps": 3})
        out = self.train(recipe, "--stop-after-steps", 7, ranks=2)
        self.assertEqual(self.steps_saved(out), [3, 6, 7])
        self.assertEqual(self.target(out, "latest.h5"), "step-00000007.h5")
        self.train(recipe, "--stop-after-steps", 14, out=out)
        self.assertEqual(self.steps_saved(out), [3, 6, 7, 9, 12, 14])
        self.assertEqual(self.saves(out), self.steps_saved(out))
        rare = self.train(self.write_recipe(checkpoint={"every_epochs": 0}),
                          "--stop-after-steps", 14)
        self.assertEqual(self.steps_saved(rare), [14])
        self.assertEqual(self.hash(out), self.hash(rare))
        for line in self.metrics(out, saves=True):
            if line["event"] == "save":
                self.assertGreater(line["seconds"], 0)
                self.assertGreater(line["waited_s"], 0)

    def test_minutes(self):
        recipe = self.write_recipe(checkpoint={"every_epochs": 0, "every_minutes": 1e-6})
        for ranks in (0, 2):
            out = self.train(recipe, "--stop-after-steps", 4, ranks=ranks)
            self.assertEqual(self.steps_saved(out), [1, 2, 3, 4])
        recipe = self.write_recipe(checkpoint={"every_epochs": 0, "every_minutes": 600})
        self.assertEqual(self.steps_saved(self.train(recipe, "--stop-after-steps", 4)), [4])

    def test_the_end_of_an_epoch_and_its_step_are_one_save(self):
        recipe = self.write_recipe(checkpoint={"every_steps": 5})
        out = self.train(recipe, "--stop-after-steps", 10)
        self.assertEqual(self.saves(out), [5, 10])


class Best(Saving):
    def best(self, out, steps):
        lines = [line for line in self.metrics(out)
                 if line["event"] == "epoch" and line["step"] in steps]
        return max(lines, key=lambda line: (line["val_top1"], -line["val_loss"]))["step"]

    def assert_best(self, out, steps, newest):
        best = self.best(out, steps)
        self.assertEqual(self.steps_saved(out), sorted({best, *newest}))
        self.assertEqual(self.target(out, "best.h5"), f"step-{best:08}.h5")
        self.assertEqual(self.hash(out / "checkpoints" / "best.h5"),
                         self.hash(out / "checkpoints" / f"step-{best:08}.h5"))
        self.assertEqual(self.target(out, "latest.h5"), f"step-{newest[-1]:08}.h5")
        return best

    def test_it_stays_over_lives(self):
        # After two epochs nothing is learnt any more; of equals the first is the best.
        recipe = self.write_recipe(
            model={"batch_norm": False}, checkpoint={"keep": 2},
            schedule={"epochs": 8, "warmup_epochs": 0, "decay": "step", "milestones": [2],
                      "gamma": 1e-30})
        out = self.train(recipe, "--stop-after-steps", 53)
        self.assert_best(out, range(10, 51, 10), [50, 53])
        self.train(recipe, out=out, ranks=2)
        best = self.assert_best(out, range(10, 81, 10), [70, 80])
        self.assertLess(best, 70, "the case tests nothing: the best is one of the newest")

    def test_links_that_a_killed_life_left_behind_are_mended(self):
        # As if it was killed when step 40 had its name, and nothing pointed to it yet.
        recipe = self.write_recipe(
            schedule={"epochs": 6}, checkpoint={"keep": 1},
            metrics={"every_steps": 10})
        out = self.train(recipe, "--stop-after-steps", 20)
        best, folder = self.best(out, (10, 20)), out / "checkpoints"
        for name in ("latest.h5", "best.h5"):
            (folder / name).unlink()
            (folder / name).symlink_to("step-00000003.h5")
        self.train(recipe, "--stop-after-steps", 20, out=out)
        self.assert_best(out, (10, 20), [20])
        (folder / "best.h5").unlink()
        (folder / "best.h5").symlink_to("step-00000003.h5")
        self.train(recipe, "--stop-after-steps", 25, out=out)
        self.assert_best(out, (10, 20), [25])
        self.assertEqual(self.target(out, "best.h5"), f"step-{best:08}.h5")

    def test_only_what_is_saved_can_be_it(self):
        recipe = self.write_recipe(schedule={"epochs": 5},
                                   checkpoint={"keep": 1, "every_epochs": 2})
        self.assert_best(self.train(recipe), (20, 40, 50), [50])

    def test_without_validation_there_is_none(self):
        out = self.train(self.write_recipe(schedule={"epochs": 2}, data={"val": ""}))
        self.assertFalse(os.path.lexists(out / "checkpoints" / "best.h5"))
        self.assertEqual(self.target(out, "latest.h5"), "step-00000020.h5")


if __name__ == "__main__":
    unittest.main()

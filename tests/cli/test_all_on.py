"""A recipe with everything on that draws numbers, adds up or changes by epoch: resolutions,
augmentation of every kind, mixing, blur pooling, norms of tensors, clipping, averages. The
same bits on any number of ranks, also where a run is killed and goes on with others."""
import os
import signal
import unittest

from convoy_case import Case, children, finish, merged, start, wait_for

STEPS = 24  # an epoch has 10; the resolution changes at each
NETWORK = [{"conv": {"out": 16, "kernel": 3, "pad": 1, "bias": False}},
           "batch_norm", "relu", {"blur_pool": {"stride": 2}},
           {"conv": {"out": 16, "kernel": 3, "pad": 1, "bias": False}},
           "batch_norm", "relu", "global_avg_pool", "flatten", {"dropout": {"p": 0.1}},
           {"inner_product": {"out": "classes"}}]
RECIPE = {
    "network": NETWORK,
    "data": {"crop": [{"epoch": 0, "crop": 10}, {"epoch": 1, "crop": 12},
                      {"epoch": 2, "crop": 16}],
             "augment": {"resized_crop": True, "pad": 0, "flip": True, "brightness": 0.2,
                         "erasing": 0.2, "trivial": True, "repeats": 2, "mixup": 0.4,
                         "cutmix": 1.0}},
    "schedule": {"epochs": 3, "lr": 0.02, "warmup_epochs": 0.5, "decay": "polynomial"},
    "loss": {"label_smoothing": 0.1},
    "ema": {"decay": 0.99, "every_steps": 3},
    "eval": {"flip": True, "batch_norm": "recompute", "batches": 2},
    "checkpoint": {"every_steps": 1},
}
OPTIMIZERS = {
    "lars": {"name": "lars", "momentum_form": "unscaled", "clip_norm": 0.5},
    "lamb": {"name": "lamb", "clip_norm": 0.5},
    "adamw": {"name": "adamw", "clip_norm": 0.5},
}


class AllOn(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.train_pack = cls.make_pack("colours", 240, seed=1, channels=3)
        cls.val_pack = cls.make_pack("colours-val", 50, seed=2, channels=3)

    def recipe(self, optimizer):
        changes = merged(RECIPE, {"optimizer": OPTIMIZERS[optimizer]})
        if optimizer == "lars":
            changes = merged(changes, {"schedule": {"warmup_momentum": 0.5}})
        lines = self.write_recipe("whole.yaml", **changes).read_text().splitlines()
        begin = lines.index("model:")  # which has nothing to say beside a network
        end = next(i for i in range(begin + 1, len(lines)) if lines[i][0] != " ")
        path = self.folder / f"{optimizer}.yaml"
        path.write_text("\n".join(lines[:begin] + lines[end:]) + "\n")
        return path

    def outcome(self, out):
        """The hashes of the weights and their average, and what evaluations found."""
        newest = self.checkpoints(out)[-1]
        average = self.expect("weights", "hash", "--ema", newest).out.split()[0]
        figures = [[value for key, value in sorted(line.items())
                    if key.startswith(("val_", "ema_")) and key != "val_seconds"]
                   for line in self.metrics(out) if line["event"] == "epoch"]
        return self.hash(newest), average, figures

    def run_whole(self, recipe, ranks):
        return self.outcome(self.train(recipe, "--stop-after-steps", STEPS, ranks=ranks))

    def test_ranks_decide_nothing(self):
        for optimizer, counts in (("lars", (1, 2, 3, 5)), ("lamb", (1, 3)), ("adamw", (1, 5))):
            recipe = self.recipe(optimizer)
            first = self.run_whole(recipe, counts[0])
            self.assertNotEqual(first[0], first[1])
            self.assertEqual(len(first[2]), 2)
            for ranks in counts[1:]:
                with self.subTest(optimizer=optimizer, ranks=ranks):
                    self.assertEqual(self.run_whole(recipe, ranks), first)

    def test_a_killed_run_goes_on_over_a_change_of_resolution(self):
        recipe, out = self.recipe("lamb"), self.new_run()
        process = start(["train", recipe, "--out", out, "--quiet"], ranks=2)
        wait_for(process, out / "checkpoints" / "step-00000007.h5")
        os.kill(children(process.pid)[-1], signal.SIGKILL)
        self.assertNotIn(finish(process).status, (0, 75))
        self.train(recipe, "--stop-after-steps", STEPS, out=out, ranks=3)
        self.assertEqual(self.outcome(out), self.run_whole(recipe, 5))


if __name__ == "__main__":
    unittest.main()

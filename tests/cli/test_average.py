"""Averaged weights: the formula against NumPy, the same bits on any ranks and after
resumes, and what commands do with them."""
import json
import os
import shutil
import sys
import unittest

try:
    import h5py
    import numpy
except ModuleNotFoundError as missing:
    print(f"SKIPPED: {missing}; jobs/install-packages.sh test")
    sys.exit(77)

from convoy_case import SIDE, write_png
from test_loader_read import nodes_of
from test_resume import N, TIMES, Resume

EVERY, DECAY = 3, 0.9
EMA = {"decay": DECAY, "every_steps": EVERY}
PER_EPOCH, WARMUP_EPOCHS = 10, 1


def tensors(path, prefix=""):
    """{name: values} of parameters and running statistics."""
    with h5py.File(path) as file:
        group = file[prefix] if prefix else file
        return {f"{kind}/{name}": values[()] for kind in ("params", "buffers")
                for name, values in group[kind].items()}


class Average(Resume):
    def hash_of_average(self, path):
        path = self.checkpoints(path)[-1] if path.is_dir() else path
        return self.expect("weights", "hash", "--ema", path).out.split()[0]

    def averaging(self, **changes):
        return self.write_recipe(ema=EMA, **changes)


class Values(Average):
    def test_the_average_is_torchvisions(self):
        out = self.until(N, self.averaging(checkpoint={"every_steps": 1, "keep": 100}))
        alpha = min(1, (1 - DECAY) * 24 * EVERY / 10)
        average, n_averaged, n_moved = {}, 0, 0
        for path, step in zip(self.checkpoints(out), range(N)):
            weights = tensors(path)
            epoch, i = divmod(step, PER_EPOCH)
            if i % EVERY == 0:  # train.py: update_parameters; in the warmup n_averaged.fill_(0)
                average = {name: (1 - alpha) * average[name] + alpha * values.astype("f8")
                           if n_averaged else values.astype("f8")
                           for name, values in weights.items()}
                n_averaged = 0 if epoch < WARMUP_EPOCHS else n_averaged + 1
            found = tensors(path, "ema")
            self.assertEqual(found.keys(), average.keys())
            for name, values in average.items():
                error = numpy.abs(found[name] - values).max()
                self.assertLessEqual(error, 1e-6 * numpy.abs(values).max(), (step, name))
                n_moved += bool((found[name] != weights[name]).any())
        self.assertGreater(n_moved, 10 * len(average))

    def test_it_is_the_same_on_any_ranks_and_after_resumes(self):
        recipe = self.averaging()
        out = self.until(7, recipe, ranks=2)
        for steps, ranks in ((13, 3), (20, 5), (N, 0)):
            self.until(steps, recipe, out, ranks=ranks)
        self.assert_same_run(out, recipe)
        whole = self.folder / f"run{self.n_runs}"  # assert_same_run's
        self.assertEqual(self.hash_of_average(out), self.hash_of_average(whole))
        plain = self.until(N, self.write_recipe())
        self.assertEqual(self.hash(plain), self.hash(out))
        self.assertNotEqual(self.hash_of_average(out), self.hash(out))

    def test_a_training_without_one_can_go_on_with_one(self):
        plain = self.until(13, self.write_recipe())
        recipe = self.averaging()
        self.refused(plain, recipe, words=("ema.decay",))
        out = self.train(recipe, "--resume", self.checkpoints(plain)[-1],
                         "--stop-after-steps", 0)
        self.assertEqual(self.hash_of_average(out), self.hash(out))
        back = self.train(self.write_recipe(), "--resume", self.checkpoints(out)[-1],
                          "--stop-after-steps", N)
        self.assertEqual(self.hash(back), self.hash(self.until(N, self.write_recipe())))


class Uses(Average):
    def test_commands_take_it(self):
        out = self.until(20, self.averaging())
        newest = self.checkpoints(out)[-1]
        line = [line for line in self.metrics(out) if line["event"] == "epoch"][-1]
        for ranks in (0, 2):
            for ema, prefix in (((), "val"), (("--ema",), "ema")):
                done = self.expect("eval", "--weights", newest, "--data", self.val_pack,
                                   "--json", "--quiet", *ema, ranks=ranks)
                found = json.loads(done.out)
                self.assertEqual([found[key] for key in ("loss", "top1", "top5")],
                                 [line[f"{prefix}_{key}"] for key in ("loss", "top1", "top5")])
        self.assertNotEqual(line["val_loss"], line["ema_loss"])
        exported, imported = self.folder / "ema.safetensors", self.folder / "ema.h5"
        self.expect("weights", "export", "--ema", newest, "-o", exported)
        self.expect("weights", "import", exported, "-o", imported,
                    "--recipe", out / "recipe.yaml")
        self.assertEqual(self.hash(imported), self.hash_of_average(newest))
        same = self.expect("weights", "diff", "--ema", newest, newest).out
        self.assertIn("params/conv1.weight: equal", same)

    def test_predictions_are_the_averages(self):
        out = self.until(20, self.averaging())
        newest = self.checkpoints(out)[-1]
        exported, imported = self.folder / "ema.safetensors", self.folder / "ema.h5"
        self.expect("weights", "export", "--ema", newest, "-o", exported)
        self.expect("weights", "import", exported, "-o", imported,
                    "--recipe", out / "recipe.yaml")
        picture = self.folder / "a.png"
        write_png(picture, 16, 16, bytes(range(256)) * 3)
        averaged, raw, other = (
            self.expect("predict", "--weights", path, "--json", *options, picture).out
            for path, *options in ((newest, "--ema"), (newest,), (imported,)))
        self.assertEqual(averaged, other)
        self.assertNotEqual(averaged, raw)

    def test_the_best_is_by_the_better_of_both(self):
        recipe = self.write_recipe(ema={**EMA, "decay": 0.95}, schedule={"epochs": 4})
        out = self.train(recipe)
        lines = [line for line in self.metrics(out) if line["event"] == "epoch"]

        def rank(line):
            both = [(-line[f"{kind}_top1"], line[f"{kind}_loss"]) for kind in ("val", "ema")]
            return min(both)
        best = min(lines, key=rank)
        self.assertEqual(os.readlink(out / "checkpoints" / "best.h5"),
                         f"step-{best['step']:08}.h5")
        self.train(recipe, out=out)  # which reads it again
        self.assertEqual(os.readlink(out / "checkpoints" / "best.h5"),
                         f"step-{best['step']:08}.h5")

    def test_lines_tell_of_it(self):
        done = self.expect("train", self.averaging(), "--out", self.folder / "told",
                           "--stop-after-steps", 10)
        self.assertIn("; of averaged weights top-1 ", done.out)
        self.assertRegex(done.out, r"\nema_top1: [0-9.]+\n")

    def test_contradictions_are_refused(self):
        for changes, words in (
                ({"data": {"val": ""}}, ("ema.decay", "data.val")),
                ({"ema": {**EMA, "every_steps": 11}}, ("ema.every_steps", "10 steps")),
                ({"ema": {**EMA, "decay": 0.8}}, ("ema.decay", "= 1.44", "above 0.861112")),
                ({"schedule": {"warmup_epochs": 9.5}}, ("ema.decay", "schedule.warmup_epochs")),
                ({"ema": {"decay": 1}}, ("ema.decay", "below 1"))):
            recipe = self.write_recipe(**{"ema": EMA, **changes})
            self.refused(self.new_run(), recipe, words=words)
        plain = self.checkpoints(self.until(0, self.write_recipe()))[0]
        for arguments in (("eval", "--data", self.val_pack, "--weights", plain, "--ema"),
                          ("predict", "--ema", "--weights", plain, plain),
                          ("weights", "hash", "--ema", plain),
                          ("weights", "export", "--ema", plain, "-o", self.folder / "x")):
            self.assert_one_message(self.run_convoy(*arguments), plain,
                                    "no averaged weights", "--ema")


class Recomputed(Average):
    """eval.batch_norm: recompute; what it computes is in parity/test_average_torch.py."""
    EVAL = {"batch_norm": "recompute", "batches": 3}

    def epochs(self, out):
        return [{key: value for key, value in line.items() if key not in TIMES}
                for line in self.metrics(out) if line["event"] == "epoch"]

    def evaluate(self, path, *options, ranks=0):
        found = json.loads(self.expect("eval", "--weights", path, "--data", self.val_pack,
                                       "--json", "--quiet", *options, ranks=ranks).out)
        return [found[key] for key in ("loss", "top1", "top5")]

    def test_figures_change_but_no_weight_does_on_any_ranks(self):
        # Two sizes of images; on other nodes, from their memory.
        crops = [{"epoch": 0, "crop": 12}, {"epoch": 1, "crop": SIDE}]
        changes = {"data": {"crop": crops}, "model": {
            "name": "resnet20", "width": 4, "batch_norm": False, "dropout": -1}}
        running = self.until(20, self.averaging(**changes))
        recipe = self.averaging(eval=self.EVAL, **changes)
        whole = self.until(20, recipe)
        self.assertEqual(self.hash(whole), self.hash(running))
        self.assertEqual(self.hash_of_average(whole), self.hash_of_average(running))
        for line, plain in zip(self.epochs(whole), self.epochs(running)):
            for key in ("val_loss", "ema_loss"):
                self.assertNotEqual(line[key], plain[key])
        out = self.until(13, recipe, ranks=2)
        with nodes_of(2):
            self.train(recipe, "--stop-after-steps", 20, "--set", "data.read=memory",
                       out=out, ranks=3)
        other = self.until(20, recipe, ranks=5)
        for found in (out, other):
            self.assertEqual(self.epochs(found), self.epochs(whole))
            self.assertEqual(self.hash(found), self.hash(whole))
        line, plain = self.epochs(whole)[-1], self.epochs(running)[-1]
        newest = self.checkpoints(whole)[-1]
        for ema, kind in (((), "val"), (("--ema",), "ema")):
            keys = [f"{kind}_{key}" for key in ("loss", "top1", "top5")]
            for ranks in (0, 3):
                self.assertEqual(self.evaluate(newest, *ema, ranks=ranks),
                                 [line[key] for key in keys])
            self.assertEqual(self.evaluate(newest, *ema, "--batch-norm", "running"),
                             [plain[key] for key in keys])

    def test_what_it_lacks_is_named(self):
        recipe = self.write_recipe(eval=self.EVAL)
        self.refused(self.new_run(), self.write_recipe("more.yaml", eval={"batches": 11}),
                     words=("eval.batches", "only 10"))
        pack = self.folder / "moved.h5"
        shutil.copy(self.train_pack, pack)
        out = self.until(1, recipe, ranks=2)
        moved = self.train(recipe, "--set", f"data.train={pack}", "--stop-after-steps", 1)
        self.assertEqual(self.hash(moved), self.hash(out))
        newest = self.checkpoints(moved)[0]
        evaluate = ("eval", "--weights", newest, "--data", self.val_pack)
        pack.unlink()
        for ranks in (0, 2):
            self.assert_one_message(self.run_convoy(*evaluate, ranks=ranks), pack,
                                    "data.train", "--batch-norm running")
        shutil.copy(self.val_pack, pack)
        self.assert_one_message(self.run_convoy(*evaluate), pack, "was trained on",
                                "--batch-norm running")
        self.expect(*evaluate, "--batch-norm", "running")
        self.refused(self.new_run(), self.write_recipe(
            "none.yaml", eval=self.EVAL, model={"batch_norm": False}),
            words=("'eval.batch_norm'", "no batch norms", "running"))
        self.refused(self.new_run(), self.write_recipe(
            "frozen.yaml", eval=self.EVAL, init={"freeze": ["bn"]}),
            words=("'eval.batch_norm'", "all are frozen"))
        plain = self.until(1, self.write_recipe("plain.yaml", model={"batch_norm": False}))
        done = self.run_convoy("eval", "--weights", self.checkpoints(plain)[0], "--data",
                               self.val_pack, "--batch-norm", "recompute")
        self.assert_one_message(done, "no batch norms", "--batch-norm running")
        done = self.run_convoy(*evaluate, "--batch-norm", "none")
        self.assert_one_message(done, "--batch-norm takes running or recompute", status=2)


if __name__ == "__main__":
    unittest.main()

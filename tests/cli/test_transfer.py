"""Transfer learning: subsets of a data set, runs that start from another's weights, frozen
layers, learning rates by name, all of it on any number of ranks and after a resume."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from convoy_case import (TIMEOUT_S, Case, merged, write_class_folders, write_fashion_mnist,
                         write_images)

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "jobs" / "transfer-learning.sh"
STEPS = 13  # an epoch has 10
FROZEN = ["conv1.", "bn1."]
TENSORS = ["params/conv1.weight", "params/bn1.weight", "params/bn1.bias",
           "buffers/bn1.running_mean", "buffers/bn1.running_var"]


class Transfer(Case):
    @classmethod
    def setUpClass(cls):
        """A trained net, and a pack with other classes of the same images."""
        super().setUpClass()
        case = cls()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        run = case.train(case.write_recipe(), "--stop-after-steps", 20)
        cls.base = cls.shared / "base.h5"
        shutil.copy(case.checkpoints(run)[-1], cls.base)
        cls.other_pack = cls.make_pack("other", 240, seed=5, classes=6)

    def transfer_recipe(self, name="transfer.yaml", **changes):
        """Six classes where the base had four."""
        usual = {"data": {"train": str(self.other_pack), "val": str(self.other_pack)},
                 "init": {"weights": str(self.base), "skip": ["fc2."]}}
        return self.write_recipe(name, **merged(usual, changes))

    def until(self, steps, recipe, out=None, **options):
        return self.train(recipe, "--stop-after-steps", steps, out=out, **options)

    def differing(self, a, b):
        """The tensors in which two files differ; all must have the same names."""
        done = self.run_convoy("weights", "diff", a, b)
        self.assertIn(done.status, (0, 1), done.err)
        lines = done.out.splitlines()[:-1]
        for line in lines:
            self.assertNotIn("only in", line)
        return {line.split(":")[0] for line in lines if not line.endswith(": equal")}

    def last(self, out):
        return self.checkpoints(out)[-1]


class Weights(Transfer):
    def test_all_but_what_is_skipped_comes_from_the_file(self):
        start = self.last(self.until(0, self.transfer_recipe()))
        self.assertEqual(self.differing(self.base, start),
                         {"params/fc2.weight", "params/fc2.bias"})
        scratch = self.last(self.until(
            0, self.transfer_recipe(init={"weights": "", "skip": []})))
        changed = self.differing(scratch, start)
        self.assertIn("params/conv1.weight", changed)
        self.assertIn("buffers/bn2.running_var", changed)
        self.assertFalse({"params/fc2.weight", "params/fc2.bias"} & changed)
        self.assertNotIn("optimizer/momentum/conv1.weight", changed)

    def test_without_skip_the_same_net_starts_where_the_file_ends(self):
        recipe = self.write_recipe(init={"weights": str(self.base)})
        out = self.until(0, recipe)
        self.assertEqual(self.hash(out), self.hash(self.base))
        self.assertEqual(self.steps_saved(out), [0])

    def test_the_run_says_where_it_starts_and_what_is_frozen(self):
        recipe = self.transfer_recipe(init={"freeze": FROZEN})
        out = self.new_run()
        command = ("train", recipe, "--out", out, "--stop-after-steps")
        first = self.expect(*command, 1).out.splitlines()[0]
        # conv1 has 4 x 1 x 5 x 5 weights and no bias, bn1 4 + 4
        self.assertRegex(first, r"^lenet, \d+ parameters, 108 of them frozen, .* 10 steps "
                                rf"an epoch; starting from {re.escape(str(self.base))}$")
        again = self.expect(*command, 2).out.splitlines()[0]
        self.assertTrue(again.endswith("; going on from step 1"), again)
        self.assertIn("108 of them frozen", again)

    def refused(self, recipe, *words, ranks=0):
        out = self.new_run()
        done = self.run_convoy("train", recipe, "--out", out, ranks=ranks)
        lines = done.err.splitlines()
        first = [line for line in lines if line.startswith("convoy")]
        self.assertEqual((len(first), done.status), (1, 1), done.err)
        for word in words:
            self.assertIn(word, done.err)
        self.assertEqual(self.checkpoints(out), [])
        return done.err

    def test_a_new_head_that_is_not_skipped_is_listed_with_the_way_out(self):
        for ranks in (0, 3):
            err = self.refused(
                self.transfer_recipe(init={"skip": []}), "key 'init.weights' is",
                "of lenet with 4 classes", "lenet with 6",
                "\n  fc2.weight: [4, 500] in the file, [6, 500] in the model\n",
                "\n  fc2.bias: [4] in the file, [6] in the model\n",
                'init.skip: ["fc2."]', ranks=ranks)
            self.assertEqual(err.count("in the model"), 2)

    def test_tensors_that_only_one_side_has_are_listed(self):
        plain = self.transfer_recipe(model={"batch_norm": False})
        self.refused(plain, "\n  conv1.bias: not in the file, the model has it as [4]",
                     "\n  bn1.running_mean: [4] in the file, not in the model",
                     'init.skip: ["conv1.", "conv2.", "bn1.", "bn2."]')
        skips = ["fc2.", "conv1.bias", "conv2.bias", "bn"]
        recipe = self.transfer_recipe(model={"batch_norm": False}, init={"skip": skips})
        start = self.last(self.until(0, recipe))
        out = self.run_convoy("weights", "diff", self.base, start).out
        self.assertIn("params/conv1.weight: equal\n", out)
        self.assertIn(f"params/conv1.bias: only in {start}\n", out)

    def test_another_model_is_listed_in_part(self):
        err = self.refused(self.transfer_recipe(
            model={"name": "resnet20", "batch_norm": False, "dropout": -1, "width": 8},
            init={"skip": []}), "of another model?", "resnet20 with 6")
        listed = [line for line in err.splitlines() if line.startswith("  ")]
        self.assertEqual(len(listed), 22)
        self.assertRegex(listed[-2], r"^  and \d+ more$")
        self.assertIn("of another model?", listed[-1])

    def test_what_cannot_be_taken_or_frozen_is_refused(self):
        for words, init in (
                (("init.skip' has 'head.'", "'conv1.weight'"), {"skip": ["fc2.", "head."]}),
                (("init.weights", "none.h5", "cannot open"),
                 {"weights": str(self.folder / "none.h5")}),
                (("init.weights", str(self.train_pack)), {"weights": str(self.train_pack)}),
                (("init.freeze'", "'layer1.'"), {"freeze": ["layer1."]}),
                (("freezes every parameter: nothing",), {"freeze": ["conv", "bn", "fc"]})):
            for ranks in (0, 2):
                self.refused(self.transfer_recipe(init=init), *words, ranks=ranks)
        for words, scale in ((("lr_scale' has 'head.'",), {"head.": 2}),
                             (("lr_scale' has 'conv1.'", "freezes"), {"conv1.": 2})):
            self.refused(self.transfer_recipe(
                init={"freeze": FROZEN}, optimizer={"lr_scale": scale}), *words)

    def test_validation_on_other_classes_is_refused(self):
        images, _ = write_images(self.folder / "set", 60, classes=6)
        parts = []
        for classes in ("0-2", "3-5"):
            parts.append(self.folder / f"{classes}.h5")
            self.expect("pack", images, "-o", parts[-1], "--classes", classes)
        self.refused(self.write_recipe(data={"train": str(parts[0]), "val": str(parts[1])}),
                     f"class 0 is '0' in {parts[0]}, but '3' in {parts[1]}")


class Learning(Transfer):
    def test_frozen_layers_keep_their_bits_and_the_others_learn(self):
        recipe = self.transfer_recipe(init={"freeze": FROZEN})
        out = self.until(STEPS, recipe)
        changed = self.differing(self.base, self.last(out))
        self.assertFalse(changed & set(TENSORS), changed)
        free = self.differing(self.base, self.last(self.until(
            STEPS, self.transfer_recipe())))
        self.assertEqual(free - changed, set(TENSORS))
        self.assertIn("buffers/bn2.running_mean", changed)
        text = self.expect("info", self.last(out)).out
        self.assertIn("optimizer/momentum/conv2.weight", text)
        self.assertNotIn("optimizer/momentum/conv1.weight", text)

    def test_a_frozen_layer_between_learning_ones_keeps_its_bits(self):
        out = self.until(STEPS, self.transfer_recipe(init={"freeze": ["conv2.", "bn2."]}))
        changed = self.differing(self.base, self.last(out))
        self.assertFalse([name for name in changed if "conv2" in name or "bn2" in name])
        self.assertTrue(set(TENSORS) <= changed)

    def test_a_checkpoint_with_frozen_layers_evaluates_as_its_run_did(self):
        out = self.until(10, self.transfer_recipe(init={"freeze": FROZEN}))
        line = [line for line in self.metrics(out) if line["event"] == "epoch"][-1]
        found = json.loads(self.expect("eval", "--weights", self.last(out), "--data",
                                       self.other_pack, "--json").out)
        self.assertEqual(found["loss"], line["val_loss"])
        self.assertAlmostEqual(found["top1"], line["val_top1"], places=6)

    def test_frozen_weights_of_a_file_need_no_gradient_to_learn_from(self):
        """A new head alone, on features that were learnt: better than chance at once."""
        recipe = self.transfer_recipe(init={"freeze": ["conv", "bn", "fc1."]},
                                      schedule={"lr": 0.05})
        out = self.until(100, recipe)
        self.assertGreater(self.metrics(out)[-1]["val_top1"], 0.5)
        changed = self.differing(self.base, self.last(out))
        self.assertEqual(changed, {"params/fc2.weight", "params/fc2.bias"})

    def test_a_factor_of_one_changes_no_bit_and_of_two_is_twice_the_rate(self):
        plain = self.hash(self.until(STEPS, self.transfer_recipe()))
        for factor, options in ((1, {}), (2, {"schedule": {"lr": 0.04}})):
            scale = {"conv": factor, "bn": factor, "fc1.": factor, "fc2.": factor}
            scaled = self.hash(self.until(
                STEPS, self.transfer_recipe(optimizer={"lr_scale": scale})))
            expected = self.hash(self.until(STEPS, self.transfer_recipe(**options)))
            self.assertEqual(scaled, expected)
            self.assertEqual(scaled == plain, factor == 1)

    def test_a_factor_of_zero_keeps_the_parameters_but_not_the_statistics(self):
        out = self.until(STEPS, self.transfer_recipe(
            optimizer={"lr_scale": {"conv1.": 0, "bn1.": 0, "bn1.bias": 1}}))
        changed = self.differing(self.base, self.last(out)) & set(TENSORS)
        self.assertEqual(changed, {"params/bn1.bias", "buffers/bn1.running_mean",
                                   "buffers/bn1.running_var"})


class SameBits(Transfer):
    def frozen_recipe(self, weights, name="frozen.yaml"):
        return self.transfer_recipe(
            name, init={"weights": str(weights), "freeze": FROZEN},
            optimizer={"lr_scale": {"fc2.": 10, "conv2.": 0.5}})

    def test_weights_are_the_same_on_1_2_and_3_ranks(self):
        recipe = self.frozen_recipe(self.base)
        first = self.hash(self.until(STEPS, recipe))
        for ranks in (1, 2, 3):
            self.assertEqual(self.hash(self.until(STEPS, recipe, ranks=ranks)), first)

    def test_a_resumed_run_is_the_uninterrupted_one_and_needs_no_file(self):
        whole = self.until(STEPS + 12, self.frozen_recipe(self.base))
        moved = self.folder / "base.h5"
        shutil.copy(self.base, moved)
        recipe = self.frozen_recipe(moved, "moved.yaml")
        out = self.until(7, recipe, ranks=2)
        moved.unlink()
        for steps, ranks in ((10, 3), (STEPS, 0), (STEPS + 12, 2)):
            self.until(steps, recipe, out, ranks=ranks)
        self.assertEqual(self.hash(out), self.hash(whole))
        self.assertEqual([line["loss"] for line in self.metrics(out) if "loss" in line],
                         [line["loss"] for line in self.metrics(whole) if "loss" in line])

    def test_going_on_with_other_frozen_layers_is_refused(self):
        recipe = self.frozen_recipe(self.base)
        out = self.until(3, recipe)
        done = self.run_convoy("train", recipe, "--out", out, "--set",
                               'init.freeze=["conv1."]')
        self.assert_one_message(done, "freeze", "the run was begun with")

    def test_a_file_goes_on_with_other_frozen_layers(self):
        """Those that learn now start without momentum; the others have no use for theirs."""
        for then, now in ((FROZEN, []), ([], FROZEN), (FROZEN, ["fc1."])):
            first = self.until(3, self.transfer_recipe(init={"freeze": then}))
            recipe = self.transfer_recipe(init={"freeze": now})
            out = self.new_run()
            done = self.expect("train", recipe, "--out", out, "--resume", self.last(first),
                               "--stop-after-steps", 6)
            self.assertIn("init.weights is not read: the run goes on from", done.out)
            moved = self.differing(self.last(first), self.last(out))
            for name in ("conv1.", "fc1."):
                self.assertEqual(f"params/{name}weight" not in moved, name in now,
                                 (then, now))


class Subsets(Case):
    def counts(self, pack):
        info = json.loads(self.expect("info", pack, "--json").out)
        return {c["name"]: c["records"] for c in info["classes"]}

    def test_a_pack_of_some_classes_and_of_few_images_of_each(self):
        images, _ = write_images(self.folder / "set", 61, classes=6)
        pack = self.folder / "part.h5"
        for options, expected in (
                (("--classes", "3-5"), {"3": 10, "4": 10, "5": 10}),
                (("--classes", "5,0"), {"0": 11, "5": 10}),
                (("--max-per-class", 4), {str(c): 4 for c in range(6)}),
                (("--classes", "1-2,5", "--max-per-class", "3"),
                 {"1": 3, "2": 3, "5": 3})):
            self.expect("pack", images, "-o", pack, *options)
            self.assertEqual(self.counts(pack), expected)
            self.expect("verify", pack)

    def test_folders_and_idx_files_give_classes_by_name(self):
        tree, pack = self.folder / "tree", self.folder / "tree.h5"
        write_class_folders(tree, ["cat", "dog", "emu"], n=3)
        self.expect("pack", tree, "-o", pack, "--classes", "emu,0", "--max-per-class", 2)
        self.assertEqual(self.counts(pack), {"cat": 2, "emu": 2})
        (tree / "dog" / "broken.png").write_bytes(b"no image")
        self.expect("pack", tree, "-o", pack, "--classes", "emu,0")

    def test_classes_that_are_not_there_are_refused(self):
        images, _ = write_images(self.folder / "set", 30)
        pack = self.folder / "none.h5"
        for classes, word in (("cat", "'cat' is neither a name nor an index"),
                              ("0-4", "'0-4' is no range of indices"), ("", "''")):
            done = self.run_convoy("pack", images, "-o", pack, "--classes", classes)
            self.assert_one_message(done, word, "0, 1, 2, 3")
        for count in ("0", "-1", "x", "1.5", ""):
            done = self.run_convoy("pack", images, "-o", pack, "--max-per-class", count)
            self.assertEqual(done.status, 2)
            self.assertIn(f"above 0, not '{count}'", done.err)
        self.assertEqual(list(self.folder.glob("none.h5*")), [])


class WorkedExample(unittest.TestCase):
    """jobs/transfer-learning.sh, on a small data set and a few steps of each training."""

    def test_it_prints_both_accuracies_and_keeps_earlier_runs(self):
        with tempfile.TemporaryDirectory(prefix="convoy-test-") as scratch:
            folder = pathlib.Path(scratch)
            write_fashion_mnist(folder)
            environment = {**os.environ, "FASHION_MNIST": scratch, "WORK": scratch,
                           "STEPS": "5", "LABELS": "5", "SEED": "3"}
            for again in ("", "-2"):
                done = subprocess.run(["bash", SCRIPT], env=environment, text=True,
                                      capture_output=True, timeout=TIMEOUT_S)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stdout, r"from 5 labelled images of each:\n"
                                 r"    from random weights +top-1 \d+\.\d\d %\n"
                                 r"    from weights of classes 0-4 +top-1 \d+\.\d\d %\n")
                self.assertIn(f"transfer-base{again}, transfer-scratch{again}, "
                              f"transfer-few{again}\n", done.stdout)
                recipe = (folder / f"runs/transfer-few{again}/recipe.yaml").read_text()
                self.assertIn(f'weights: "runs/transfer-base{again}/checkpoints/step-',
                              recipe)
                self.assertIn("seed: 3\n", recipe)
            self.assertEqual(len(list((folder / "packs").iterdir())), 4)


if __name__ == "__main__":
    unittest.main()

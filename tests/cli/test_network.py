"""A recipe's own network trains, evaluates and goes on like a model by name, the docs'
examples are nets, and wrong networks end with the line and the entry."""
import json
import pathlib
import re
import unittest

from convoy_case import Case

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DENSENET = ROOT / "jobs" / "recipes" / "fashion-mnist-densenet.yaml"
DOCS = ROOT / "docs" / "custom-network.md"

# Everything that depends on random numbers, steps or microbatches is in it.
NETWORK = """\
  - {conv: {out: 8, kernel: 3, pad: 1, bias: false}, as: stem}
  - repeat: 2
    as: dense
    layers:
      - {batch_norm, as: norm}
      - relu
      - {conv: {out: 4, kernel: 3, pad: 1}, as: new}
      - {dropout: {p: 0.25}}
      - {concat, from: [in, dropout1]}
  - global_avg_pool
  - flatten
  - {inner_product: {out: classes}, as: fc}
"""
LOCAL = """\
  - {locally_connected: {out: 6, kernel: 5, stride: 2, pad: 1}, as: local1}
  - relu
  - {locally_connected: {out: 4, kernel: 3, groups: 2, bias: false}, as: local2}
  - flatten
  - {inner_product: {out: classes}, as: fc}
"""
FIRST_LINE = 6  # of the network


class NetworkCase(Case):
    def write_network(self, network=NETWORK, name="net.yaml", more=""):
        path = self.folder / name
        path.write_text(f"data: {{train: {self.train_pack}, val: {self.val_pack}}}\n"
                        "batch: {size: 24, microbatch: 2}\n"
                        "schedule: {epochs: 10, lr: 0.02, warmup_epochs: 1}\n"
                        "metrics: {every_steps: 1}\n"
                        f"network:\n{network}{more}")
        return path

    def parameters(self, out):
        """Names of the tensors in the newest checkpoint."""
        newest = self.checkpoints(out)[-1]
        lines = self.expect("weights", "diff", newest, newest).out.splitlines()
        return [name for line in lines
                for name in re.findall(r"params/([\w.]+)", line)]


class Working(NetworkCase):
    def test_a_network_gives_the_same_bits_on_any_ranks_and_after_a_stop(self):
        recipe = self.write_network()
        whole = self.train(recipe, "--stop-after-steps", 12)
        out = self.train(recipe, "--stop-after-steps", 5, ranks=3)
        self.train(recipe, "--stop-after-steps", 12, out=out, ranks=2)
        self.assertEqual(self.hash(out), self.hash(whole))

    def test_kernels_of_places_give_the_same_bits_on_any_ranks(self):
        recipe = self.write_network(LOCAL)
        whole = self.train(recipe, "--stop-after-steps", 8)
        out = self.train(recipe, "--stop-after-steps", 3, ranks=3)
        self.train(recipe, "--stop-after-steps", 8, out=out, ranks=2)
        self.assertEqual(self.hash(out), self.hash(whole))
        self.assertEqual(sorted(self.parameters(out)),
                         ["fc.bias", "fc.weight", "local1.bias", "local1.weight",
                          "local2.weight"])

    def test_its_layers_are_compared_with_other_kinds(self):
        recipe = self.write_network(LOCAL)
        found = json.loads(self.expect("info", "--json", recipe, "--compare").out)
        counts = ("fully_connected", "locally_connected", "convolutional")
        self.assertEqual([(layer["name"], *(layer[count] for count in counts))
                          for layer in found["layers"][:2]],
                         [("local1", 256 * 294, 25 * 294, 25 * 6),
                          ("local2", 294 * 100, 27 * 100, 27 * 4)])
        out = self.expect("info", recipe, "--compare", "local2").out
        self.assertIn("(3 x 3 x 3) x (4 x 5 x 5) = 27 x 100 = 2,700 weights", out)
        done = self.run_convoy("info", recipe, "--compare", "relu1")
        self.assert_one_message(done, "net.yaml", "relu1", "no weights", "local1")

    def test_the_runs_recipe_builds_the_same_net(self):
        out = self.train(self.write_network(), "--stop-after-steps", 3)
        again = self.train(out / "recipe.yaml", "--stop-after-steps", 3)
        self.assertEqual(self.hash(out), self.hash(again))
        self.assertEqual((out / "recipe.yaml").read_bytes(),
                         (again / "recipe.yaml").read_bytes())

    def test_parameters_are_called_after_entries_and_blocks(self):
        out = self.train(self.write_network(), "--stop-after-steps", 0)
        block = ["new.bias", "new.weight", "norm.bias", "norm.weight"]
        self.assertEqual(sorted(self.parameters(out)),
                         [f"dense.{i}.{name}" for i in range(2) for name in block]
                         + ["fc.bias", "fc.weight", "stem.weight"])

    def test_a_checkpoint_is_evaluated_without_the_recipe(self):
        recipe = self.write_network(more="model: {classes: 6}\n")
        out = self.train(recipe, "--stop-after-steps", 20)
        recipe.unlink()
        newest = self.checkpoints(out)[-1]
        seen = json.loads(self.expect("eval", "--weights", newest, "--data", self.val_pack,
                                      "--json").out)
        logged = [line for line in self.metrics(out) if line["event"] == "epoch"][-1]
        self.assertEqual((seen["top1"], seen["loss"]),
                         (logged["val_top1"], logged["val_loss"]))
        facts = self.expect("info", newest).out
        self.assertIn("model: network\nclasses: 6\n", facts)
        self.assertIn('- {conv: {out: 8, kernel: 3, pad: 1, bias: false}, as: "stem"}',
                      facts)

    def test_another_network_does_not_go_on_with_a_run(self):
        out = self.train(self.write_network(), "--stop-after-steps", 2)
        for network, words in (
                (NETWORK.replace("p: 0.25", "p: 0.5"), ("p: 0.5", "p: 0.25")),
                (NETWORK.replace("repeat: 2", "repeat: 3"), ("repeat: 3", "repeat: 2")),
                (NETWORK.replace("  - flatten\n", "  - relu\n  - flatten\n"),
                 ("- {relu: {}}", "- {flatten: {}}")),
                (NETWORK.replace("  - global_avg_pool\n", ""),
                 ("- {flatten: {}}", "global_avg_pool")),
                (NETWORK + "  - relu\n", ("- {relu: {}}", "nothing more"))):
            with self.subTest(words):
                recipe = self.write_network(network, "other.yaml")
                done = self.run_convoy("train", recipe, "--out", out)
                self.assert_one_message(done, *words, "another --out")
        done = self.run_convoy("train", self.write_recipe(), "--out", out)
        self.assert_one_message(done, "another --out")


class Documented(NetworkCase):
    def blocks(self):
        """The docs' examples of YAML."""
        return re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)

    def test_the_examples_of_the_docs_are_nets(self):
        whole = [block for block in self.blocks() if "network:\n" in block]
        self.assertGreater(len(whole), 4)
        for block in whole:
            network = block.partition("network:\n")[2]
            with self.subTest(network):
                self.train(self.write_network(network), "--stop-after-steps", 0)

    def test_the_docs_build_the_recipes_densenet(self):
        network = DENSENET.read_text().partition("network:\n")[2]
        self.assertIn(f"network:\n{network}", self.blocks())
        for block in self.blocks():
            if block.startswith("      - {batch_norm") or block.startswith("  - as: tr"):
                lines = [line.rstrip() for line in block.splitlines()]
                for line in lines:
                    self.assertIn(line, network)

    def test_the_densenet_trains(self):
        out = self.train(DENSENET, "--stop-after-steps", 2, "--set",
                         f"data.train={self.train_pack}", "--set",
                         f"data.val={self.val_pack}", "--set", "batch.size=8", "--set",
                         "batch.microbatch=4", "--set", "metrics.every_steps=1")
        steps = [line for line in self.metrics(out) if line["event"] == "step"]
        self.assertEqual(len(steps), 2)
        names = self.parameters(out)
        self.assertIn("dense1.0.norm.weight", names)
        self.assertIn("transition2.conv.weight", names)
        self.assertIn("dense3.3.new.weight", names)
        self.assertEqual(len(names), 1 + 12 * 3 + 2 * 3 + 2 + 2)


class Wrong(NetworkCase):
    def refused(self, network, entry, *words, at=0, **options):
        recipe = self.write_network(network, **options)
        done = self.run_convoy("train", recipe, "--out", self.new_run())
        self.assert_one_message(done, f"net.yaml:{FIRST_LINE + at}: entry {entry}", *words)

    def test_what_is_unknown_names_the_nearest(self):
        self.refused("  - relu\n  - cnv: {out: 1}\n", "2", "'cnv'", "'conv'", at=1)
        self.refused(NETWORK.replace("p: 0.25", "q: 0.25"), "2.4 'dropout1' (dropout)",
                     "'q'", "'p'", at=7)
        self.refused(NETWORK.replace("[in, dropout1]", "[in, dropuot1]"),
                     "2.5 'dense.0.concat1' (concat)", "'dropuot1'", "'dropout1'", at=8)

    def test_values_and_names(self):
        self.refused(NETWORK.replace("kernel: 3, pad: 1, bias", "kernel: 3x3, pad: 1, bias"),
                     "1 'stem' (conv)", "'kernel'", "'3x3'", "integer")
        self.refused("  - {relu, as: a}\n  - {relu, as: a}\n", "2 'a' (relu)", "same name",
                     at=1)
        self.refused("  - {conv: {kernel: 3}}\n", "1 'conv1' (conv)", "'out' is missing")

    def test_shapes(self):
        self.refused(NETWORK.replace("kernel: 3, pad: 1}, as: new", "kernel: 5}, as: new"),
                     "2.5 'dense.0.concat1' (concat)", "[8, 16, 16]", "[4, 12, 12]", at=8)
        self.refused(NETWORK.replace("  - flatten\n", ""), "4 'fc' (inner_product)",
                     "flatten", at=10)
        self.refused(NETWORK.replace("out: classes", "out: 7"), "5 'fc' (inner_product)",
                     "7 values", "4 classes", at=11)

    def test_shapes_on_several_ranks_are_told_by_one(self):
        recipe = self.write_network(NETWORK.replace("  - flatten\n", ""))
        done = self.run_convoy("train", recipe, "--out", self.new_run(), ranks=3)
        self.assert_one_message(done, "net.yaml:16: entry 4 'fc'")

    def test_a_model_and_a_network_exclude_each_other(self):
        recipe = self.write_network(more="model: {name: lenet}\n")
        done = self.run_convoy("train", recipe, "--out", self.new_run())
        self.assert_one_message(done, "net.yaml:18:", "'model.name'", "'lenet'", "network")
        done = self.run_convoy("train", self.write_network(), "--out", self.new_run(),
                               "--set", "network=[relu]")
        self.assert_one_message(done, "--set network", "command line")

    def test_a_recipe_that_only_evaluates_does_not_train(self):
        done = self.run_convoy("train", self.write_network(), "--out", self.new_run(),
                               "--set", "data.train=")
        self.assert_one_message(done, "--set data.train=: key 'data.train' is empty")


if __name__ == "__main__":
    unittest.main()

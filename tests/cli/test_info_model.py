"""convoy info MODEL: the layer table and its totals, as text and as JSON."""
import json
import re
import unittest

from convoy_case import Case

# Parameters and, where papers and tables give them, multiply-adds.
TOTALS = {
    "resnet50": ("25,557,032 parameters", "4.09 GMACs"),
    "resnet18": ("11,689,512 parameters", "1.81 GMACs"),
    "vgg16": ("138,357,544 parameters", "15.47 GMACs"),
    "alexnet": ("61,100,840 parameters", "0.71 GMACs"),
    "densenet121": ("7,978,856 parameters", "2.83 GMACs"),
    "mlp": ("24,864,180 of them weights", "24.86 MMACs"),
}
FIGURES = ("parameters", "weights", "multiply_adds", "bytes")


class InfoModel(Case):
    @classmethod
    def setUpClass(cls):
        pass  # no packs

    def describe(self, *arguments):
        return json.loads(self.expect("info", "--json", *arguments).out)

    def test_totals_are_the_published_ones(self):
        for model, words in TOTALS.items():
            out = self.expect("info", model).out
            self.assertTrue(out.startswith(f"{model}: "), out)
            for word in words:
                self.assertIn(word, out)

    def test_recipe_keys_are_listed_with_those_of_each_choice(self):
        lines = self.expect("info", "recipe").out.splitlines()
        rows = [re.split(r" {2,}", line) for line in lines]
        table = {words[0]: words[1:] for words in rows}
        self.assertEqual(table["KEY"], ["VALUES", "DEFAULT", "RESUME", "MEANING"])
        self.assertEqual(table["optimizer.name"][1], "sgd")
        for owner in ("sgd", "lars"):
            self.assertIn(["optimizer.momentum", "number", "0.9", "same", f"{owner}: momentum"],
                          rows)
        self.assertEqual(table["exchange.algorithm"][:2], ["auto|direct|two-level|native", "auto"])
        self.assertTrue(any(re.match(r" +native  .*gives up equal bits", line)
                            for line in lines))
        self.assertGreater(len(table), 50)

    def test_the_table_has_a_line_a_layer(self):
        lines = self.expect("info", "resnet50").out.splitlines()
        self.assertIn("input [3, 224, 224], 1000 classes", lines[0])
        rows = [re.split(r" {2,}", line.strip()) for line in lines[3:-4]]
        self.assertEqual(rows[0], ["conv1", "conv", "[64, 112, 112]", "9,408",
                                   "118,013,952", "3.1 MiB"])
        self.assertEqual(rows[-1], ["fc", "inner_product", "[1000]", "2,049,000",
                                    "2,048,000", "3.9 KiB"])
        self.assertIn(["layer2.0.downsample.0", "conv", "[512, 28, 28]", "131,072",
                       "102,760,448", "1.5 MiB"], rows)
        names = [row[0] for row in rows]
        self.assertEqual(names, [layer["name"] for layer in self.describe("resnet50")["layers"]])

    def test_json_has_the_same_in_bytes_and_units(self):
        found = self.describe("vgg11")
        self.assertEqual((found["kind"], found["model"], found["input"], found["classes"]),
                         ("model", "vgg11", [3, 224, 224], 1000))
        first, last = found["layers"][0], found["layers"][-1]
        self.assertEqual(first, {"name": "features.0", "kind": "conv",
                                 "output": [64, 224, 224], "parameters": 64 * 28,
                                 "weights": 64 * 27, "multiply_adds": 64 * 27 * 224 * 224,
                                 "bytes": 4 * 64 * 224 * 224})
        self.assertEqual(last["output"], [1000])
        for figure in FIGURES:
            self.assertEqual(found[figure], sum(layer[figure] for layer in found["layers"]))
        self.assertEqual(found["parameters"], 132863336)

    def test_each_model_has_its_own_default_input(self):
        for model, shape, classes in (("lenet", [1, 28, 28], 10), ("mlp", [1, 28, 28], 10),
                                      ("resnet20", [3, 32, 32], 10),
                                      ("densenet201", [3, 224, 224], 1000)):
            found = self.describe(model)
            self.assertEqual((found["input"], found["classes"]), (shape, classes))

    def test_input_and_classes_can_be_chosen(self):
        found = self.describe("resnet18", "--size", 64, "--classes", 7)
        self.assertEqual((found["input"], found["classes"]), ([3, 64, 64], 7))
        self.assertEqual(found["parameters"], 11689512 - 993 * 513)
        found = self.describe("alexnet", "--input", "1,96,80")
        self.assertEqual(found["input"], [1, 96, 80])
        self.assertEqual(found["layers"][0]["parameters"], 64 * (121 + 1))
        self.assertEqual(found["layers"][0]["output"], [64, 23, 19])

    def test_a_comparison_counts_what_other_kinds_would_need(self):
        lines = self.expect("info", "lenet", "--compare").out.splitlines()
        self.assertIn("input [1, 28, 28] and 10 classes", lines[0])
        rows = [re.split(r" {2,}", line.strip()) for line in lines[3:8]]
        self.assertEqual(rows[0], ["conv1", "[1, 28, 28]", "1 x 5 x 5", "[20, 24, 24]",
                                   f"{784 * 11520:,}", f"{25 * 11520:,}", "500"])
        self.assertEqual(rows[1], ["conv2", "[20, 12, 12]", "20 x 5 x 5", "[50, 8, 8]",
                                   f"{2880 * 3200:,}", f"{500 * 3200:,}", "25,000"])
        self.assertEqual(rows[2][:4], ["fc1", "[800]", "800", "[500]"])
        self.assertEqual(rows[2][4:], ["400,000"] * 3)
        self.assertEqual(rows[3][4:], ["5,000"] * 3)
        rest = 405_000
        self.assertEqual(rows[4], ["all", f"{784 * 11520 + 2880 * 3200 + rest:,}",
                                   f"{25 * 11520 + 500 * 3200 + rest:,}",
                                   f"{25_500 + rest:,}"])

    def test_a_layers_comparison_writes_the_sums_out(self):
        for words in (("alexnet", "--compare", "features.0"),
                      ("--compare", "alexnet", "features.0"),
                      ("alexnet", "--compare=features.0")):
            out = self.expect("info", *words).out
            self.assertIn("(3 x 224 x 224) x (64 x 55 x 55) = 150,528 x 193,600 = "
                          "29,142,220,800 weights", out)
            self.assertIn("(3 x 11 x 11) x (64 x 55 x 55) = 363 x 193,600 = 70,276,800 "
                          "weights", out)
            self.assertIn("(3 x 11 x 11) x (64) = 363 x 64 = 23,232 weights", out)
            self.assertIn("needs 1,254,400 times", out)
            self.assertIn("3,025 times: a kernel for each of 55 x 55 places", out)
        out = self.expect("info", "mlp", "--compare", "fc2").out
        self.assertEqual(out.count("(3333) x (3333) = 3,333 x 3,333 = 11,108,889 weights"), 3)
        self.assertIn("the three are the same", out)
        out = self.expect("info", "vgg16", "--input", "3,32,32", "--compare", "features.24").out
        self.assertIn("padding are counted", out)
        self.expect("info", "recipe", "--compare", status=2)

    def test_a_comparison_in_json_has_the_nets_own_weights(self):
        plain = {layer["name"]: layer for layer in self.describe("resnet18")["layers"]}
        found = self.describe("resnet18", "--compare")
        self.assertEqual((found["kind"], found["input"]), ("comparison", [3, 224, 224]))
        self.assertEqual({layer["name"] for layer in found["layers"]},
                         {name for name, layer in plain.items()
                          if layer["kind"] in ("conv", "inner_product")})
        for layer in found["layers"]:
            self.assertEqual(layer["convolutional"], plain[layer["name"]]["weights"])
            places = layer["output"][1] * layer["output"][2]
            self.assertEqual(layer["locally_connected"], layer["convolutional"] * places)
        for count in "fully_connected", "locally_connected", "convolutional":
            self.assertEqual(found[count], sum(layer[count] for layer in found["layers"]))
        one = self.describe("resnet18", "--size", 64, "--compare", "conv1")
        self.assertEqual(len(one["layers"]), 1)
        self.assertEqual(one["layers"][0]["fully_connected"], 3 * 64 * 64 * 64 * 32 * 32)
        self.assertEqual((one["layers"][0]["kernel"], one["layers"][0]["channels"]),
                         ([7, 7], 3))

    def test_a_layer_that_cannot_be_compared_is_named(self):
        done = self.run_convoy("info", "alexnet", "--compare", "feature.0")
        self.assert_one_message(done, "alexnet has no layer 'feature.0'",
                                "nearest", "features.0")
        done = self.run_convoy("info", "alexnet", "--compare", "features.1")
        self.assert_one_message(done, "features.1", "relu", "no weights")
        done = self.run_convoy("info", "alexnet", "features.0")
        self.assert_one_message(done, "only one", status=2)

    def test_bad_options_are_usage_errors(self):
        for words, part in ((("--size", "0"), "--size"), (("--size", "x"), "'x'"),
                            (("--input", "3,224"), "3,224,224"),
                            (("--input", "3,224,224,1"), "--input"),
                            (("--input", "3,-1,224"), "--input"),
                            (("--classes", "ten"), "'ten'"),
                            (("--classes",), "--classes needs a value"),
                            (("--size", "9", "--input", "3,9,9"), "either")):
            done = self.expect("info", "vgg11", *words, status=2)
            self.assertIn(part, done.err)
            self.assertEqual(done.out, "")

    def test_an_input_too_small_names_the_layer(self):
        done = self.run_convoy("info", "alexnet", "--size", 62)
        self.assert_one_message(done, "alexnet", "[3, 62, 62]", "features.12")
        done = self.run_convoy("info", "alexnet", "--classes", 1)
        self.assert_one_message(done, "classes", "here 1")

    def test_what_is_neither_file_nor_model_says_both_and_the_nearest(self):
        done = self.run_convoy("info", "resnet-50")
        self.assert_one_message(done, "no file 'resnet-50'", "no model 'resnet-50'",
                                "nearest is resnet50", "densenet201")

    def test_a_file_wins_over_a_model(self):
        file = self.folder / "resnet50"
        file.write_text("not a pack")
        done = self.run_convoy("info", "resnet50", cwd=self.folder)
        self.assert_one_message(done, "resnet50: ")
        done = self.run_convoy("info", file, "--size", 64)
        self.assert_one_message(done, "--size", file, status=2)
        done = self.run_convoy("info", file, "--compare")
        self.assert_one_message(done, "--compare", file, status=2)


if __name__ == "__main__":
    unittest.main()

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


if __name__ == "__main__":
    unittest.main()

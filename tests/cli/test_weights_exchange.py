"""convoy weights import and export: what goes through safetensors comes back bit for bit,
and a file that does not hold exactly the model's weights is refused with the list of what
is amiss."""
import json
import os
import pathlib
import struct
import sys
import unittest

try:
    import h5py
    import numpy
except ImportError as missing:
    print("SKIPPED:", missing)
    sys.exit(77)

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))  # before an installed module of this name
import safetensors  # noqa: E402
from convoy_case import CLASSES, Case, finish, start, write_images  # noqa: E402
from test_bad_input import fill_disk  # noqa: E402

RESNET20 = """
model: {{name: {model}, classes: {classes}}}
data: {{train: {pack}}}
batch: {{size: 24, microbatch: 12}}
schedule: {{epochs: 1, lr: 0.1}}
seed: 1
"""

NETWORK = """
network:
  - {{conv: {{out: 8, kernel: 3, pad: 1}}, as: stem.conv}}
  - {{batch_norm: {{}}, as: stem.norm}}
  - relu: {{}}
  - global_avg_pool: {{}}
  - flatten: {{}}
  - {{inner_product: {{out: 4}}, as: head}}
data: {{train: {pack}}}
batch: {{size: 24, microbatch: 12}}
"""


LOCAL = """
network:
  - {{locally_connected: {{out: 6, kernel: 5, stride: 4}}, as: local}}
  - relu: {{}}
  - flatten: {{}}
  - {{inner_product: {{out: 4}}, as: head}}
data: {{train: {pack}}}
batch: {{size: 24, microbatch: 12}}
"""


class Exchange(Case):
    """Has a resnet20 trained for some steps, and its weights as safetensors."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        images, _ = write_images(cls.shared / "colour", 96, side=32, channels=3)
        cls.pack = cls.shared / "colour.h5"
        case = cls()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        case.expect("pack", images, "-o", cls.pack, "--quiet")
        recipe = case.write_model_recipe("resnet20", CLASSES)
        out = case.train(recipe, "--stop-after-steps", 0)
        cls.initial = case.checkpoints(out)[0]
        cls.trained = case.checkpoints(case.train(recipe, "--stop-after-steps", 3))[-1]
        cls.exported = cls.shared / "trained.safetensors"
        case.expect("weights", "export", cls.trained, "-o", cls.exported)
        cls.arrays = safetensors.load(cls.exported)

    def write_model_recipe(self, model, classes):
        path = self.folder / f"{model}.yaml"
        path.write_text(RESNET20.format(model=model, classes=classes, pack=self.pack))
        return path

    def save(self, arrays, name="in.safetensors"):
        path = self.folder / name
        safetensors.save(path, arrays)
        return path

    def take_in(self, path, *options, model="resnet20"):
        """Imports the file; the path of what was made of it."""
        out = self.folder / "out.h5"
        done = self.expect("weights", "import", path, "-o", out, "--model", model, *options)
        self.assertEqual(done.out, f"{self.hash(out)}  {out}\n")
        return out

    def refused(self, path, *options, words, model="resnet20"):
        """The lines of the message; nothing is written."""
        before = set(self.folder.iterdir())
        done = self.run_convoy("weights", "import", path, "-o", self.folder / "no.h5",
                               "--model", model, *options)
        self.assert_one_message(done, *words)
        self.assertEqual(set(self.folder.iterdir()), before)
        return done.err.splitlines()


class RoundTrip(Exchange):
    def test_an_export_holds_parameters_buffers_and_counters(self):
        expected = {}
        with h5py.File(self.trained) as file:
            for group in ("params", "buffers"):
                expected.update({name: v[()] for name, v in file[group].items()})
            self.assertIn("optimizer", file)
        counters = [name.replace("running_mean", "num_batches_tracked")
                    for name in expected if name.endswith("running_mean")]
        self.assertEqual(len(counters), 19)
        self.assertEqual(set(self.arrays), set(expected) | set(counters))
        for name, values in expected.items():
            self.assertEqual(self.arrays[name].dtype, numpy.float32)
            self.assertEqual(self.arrays[name].shape, values.shape)
            self.assertEqual(self.arrays[name].tobytes(), values.tobytes(), name)
        for name in counters:
            self.assertEqual(self.arrays[name].dtype, numpy.int64)
            self.assertEqual(self.arrays[name].shape, ())
            self.assertEqual(self.arrays[name], 3)

    def test_the_header_is_as_the_formats_own_library_writes_it(self):
        header = safetensors.header(self.exported)
        metadata = header.pop("__metadata__")
        version = self.expect("--version").out.split()[1]
        self.assertEqual(metadata, {"format": "pt", "model": "resnet20", "step": "3",
                                    "classes": "4", "convoy_version": version})
        order = sorted(header, key=lambda name: (header[name]["dtype"] != "I64", name))
        self.assertEqual(list(header), order)
        self.assertEqual(struct.unpack("<Q", self.exported.read_bytes()[:8])[0] % 8, 0)

    def test_an_import_of_an_export_has_the_same_weights(self):
        out = self.take_in(self.exported)
        self.assertEqual(self.hash(out), self.hash(self.trained))
        again = self.folder / "again.safetensors"
        self.expect("weights", "export", out, "-o", again)
        for name, values in safetensors.load(again).items():
            if name.endswith("num_batches_tracked"):
                self.assertEqual(values, 0)
            else:
                self.assertEqual(values.tobytes(), self.arrays[name].tobytes(), name)

    def test_an_import_evaluates_as_what_was_exported(self):
        out = self.take_in(self.exported)
        ours, theirs = (self.expect("eval", "--weights", path, "--data", self.pack,
                                    "--json", "--threads", 1, "--microbatch", 12).out
                        for path in (out, self.trained))
        self.assertEqual(ours, theirs)
        self.assertEqual(json.loads(ours)["samples"], 96)

    def test_info_describes_an_import(self):
        text = self.expect("info", self.take_in(self.exported)).out
        for line in ("step: 0", "model: resnet20", "classes: 4", "input_channels: 3",
                     "input_width: 32", '    name: "resnet20"', "    crop: 32",
                     "    mean: [0.485, 0.456, 0.406]"):
            self.assertIn(line, text.splitlines())

    def test_another_crop_is_kept(self):
        text = self.expect("info", self.take_in(self.exported, "--crop", 48)).out
        for line in ("input_height: 48", "input_width: 48", "    crop: 48"):
            self.assertIn(line, text.splitlines())

    def test_values_of_other_types_are_converted(self):
        wide = {name: v.astype("f8") for name, v in self.arrays.items()}
        self.assertEqual(self.hash(self.take_in(self.save(wide))), self.hash(self.trained))
        for convert, back in (
                (lambda v: v.astype("f2"), lambda v: v.astype("f2").astype("f4")),
                (safetensors.Bf16, lambda v: (v.view("u4") >> 16 << 16).view("f4"))):
            floats = {k: v for k, v in self.arrays.items() if v.dtype == numpy.float32}
            path = self.save({name: convert(v) for name, v in floats.items()})
            out = self.folder / "half.safetensors"
            self.expect("weights", "export", self.take_in(path), "-o", out)
            for name, values in safetensors.load(out).items():
                if name in floats:
                    self.assertEqual(values.tobytes(), back(floats[name]).tobytes(), name)

    def test_counters_may_be_missing(self):
        few = {name: v for name, v in self.arrays.items() if v.dtype == numpy.float32}
        self.assertEqual(self.hash(self.take_in(self.save(few))), self.hash(self.trained))

    def through_recipe(self, recipe):
        """A checkpoint of the recipe's net, and what its export is imported to."""
        trained = self.checkpoints(self.train(recipe, "--stop-after-steps", 2))[-1]
        path, out = self.folder / "net.safetensors", self.folder / "net.h5"
        self.expect("weights", "export", trained, "-o", path)
        self.expect("weights", "import", path, "-o", out, "--recipe", recipe)
        self.assertEqual(self.hash(out), self.hash(trained))
        return trained, out

    def test_a_network_of_a_recipes_own_takes_weights_too(self):
        recipe = self.folder / "network.yaml"
        recipe.write_text(NETWORK.format(pack=self.pack))
        self.through_recipe(recipe)
        names = safetensors.load(self.folder / "net.safetensors")
        self.assertIn("stem.norm.num_batches_tracked", names)

    def test_a_kernel_for_each_place_is_five_dimensional(self):
        recipe = self.folder / "local.yaml"
        recipe.write_text(LOCAL.format(pack=self.pack))
        self.through_recipe(recipe)
        arrays = safetensors.load(self.folder / "net.safetensors")
        self.assertEqual(arrays["local.weight"].shape, (6, 3, 5, 5, 49))
        self.assertEqual(arrays["local.bias"].shape, (6, 49))

    def test_the_model_of_a_recipe_takes_weights_too(self):
        """A lenet with batch norm and another width is in no zoo."""
        trained, out = self.through_recipe(self.write_recipe())
        facts = [{line for line in self.expect("info", file).out.splitlines()
                  if line.startswith(("classes", "input_", "  "))}
                 for file in (trained, out)]
        self.assertEqual({line for line in facts[0] - facts[1]
                          if " optimizer/" not in line}, {"  threads: 1"})
        self.assertEqual(facts[1] - facts[0], {"  threads: auto"})


class Classes(Exchange):
    def names(self, path):
        with h5py.File(path) as file:
            return [name.decode() for name in file["class_names"][()]]

    def test_classes_are_numbered_without_names(self):
        self.assertEqual(self.names(self.take_in(self.exported)), ["0", "1", "2", "3"])

    def test_names_come_from_a_file(self):
        names = self.folder / "names.txt"
        for end in ("\n", "\r\n"):
            for last in (end, ""):
                names.write_bytes((end.join(["cat", "wild boar", "\u0153uf", "cat"]) + last
                                   ).encode())
                out = self.take_in(self.exported, "--class-names", names)
                self.assertEqual(self.names(out), ["cat", "wild boar", "\u0153uf", "cat"])

    def test_names_of_another_kind_than_the_packs_do_not_hinder_eval(self):
        """ImageNet's packs have ids for names, people give weights words; but one name for
        two classes is a mistake."""
        names = self.folder / "names.txt"
        for text, refused in (("ant\nbee\ncat\ndog\n", False), (None, False),
                              ("1\n0\n2\n3\n", True), ("ant\n0\nb\nc\n", True)):
            if text:
                names.write_text(text)
            out = self.take_in(self.exported, *(("--class-names", names) if text else ()))
            done = self.run_convoy("eval", "--weights", out, "--data", self.pack, "--quiet")
            self.assertEqual(done.status, 1 if refused else 0, done.err)
            if refused:
                self.assert_one_message(done, "class 0 is '0' in", self.pack, out)

    def test_a_file_with_other_names_than_classes_is_refused(self):
        names = self.folder / "names.txt"
        for text, words in (
                ("a\nb\nc\n", ["has fewer than 4 lines"]),
                ("", ["has fewer than 4 lines"]),
                ("a\nb\nc\nd\ne\n", ["has more than 4 lines; the model has 4 classes"]),
                ("a\n\nc\nd\n", ["line 2 is no class name"]),
                ("a\nb\rb\nc\nd\n", ["line 2 is no class name"]),
                ("a\nb\0\nc\nd\n", ["holds a byte 0"])):
            names.write_bytes(text.encode())
            self.refused(self.exported, "--class-names", names, words=[names, *words])
        names.unlink()
        self.refused(self.exported, "--class-names", names, words=[names, "cannot open"])

    def test_the_number_of_classes_is_that_of_the_file_or_must_be(self):
        out = self.take_in(self.exported, "--classes", CLASSES)
        self.assertEqual(self.hash(out), self.hash(self.trained))
        lines = self.refused(self.exported, "--classes", 7, words=[
            "resnet20 with 7 classes: 0 tensors missing, 0 too many, 2 of another shape"])
        self.assertEqual(lines[1:], ["  fc.weight: [4, 64] in the file, [7, 64] in the model",
                                     "  fc.bias: [4] in the file, [7] in the model"])

    def test_a_classifier_of_no_use_is_refused(self):
        for shape in ((0, 64), (1, 64), (2**31 - 1, 0), ()):
            path = self.save({**self.arrays, "fc.weight": numpy.zeros(shape, "f4")})
            with self.subTest(shape=shape):
                self.refused(path, words=[])


class Strictness(Exchange):
    def test_every_difference_is_listed(self):
        arrays = dict(self.arrays)
        del arrays["bn1.bias"], arrays["layer2.0.bn1.running_var"]
        arrays["conv1.weight"] = numpy.zeros((16, 1, 3, 3), "f4")
        arrays["bn1.weight"] = numpy.zeros((16, 1), "f4")
        arrays["layer1.0.bn1.weight"] = numpy.zeros(16, "i1")
        arrays["fc.weights"] = numpy.zeros((1, 2), "f4")
        arrays["fc.num_batches_tracked"] = numpy.int64(0)
        lines = self.refused(self.save(arrays), words=[
            "in.safetensors: does not hold the weights of resnet20 with 4 classes: "
            "2 tensors missing, 2 too many, 3 of another shape or type"])
        self.assertEqual(set(lines[1:]), {
            "  bn1.bias: not in the file, the model has it as [16]",
            "  layer2.0.bn1.running_var: not in the file, the model has it as [32]",
            "  conv1.weight: [16, 1, 3, 3] in the file, [16, 3, 3, 3] in the model",
            "  bn1.weight: [16, 1] in the file, [16] in the model",
            "  layer1.0.bn1.weight: of type I8 in the file, expected F32, F64, F16 or BF16",
            "  fc.num_batches_tracked: [] in the file, not in the model",
            "  fc.weights: [1, 2] in the file, not in the model"})
        self.assertEqual(len(lines), 8)

    def test_a_long_list_is_cut(self):
        lines = self.refused(self.exported, model="resnet32", words=["60 tensors missing"])
        self.assertEqual(len(lines), 22)
        self.assertEqual(lines[-1], "  and 40 more")
        long = {f"{i:03}" + "n" * 300: numpy.zeros(1, "f4") for i in range(30)}
        lines = self.refused(self.save({**self.arrays, **long}), words=["30 too many"])
        self.assertRegex(lines[-1], r"^  and \d+ more$")
        self.assertEqual(len(lines) - 2 + int(lines[-1].split()[1]), 30)

    def test_a_wrong_model_is_refused(self):
        self.refused(self.exported, model="lenet", words=["weights of lenet with 10 classes"])
        self.refused(self.exported, model="resnet21", words=["resnet21", "resnet20"])
        self.refused(self.exported, "--set", "model.variant=v9", words=["v9", "v1.5"])
        self.refused(self.exported, "--set", "model.variant=v1",
                     words=["model.variant", "is no option of resnet20"])
        for key in ("model.name", "model.classes", "data.crop"):
            self.refused(self.exported, "--set", f"{key}=5", words=[key, "not for an import"])

    def test_a_model_that_is_not_the_usual_one_is_described(self):
        run = self.train(self.write_model_recipe("resnet20", CLASSES), "--set",
                         "model.pre_activation=true", "--stop-after-steps", 1)
        trained = self.checkpoints(run)[-1]
        path = self.folder / "pre.safetensors"
        self.expect("weights", "export", trained, "-o", path)
        self.refused(path, words=["does not hold the weights of resnet20"])
        out = self.folder / "out.h5"
        self.expect("weights", "import", path, "-o", out, "--model", "resnet20", "--set",
                    "model.pre_activation=true", "--set", "data.mean=[0.25]")
        text = self.expect("info", out).out
        for words in ("pre_activation: true", "mean: [0.25"):
            self.assertIn(words, text)

    def test_what_is_skipped_starts_as_training_does(self):
        for arrays in (self.arrays,
                       {k: v for k, v in self.arrays.items() if not k.startswith("fc.")},
                       {**self.arrays, "fc.weight": numpy.zeros((1000, 64), "f4")}):
            out = self.take_in(self.save(arrays), "--skip", "fc.", "--skip", "layer3.2.",
                               "--classes", CLASSES)
            for source, is_skipped in ((self.initial, True), (self.trained, False)):
                lines = self.run_convoy("weights", "diff", out, source).out.splitlines()
                for line in lines[:-1]:
                    if ("/fc." in line or "/layer3.2." in line) == is_skipped:
                        self.assertTrue(line.endswith(": equal"), line)
                self.assertGreater(len(lines), 90)

    def test_skipping_takes_tensors_that_the_model_does_not_have(self):
        more = {**self.arrays, "ema.fc.weight": numpy.zeros(3, "i4")}
        path = self.save(more)
        self.refused(path, words=["1 too many"])
        out = self.take_in(path, "--skip", "ema.")
        self.assertEqual(self.hash(out), self.hash(self.trained))

    def test_a_prefix_of_nothing_is_refused(self):
        self.refused(self.exported, "--skip", "fc1.", words=["'fc1.'", "no tensor's name"])


class BadFiles(Exchange):
    def test_damaged_files_are_refused(self):
        good = self.exported.read_bytes()
        size, = struct.unpack("<Q", good[:8])
        header, data = good[8:8 + size], good[8 + size:]
        entry = b'"bn1.bias":{"dtype":"F32","shape":[16],"data_offsets":'
        begin, end = safetensors.header(self.exported)["bn1.bias"]["data_offsets"]
        self.assertIn(entry, header)

        def with_header(text):
            return struct.pack("<Q", len(text)) + text + data

        def moved(*offsets):
            old = entry + f"[{begin},{end}]".encode()
            return with_header(header.replace(old, entry + str(list(offsets)).encode()))
        for name, content, words in (
                ("empty", b"", "0 bytes only"),
                ("header cut", good[:8 + size // 2], "was cut short"),
                ("data cut", good[:-1], "was cut short"),
                ("more data", good + b"\0", "accounts for"),
                ("no header", good[8 + size:], "is no safetensors file"),
                ("huge header", struct.pack("<Q", 2**63) + good[8:], "100000000"),
                ("endless header", b"\xff" * 8 + good[8:], "100000000"),
                ("not JSON", with_header(b"{" + header), "line 1"),
                ("other brackets", with_header(b"[" + header[1:]), "'{'"),
                ("twice", with_header(header.replace(b"{", b"{" + entry + b"[0,64]},", 1)),
                 "duplicate"),
                ("overlap", moved(begin - 4, end - 4), "overlap"),
                ("gap", moved(begin + 4, end + 4), "belong to no tensor"),
                ("longer", moved(begin, end + 4), "bn1.bias: F32 values of the shape [16]"),
                ("backwards", moved(end, begin), "data_offsets"),
                ("negative", moved(-64, 0), "data_offsets"),
                ("type", with_header(header.replace(entry, entry.replace(b"F32", b"F31"))),
                 "bn1.bias: of type F31"),
                ("its size", with_header(header.replace(entry, entry.replace(b"F32", b"F16"))
                                         ), "take 32 bytes"),
                ("shape", with_header(header.replace(entry, entry.replace(b"16", b"1e9"))),
                 "no integer")):
            path = self.folder / f"{name}.safetensors"
            path.write_bytes(content)
            with self.subTest(name):
                lines = self.refused(path, words=[f"{name}.safetensors: "])
                self.assertIn(words, "\n".join(lines))

    def test_a_file_of_another_kind_is_refused(self):
        self.refused(self.trained, words=[self.trained, "HDF5"])
        self.refused(self.folder, words=[self.folder, "is a folder"])
        self.refused(self.folder / "none", words=["none: cannot open"])
        out = self.folder / "out.safetensors"
        for path, words in ((self.exported, "convoy weights import"),
                            (self.pack, "no convoy checkpoint"),
                            (self.folder, "is a folder"), ("none.h5", "cannot open")):
            done = self.run_convoy("weights", "export", path, "-o", out)
            self.assert_one_message(done, path, words)
            self.assertEqual(list(self.folder.glob("out*")), [])

    def test_a_place_that_cannot_be_written_is_named(self):
        commands = (("export", self.trained), ("import", self.exported, "--model",
                                               "resnet20"))
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        for command in commands:
            for out, words in ((self.folder, "is a folder"), (command[1], "the file to read"),
                               (pipe, "no regular file"),
                               (self.folder / "gone" / "x", "gone/x")):
                before = command[1].read_bytes()
                done = self.run_convoy("weights", *command, "-o", out)
                self.assert_one_message(done, out, words)
                self.assertEqual(command[1].read_bytes(), before)
                self.assertTrue(pipe.is_fifo())

    def test_a_full_disk_leaves_the_old_file(self):
        out = self.folder / "out"
        for command in (("export", self.trained), ("import", self.exported, "--model",
                                                   "resnet20")):
            out.write_text("old")
            done = finish(start(["weights", *command, "-o", out], preexec_fn=fill_disk))
            self.assert_one_message(done, out)
            self.assertEqual([path.name for path in self.folder.iterdir()], ["out"])
            self.assertEqual(out.read_text(), "old")

    def test_wrong_usage(self):
        for words, message in (
                (["import", "a", "--model", "mlp"], "-o FILE is missing"),
                (["import", "a", "-o", "b"], "--model NAME or --recipe FILE"),
                (["import", "a", "-o", "b", "--model", "mlp", "--recipe", "r"], "one of them"),
                (["import", "-o", "b", "--model", "mlp"], "expected one file"),
                (["import", "a", "b", "-o", "b", "--model", "mlp"], "found 2"),
                (["import", "a", "-o", "b", "--model", "mlp", "--classes", "ten"], "'ten'"),
                (["import", "a", "-o", "b", "--model", "mlp", "--crop", "0"], "'0'"),
                (["import", "a", "-o", "b", "--model", "mlp", "--skip", ""], "a prefix"),
                (["export", "a"], "-o FILE is missing"),
                (["export", "a", "-o", "b", "--model", "mlp"], "export takes no option"),
                (["hash", "a", "-o", "b"], "writes no file"),
                (["diff", "a", "b", "--skip", "x"], "diff takes no option"),
                (["improt", "a"], "'improt' is unknown")):
            done = self.expect("weights", *words, status=2)
            self.assertIn(message, done.err)

    def test_a_recipe_must_say_enough(self):
        out = self.folder / "out.h5"
        recipe = self.write_recipe()
        command = ("weights", "import", self.exported, "-o", out, "--recipe")
        self.assert_one_message(self.run_convoy(*command, recipe, "--classes", 4), recipe,
                                "set in the recipe")
        self.assert_one_message(
            self.run_convoy(*command, self.write_recipe(data={"train": ""})), recipe,
            "data.train", "is empty")
        self.assert_one_message(
            self.run_convoy(*command, self.write_recipe(data={"train": "gone.h5"})),
            "gone.h5")
        self.assert_one_message(self.run_convoy(*command, "gone.yaml"), "gone.yaml")


if __name__ == "__main__":
    unittest.main()

"""convoy predict says of image files what convoy eval counts on a pack of the same images,
and what the weights compute; bad files cost their own prediction only."""
import json
import math
import os
import unittest

from convoy_case import CLASSES, SIDE, Case, flip_byte, write_images, write_png

try:
    import h5py
    import numpy
except ImportError:
    numpy = None


def write_grey(path, pixels, side=SIDE):
    """A PNG whose luma is these pixels exactly."""
    write_png(path, side, side, bytes(value for value in pixels for _ in range(3)))


class Predict(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        out = case.train(case.write_recipe(), "--stop-after-steps", 13)
        cls.weights = case.checkpoints(out)[-1]

    def predict(self, weights, *arguments, status=0):
        done = self.expect("predict", "--json", "--weights", weights, *arguments,
                           status=status)
        return json.loads(done.out)

    def val_images(self, n=50):
        """The first of the validation pack's images as files; their labels."""
        _, images = write_images(self.folder / "val", 50, seed=2)
        paths = [self.folder / f"{i}.png" for i in range(n)]
        for path, pixels in zip(paths, images):
            write_grey(path, pixels)
        return paths, [i % CLASSES for i in range(n)]

    def assert_as_evaluated(self, weights, pack, predicted, labels):
        """Predictions of all classes give eval's figures."""
        found = json.loads(self.expect("eval", "--json", "--weights", weights, "--data",
                                       pack).out)
        self.assertEqual(found["samples"], len(labels))
        right = sum(p["top"][0]["index"] == label for p, label in zip(predicted, labels))
        self.assertEqual(right, round(found["top1"] * len(labels)))
        losses = [-math.log(entry["probability"])
                  for p, label in zip(predicted, labels)
                  for entry in p["top"] if entry["index"] == label]
        self.assertEqual(len(losses), len(labels))
        self.assertAlmostEqual(sum(losses) / len(labels), found["loss"], places=5)


class Flipped(Predict):
    def mean(self, *predictions):
        """The softmax of the mean of logits, of which these are the softmaxes."""
        product = {}
        for prediction in predictions:
            for entry in prediction["top"]:
                product.setdefault(entry["index"], []).append(entry["probability"])
        roots = {index: math.prod(p) ** (1 / len(p)) for index, p in product.items()}
        return {index: root / sum(roots.values()) for index, root in roots.items()}

    def test_images_and_their_mirror_images_are_averaged(self):
        out = self.train(self.write_recipe(eval={"flip": True}), "--stop-after-steps", 13)
        flips = self.checkpoints(out)[-1]
        self.assertEqual(self.hash(flips), self.hash(self.weights))
        files, labels = self.val_images()
        mirrored = []
        _, images = write_images(self.folder / "again", 50, seed=2)
        for path, pixels in zip(files, images):
            rows = [pixels[i:i + SIDE] for i in range(0, SIDE * SIDE, SIDE)]
            mirrored.append(path.with_name("mirrored-" + path.name))
            write_grey(mirrored[-1], b"".join(row[::-1] for row in rows))
        as_is = self.predict(self.weights, *files)
        turned = self.predict(self.weights, *mirrored)
        both = self.predict(flips, *files)
        self.assertNotEqual(as_is, turned)
        for a, b, found in zip(as_is, turned, both):
            wanted = self.mean(a, b)
            for entry in found["top"]:
                self.assertAlmostEqual(entry["probability"], wanted[entry["index"]],
                                       places=5)
        self.assert_as_evaluated(flips, self.val_pack, both, labels)
        line = [line for line in self.metrics(out) if line["event"] == "epoch"][-1]
        epoch = self.checkpoints(out)[0]
        for options in ((epoch,), (epoch, "--flip", "--microbatch", 7)):
            found = json.loads(self.expect("eval", "--json", "--data", self.val_pack,
                                           "--weights", *options).out)
            self.assertEqual(found["top1"], line["val_top1"])
            self.assertAlmostEqual(found["loss"], line["val_loss"], places=5)
        plain = self.train(self.write_recipe(), "--stop-after-steps", 10)
        found = json.loads(self.expect("eval", "--json", "--flip", "--data", self.val_pack,
                                       "--weights", self.checkpoints(plain)[-1]).out)
        self.assertAlmostEqual(found["loss"], line["val_loss"], places=5)


class RawSamples(Predict):
    def test_files_are_what_their_pack_s_records_are(self):
        paths, labels = self.val_images()
        predicted = self.predict(self.weights, *paths)
        self.assertEqual([p["file"] for p in predicted], [str(path) for path in paths])
        for p in predicted:
            self.assertEqual(set(p), {"file", "top"})
            self.assertEqual({entry["index"] for entry in p["top"]}, set(range(CLASSES)))
            for entry in p["top"]:
                self.assertEqual(set(entry), {"index", "class", "probability"})
                self.assertEqual(entry["class"], str(entry["index"]))
            shares = [entry["probability"] for entry in p["top"]]
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertAlmostEqual(sum(shares), 1, places=8)
        self.assert_as_evaluated(self.weights, self.val_pack, predicted, labels)

    def test_padded_samples(self):
        recipe = self.write_recipe(data={"crop": 20, "augment": {"pad": 2}})
        weights = self.checkpoints(self.train(recipe, "--stop-after-steps", 13))[-1]
        paths, labels = self.val_images()
        self.assert_as_evaluated(weights, self.val_pack, self.predict(weights, *paths),
                                 labels)

    def test_three_channels(self):
        pack = self.make_pack("colour", 40, seed=3, channels=3)
        _, images = write_images(self.folder / "colour", 40, seed=3, channels=3)
        recipe = self.write_recipe(data={"train": str(pack), "val": str(pack)})
        weights = self.checkpoints(self.train(recipe, "--stop-after-steps", 3))[-1]
        paths = [self.folder / f"{i}.png" for i in range(40)]
        n = SIDE * SIDE
        for path, planes in zip(paths, images):
            write_png(path, SIDE, SIDE,
                      bytes(planes[c * n + i] for i in range(n) for c in range(3)))
        self.assert_as_evaluated(weights, pack, self.predict(weights, *paths),
                                 [i % CLASSES for i in range(40)])

    def test_a_prediction_does_not_depend_on_the_other_files(self):
        paths, _ = self.val_images(19)
        together = self.predict(self.weights, *paths)
        backwards = self.predict(self.weights, *reversed(paths))
        self.assertEqual(together, backwards[::-1])
        for i in (0, 7, 18):
            self.assertEqual(self.predict(self.weights, paths[i]), [together[i]])

    def test_threads_change_no_more_than_rounding(self):
        paths, _ = self.val_images(9)
        for one, two in zip(self.predict(self.weights, *paths),
                            self.predict(self.weights, "--threads", 2, *paths)):
            for a, b in zip(one["top"], two["top"]):
                self.assertAlmostEqual(a["probability"], b["probability"], places=5)

    @unittest.skipUnless(numpy, "needs NumPy and h5py")
    def test_probabilities_are_the_softmax_of_what_the_weights_compute(self):
        recipe = self.write_recipe(model={"name": "mlp", "width": 32, "batch_norm": False,
                                          "dropout": 0},
                                   data={"mean": [0.25], "std": [0.5]})
        weights = self.checkpoints(self.train(recipe, "--stop-after-steps", 13))[-1]
        paths, _ = self.val_images(12)
        _, images = write_images(self.folder / "val", 50, seed=2)
        with h5py.File(weights) as file:
            layers = [(file[f"params/fc{i}.weight"][:].astype(float),
                       file[f"params/fc{i}.bias"][:].astype(float)) for i in range(1, 5)]
        for found, pixels in zip(self.predict(weights, *paths), images):
            x = (numpy.frombuffer(pixels, numpy.uint8) / 255 - 0.25) / 0.5
            for i, (weight, bias) in enumerate(layers):
                x = weight @ (numpy.maximum(x, 0) if i else x) + bias
            shares = numpy.exp(x - x.max()) / numpy.exp(x - x.max()).sum()
            self.assertEqual([entry["index"] for entry in found["top"]],
                             list(numpy.argsort(-shares)))
            for entry in found["top"]:
                self.assertAlmostEqual(entry["probability"], shares[entry["index"]],
                                       delta=1e-5)


class ImageFiles(Predict):
    NAMES = ["a cat", 'b "dog"', "c \u00f6"]

    def image_tree(self, sizes, suffix=".png"):
        """Class folders with an image of each size; paths in the pack's order, labels."""
        paths, labels = [], []
        for label, name in enumerate(self.NAMES):
            for i, (width, height) in enumerate(sizes):
                pixels = bytes((x * (label + 2) + y * y * (i + 1) + 90 * c * label) % 256
                               for y in range(height) for x in range(width)
                               for c in range(3))
                paths.append(self.folder / "tree" / name / f"{i}{suffix}")
                labels.append(label)
                write_png(paths[-1], width, height, pixels)
        pack = self.folder / "tree.h5"
        self.expect("pack", self.folder / "tree", "-o", pack)
        return pack, paths, labels

    def check(self, sizes, resolved, **data):
        pack, paths, labels = self.image_tree(sizes)
        recipe = self.write_recipe(
            data={"train": str(pack), "val": str(pack), "crop": 16, **data},
            batch={"size": 6, "microbatch": 2})
        out = self.train(recipe, "--stop-after-steps", 4)
        self.assertIn(f"  resize: {resolved}\n", (out / "recipe.yaml").read_text())
        weights = self.checkpoints(out)[-1]
        predicted = self.predict(weights, *paths)
        for p in predicted:
            self.assertEqual({entry["class"] for entry in p["top"]}, set(self.NAMES))
            for entry in p["top"]:
                self.assertEqual(entry["class"], self.NAMES[entry["index"]])
        self.assert_as_evaluated(weights, pack, predicted, labels)

    def test_images_of_many_sizes(self):
        self.check([(12, 10), (31, 47), (16, 16), (60, 17), (1, 9)], 0,
                   augment={"resized_crop": True, "pad": 0})

    def test_images_of_the_crop_s_size_stay_as_they_are(self):
        self.check([(16, 16)] * 3, 16)

    def test_random_crops_of_such_images_leave_the_usual_resize(self):
        self.check([(16, 16)] * 3, 0, augment={"resized_crop": True, "pad": 0})

    def test_a_resize_of_one_s_own(self):
        self.check([(30, 40), (16, 16)], 19, resize=19)


class Output(Predict):
    def test_text_is_a_block_an_image(self):
        paths, _ = self.val_images(2)
        lines = self.expect("predict", "--weights", self.weights, "--top", 2,
                            *paths).out.splitlines()
        self.assertEqual(len(lines), 6)
        self.assertEqual(lines[::3], [str(path) for path in paths])
        for line in lines[1:3] + lines[4:]:
            self.assertRegex(line, r"^ +\d+\.\d\d %  [0-3]$")

    def test_top_says_how_many(self):
        paths, _ = self.val_images(3)
        everything = self.predict(self.weights, "--top", 100, *paths)
        for n in (1, 3):
            found = self.predict(self.weights, "--top", n, *paths)
            self.assertEqual([p["top"] for p in found],
                             [p["top"][:n] for p in everything])

    def test_classes_without_a_name_are_called_by_their_number(self):
        recipe = self.write_recipe(model={"classes": 9})
        weights = self.checkpoints(self.train(recipe, "--stop-after-steps", 1))[-1]
        paths, _ = self.val_images(1)
        found, = self.predict(weights, *paths)
        self.assertEqual(len(found["top"]), 5)
        found, = self.predict(weights, "--top", 9, *paths)
        self.assertEqual({entry["class"] for entry in found["top"]}, set("012345678"))

    def test_names_of_files_are_written_as_json(self):
        paths, _ = self.val_images(1)
        odd = self.folder / 'a "b"\\\t\u00e4.png'
        odd.write_bytes(paths[0].read_bytes())
        self.assertEqual(self.predict(self.weights, odd)[0]["file"], str(odd))


class BadInput(Predict):
    def bad_files(self):
        """Files that are no images, and a word of what is said about each."""
        paths, _ = self.val_images(1)
        whole = paths[0].read_bytes()
        for name, content in (("empty", b""), ("text", b"not an image\n"),
                              ("cut.png", whole[:len(whole) // 2]),
                              ("cut.jpg", b"\xff\xd8\xff\xe0")):
            (self.folder / name).write_bytes(content)
        os.mkfifo(self.folder / "pipe")
        flipped = self.folder / "flipped.png"
        flipped.write_bytes(whole)
        flip_byte(flipped, len(whole) // 2)
        return {self.folder / "nothing": "cannot open", self.folder: "is a folder",
                self.folder / "pipe": "not a regular file", "/dev/zero": "not a regular file",
                self.folder / "empty": "0 bytes",
                self.folder / "text": "neither a JPEG nor a PNG",
                self.folder / "cut.png": "PNG", self.folder / "cut.jpg": "JPEG",
                flipped: "PNG"}

    def test_bad_files_are_named_and_the_others_predicted(self):
        bad = self.bad_files()
        good, _ = self.val_images(9)
        mixed = [good[0], *bad, *good[1:]]
        done = self.expect("predict", "--json", "--weights", self.weights, *mixed, status=1)
        self.assertEqual(json.loads(done.out), self.predict(self.weights, *good))
        lines = done.err.splitlines()
        self.assertEqual(len(lines), len(bad), done.err)
        for line, (path, word) in zip(lines, bad.items()):
            self.assertTrue(line.startswith(f"convoy: {path}: "), line)
            self.assertIn(word, line)

    def test_without_a_good_file_the_list_is_empty(self):
        self.assertEqual(self.predict(self.weights, *self.bad_files(), status=1), [])

    def test_bad_weights_leave_nothing_on_stdout(self):
        paths, _ = self.val_images(1)
        damaged = self.folder / "damaged.h5"
        damaged.write_bytes(self.weights.read_bytes())
        flip_byte(damaged, damaged.stat().st_size // 2)
        for weights in (self.folder / "nothing", self.val_pack, paths[0], damaged):
            done = self.run_convoy("predict", "--json", "--weights", weights, *paths)
            self.assert_one_message(done, weights)
            self.assertEqual(done.out, "")

    def test_wrong_usage(self):
        for words, arguments in (
                ("--weights", ["x.png"]),
                ("IMAGE", ["--weights", self.weights]),
                ("--top", ["--weights", self.weights, "--top", "0", "x.png"]),
                ("--threads", ["--weights", self.weights, "--threads", "many", "x.png"]),
                ("--data", ["--weights", self.weights, "--data", "x.h5"])):
            done = self.run_convoy("predict", *arguments)
            self.assert_one_message(done, words, status=2)
            self.assertEqual(done.out, "")

    def test_several_ranks_are_refused_by_one(self):
        paths, _ = self.val_images(1)
        done = self.run_convoy("predict", "--weights", self.weights, *paths, ranks=2)
        self.assert_one_message(done, "one process", "mpirun", status=2)


if __name__ == "__main__":
    unittest.main()

"""convoy show: the pictures are there and are of what they say, a page needs nothing from
outside, and what cannot be shown gets one line."""
import json
import os
import re
import sys
import unittest

from convoy_case import CLASSES, SIDE, Case, write_images, write_png
from page_case import Page

try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print(f"SKIPPED: {missing}; apt-get install python3-h5py python3-pil")
    sys.exit(77)

VAL = 50


class Show(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        out = case.train(case.write_recipe(), "--stop-after-steps", 30)
        cls.weights = case.checkpoints(out)[-1]
        _, cls.val_images = write_images(case.folder / "again", VAL, seed=2)

    def show(self, what, *arguments, status=0):
        weights = [] if what == "samples" else ["--weights", self.weights]
        return self.expect("show", what, *weights, *arguments, status=status)

    def image_file(self, i=0):
        """Record i of the validation pack as a file."""
        path = self.folder / f"{i}.png"
        write_png(path, SIDE, SIDE,
                  bytes(value for value in self.val_images[i] for _ in range(3)))
        return path

    def values(self, what, *arguments):
        path, found = self.folder / f"{what}.h5", {}
        self.show(what, *arguments, "--values", path)

        def take(name, item):
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]

        with h5py.File(path) as file:
            file.visititems(take)
        return found

    def picture(self, path):
        with Image.open(path) as image:
            image.load()
            return np.asarray(image)

    def page(self, path):
        page = Page(path)
        self.assertEqual(page.faults, [])
        self.assertTrue(page.images)
        for source in page.images:
            self.assertTrue(source.startswith("data:image/png;base64,"), source[:60])
        return page


class Pictures(Show):
    def test_each_has_its_files_a_page_and_lines(self):
        image = self.image_file()
        for what, files in (("kernels", {"conv1.png", "conv2.png"}), ("cam", {"cam.png"}),
                            ("saliency", {"saliency.png"}), ("occlusion", {"occlusion.png"}),
                            ("activations", None)):
            with self.subTest(what):
                out, html = self.folder / what, self.folder / f"{what}.html"
                operand = [] if what == "kernels" else [image]
                done = self.show(what, *operand, "-o", out, "--html", html)
                written = {path.name for path in out.iterdir()}
                if files:
                    self.assertEqual(written, files)
                self.assertTrue(written)
                for name in written:
                    self.assertGreater(self.picture(out / name).std(), 0, name)
                    self.assertIn(f"wrote {out / name}", done.out)
                self.assertIn(f"wrote {html}", done.out)
                page = self.page(html)
                self.assertTrue(re.findall(r'title="[^"]*\d', page.source))
                again = self.show(what, *operand, "-o", out, "--html", html, "--quiet")
                self.assertEqual(again.out + again.err, "")

    def test_one_picture_can_be_a_file(self):
        out = self.folder / "cam.png"
        self.show("cam", self.image_file(), "-o", out)
        height, width, channels = self.picture(out).shape
        self.assertEqual((height, width, channels), (256, 256, 3))
        done = self.show("kernels", "-o", self.folder / "k.png", status=1)
        self.assert_one_message(done, "more than one picture")
        self.assertFalse((self.folder / "k.png").exists())
        done = self.show("activations", self.image_file(), "-o", out, status=1)
        self.assert_one_message(done, "more than one picture")
        self.assertEqual(done.out, "")
        self.show("kernels", "--layer", "conv1", "-o", self.folder / "k.png")

    def test_a_record_is_seen_as_its_file(self):
        by_file = self.values("saliency", self.image_file(3))
        by_record = self.values("saliency", "--data", self.val_pack, "--record", 3)
        for name in ("input", "logits", "gradient", "saliency"):
            self.assertTrue(np.array_equal(by_file[name], by_record[name]), name)
        raw = np.frombuffer(self.val_images[3], np.uint8).reshape(1, SIDE, SIDE)
        np.testing.assert_allclose(by_file["input"], (raw / 255 - 0.5) / 0.5, atol=1e-6)

    def test_the_most_probable_class_is_the_one_that_predict_names(self):
        image = self.image_file(5)
        top = json.loads(self.expect("predict", "--json", "--weights", self.weights,
                                     image).out)[0]["top"][0]
        logits = self.values("cam", image)["logits"]
        self.assertEqual(int(logits.argmax()), top["index"])
        by_name = self.values("cam", image, "--class", top["class"])
        by_default = self.values("cam", image)
        self.assertTrue(np.array_equal(by_name["cam"], by_default["cam"]))

    def test_confusion_counts_what_eval_counts(self):
        out, html = self.folder / "confusion", self.folder / "confusion.html"
        matrix = self.values("confusion", "--data", self.val_pack, "-o", out, "--html",
                             html, "--n", 5)["confusion"]
        self.assertEqual(matrix.shape, (CLASSES, CLASSES))
        self.assertEqual(matrix.sum(1).tolist(),
                         [len(range(c, VAL, CLASSES)) for c in range(CLASSES)])
        found = json.loads(self.expect("eval", "--json", "--weights", self.weights, "--data",
                                       self.val_pack).out)
        self.assertEqual(int(matrix.trace()), round(found["top1"] * VAL))
        self.assertEqual({path.name for path in out.iterdir()},
                         {"confusion.png", "worst.png", "best.png"})
        page = self.page(html)
        rows = [row for row in page.rows if len(row) == CLASSES + 1][1:]
        self.assertEqual([[int(cell) for cell in row[1:]] for row in rows],
                         matrix.tolist())
        self.assertEqual(len(page.images), 5 + 5)
        losses = [float(loss) for loss in re.findall(r'title="record.*loss ([^"]*)"',
                                                     page.source)]
        self.assertEqual(losses, sorted(losses[:5], reverse=True)
                         + sorted(losses[5:]))
        self.assertGreater(losses[4], losses[9])

    def test_samples_are_the_packs(self):
        out = self.folder / "samples.png"
        found = self.values("samples", self.val_pack, "--n", 7, "-o", out)
        records = [i * VAL // 7 for i in range(7)]
        raw = np.frombuffer(b"".join(self.val_images[i] for i in records), np.uint8)
        self.assertTrue(np.array_equal(np.rint(found["samples"].ravel() * 255), raw))
        self.assertEqual(found["labels"].tolist(), [i % CLASSES for i in records])
        sheet = self.picture(out)
        self.assertEqual(sheet.shape, (3 * 98 + 2, 3 * 98 + 2, 3))
        first = np.frombuffer(self.val_images[0], np.uint8).reshape(SIDE, SIDE)
        self.assertTrue(np.array_equal(sheet[2:98:6, 2:98:6, 0], first))

    def test_augmented_samples_are_what_the_loader_makes(self):
        plain = {sample.tobytes()
                 for sample in self.values("samples", self.train_pack, "--n",
                                           240)["samples"]}
        still = self.write_recipe("still.yaml", data={"augment": {"pad": 0, "flip": False}})
        mixed = self.write_recipe("mixed.yaml", data={"augment": {"mixup": 0.4}})
        seen = self.values("samples", self.train_pack, "--augmented", still, "--n", 30)
        self.assertEqual(seen["samples"].shape, (30, 1, SIDE, SIDE))
        for sample in seen["samples"]:
            pixels = np.rint((sample * 0.5 + 0.5) * 255).astype(np.float32) / np.float32(255)
            self.assertIn(pixels.tobytes(), plain)
        html = self.folder / "mixed.html"
        self.show("samples", self.train_pack, "--augmented", mixed, "--n", 24, "--html", html)
        self.assertRegex(self.page(html).source, r"record \d+: \d+ % class \d, \d+ % class \d")


class Scene(Case):
    @classmethod
    def setUpClass(cls):
        pass  # no packs

    def test_it_has_the_size_that_is_wanted_and_is_the_same_each_time(self):
        path = self.folder / "scene.png"
        for options, size in (((), (480, 320)), (("--size", "64x96"), (64, 96))):
            done = self.expect("show", "scene", "-o", path, *options)
            self.assertEqual(done.out, f"wrote {path}\n")
            with Image.open(path) as picture:
                self.assertEqual((picture.format, picture.mode, picture.size),
                                 ("PNG", "RGB", size))
        before = path.read_bytes()
        self.expect("show", "scene", "-o", path, *options)
        self.assertEqual(path.read_bytes(), before)

    def test_what_cannot_be_is_told(self):
        path = self.folder / "scene.png"
        for options in (("--size", "64"), ("--size", "64x"), ("--size", "64x64x3"),
                        ("--size", "0x64"), ("--html", "x.html"), ("--weights", "w.h5")):
            done = self.expect("show", "scene", "-o", path, *options, status=2)
            self.assertIn("convoy show: ", done.err)
        self.expect("show", "scene", "-o", self.folder / "scene", status=2)
        done = self.expect("show", "scene", "-o", path, "--size", "31x64", status=1)
        self.assert_one_message(done, "31 x 64")
        self.expect("show", "cam", "x.png", "--size", "64x64", "-o", path, status=2)
        self.assertFalse(path.exists())


class Refused(Show):
    def test_what_cannot_be_shown_gets_one_line(self):
        image, out = self.image_file(), self.folder / "out"
        text = self.folder / "text.png"
        text.write_text("no picture\n")
        cases = (
            (("cam", image, "--layer", "conv9"), "conv9"),
            (("cam", image, "--layer", "fc1"), "such maps have: conv1"),
            (("kernels", "--layer", "bn1"), "such layers are: conv1, conv2"),
            (("kernels", "--html", self.folder / "missing" / "x.html"), "missing"),
            (("activations", image, "--layer", "none"), "none"),
            (("cam", image, "--class", "zebra"), "zebra"),
            (("saliency", image, "--class", CLASSES), str(CLASSES)),
            (("saliency", text), "text.png"),
            (("saliency", self.folder / "missing.png"), "missing.png"),
            (("saliency", "--data", self.val_pack, "--record", VAL), str(VAL)),
            (("occlusion", image, "--window", SIDE + 1), str(SIDE + 1)),
            (("occlusion", image, "--window", 3, "--stride", 4), "3 pixels a side"),
            (("kernels", "--ema"), "averaged"),
        )
        for arguments, word in cases:
            with self.subTest(arguments):
                done = self.show(*arguments, "-o", out, status=1)
                self.assert_one_message(done, word)
        done = self.expect("show", "cam", image, "--weights", self.val_pack, "-o", out,
                           status=1)
        self.assert_one_message(done, self.val_pack)

    def test_several_processes_are_refused(self):
        done = self.run_convoy("show", "kernels", "--weights", self.weights, "-o",
                               self.folder / "out", ranks=2)
        self.assertNotEqual(done.status, 0)
        self.assertIn("not in several", done.err)
        self.assertFalse((self.folder / "out").exists())

    def test_wrong_usage_is_told(self):
        image = self.image_file()
        for arguments in (("cam", image), ("cam", "-o", "x"), ("nothing", "-o", "x"),
                          ("kernels", image, "-o", "x"),
                          ("confusion", "-o", "x"),
                          ("kernels", "--class", 1, "-o", "x"),
                          ("cam", image, "--data", self.val_pack, "--record", 1, "-o", "x"),
                          ("saliency", image, "--layer", "conv1", "-o", "x")):
            with self.subTest(arguments):
                self.assertIn("convoy show: ", self.show(*arguments, status=2).err)

    def test_other_files_are_not_replaced(self):
        image = self.image_file()
        kept = self.folder / "kept.h5"
        kept.write_bytes(self.weights.read_bytes())
        text = self.folder / "text.png"
        text.write_text("mine\n")
        for options in (("--values", kept), ("--html", kept), ("-o", text), ("--html", text)):
            with self.subTest(options):
                done = self.show("cam", image, *options, status=1)
                self.assert_one_message(done, options[1])
        pixels = image.read_bytes()
        for out in (image, f"{self.folder}/./{image.name}"):
            done = self.show("saliency", image, "-o", out, status=1)
            self.assert_one_message(done, "looked at")
        self.assertEqual(image.read_bytes(), pixels)
        self.assertEqual(kept.read_bytes(), self.weights.read_bytes())
        self.assertEqual(text.read_text(), "mine\n")
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".tmp")],
                         [])


if __name__ == "__main__":
    unittest.main()

"""What a run writes for TensorBoard: read by a library that is not convoy's, it is what
metrics.jsonl and the checkpoints say, each step once, whatever happened to the run."""
import io
import os
import pathlib
import re
import signal
import struct
import sys
import time
import unittest

try:
    import event_file
    import h5py
    import numpy
    from PIL import Image
except ModuleNotFoundError as missing:
    print(f"SKIPPED: {missing}; jobs/install-packages.sh test")
    sys.exit(77)

from convoy_case import Case, children, finish, start, wait_for

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "run-directory.md"
TAGS = re.findall(r"^\| `(\w+/\w+)` \| `(\w+)` \| `(\w+)` \|$", DOCUMENT.read_text(), re.M)
METRICS = {"every_steps": 1, "tensorboard": True}


def scaled(picture):
    low, high = picture.min().astype(float), picture.max().astype(float)
    return numpy.floor((picture - low) / (high - low) * 255 + 0.5)


def drawn(weight):
    """[n, c, h, w] as a grid [height, width, channels]."""
    n, c, h, w = weight.shape
    if c != 3:
        n, c, weight = n * c, 1, weight.reshape(n * c, 1, h, w)
    zoom = max(1, min(8, 96 // max(h, w)))
    columns = int(numpy.ceil(numpy.sqrt(n)))
    rows = -(-n // columns)
    grid = numpy.zeros((rows * (h * zoom + 1) + 1, columns * (w * zoom + 1) + 1, c))
    for i, kernel in enumerate(weight):
        top, left = i // columns * (h * zoom + 1) + 1, i % columns * (w * zoom + 1) + 1
        large = scaled(kernel).repeat(zoom, 1).repeat(zoom, 2)
        grid[top:top + h * zoom, left:left + w * zoom] = large.transpose(1, 2, 0)
    return grid


class Reading(Case):
    def pictures(self, out):
        """{(tag, step): pixels}"""
        found = {}
        for event, value in event_file.values(out):
            if value.WhichOneof("what") != "image":
                continue
            self.assertNotIn((value.tag, event.step), found)
            image = Image.open(io.BytesIO(value.image.encoded_image_string))
            self.assertEqual(image.size, (value.image.width, value.image.height))
            self.assertEqual(image.mode, {1: "L", 3: "RGB"}[value.image.colorspace])
            pixels = numpy.asarray(image)
            found[value.tag, event.step] = pixels.reshape(*pixels.shape[:2], -1)
        return found

    def assert_pictures(self, out, tag, steps, shape=None):
        """Those of the checkpoints' kernels, at these steps."""
        found = self.pictures(out)
        self.assertEqual(sorted(found), [(tag, step) for step in steps])
        for step in steps:
            path = out / "checkpoints" / f"step-{step:08}.h5"
            with h5py.File(path) as file:
                weight = file["params"][tag.split("/")[1] + ".weight"][()]
            if shape:
                weight = weight.reshape(-1, *shape)
            numpy.testing.assert_array_equal(found[tag, step], drawn(weight))


class Tensorboard(Reading):
    def scalars(self, out):
        """[(tag, step, value)]"""
        return [(value.tag, event.step, value.simple_value)
                for event, value in event_file.values(out)
                if value.WhichOneof("what") == "simple_value"]

    def expected(self, out):
        def f32(value):
            return struct.unpack("<f", struct.pack("<f", value))[0]
        return [(tag, line["step"], f32(line[key])) for line in self.metrics(out, saves=True)
                for tag, event, key in TAGS if line["event"] == event and key in line]

    def kill(self, process):
        for pid in [*children(process.pid), process.pid]:
            os.kill(pid, signal.SIGKILL)
        finish(process)

    def test_a_run_that_was_killed_has_each_step_once(self):
        since_s = time.time()
        recipe = self.write_recipe(schedule={"epochs": 100000}, metrics=METRICS,
                                   checkpoint={"every_steps": 3, "keep": 100000})
        out = self.train(recipe, "--stop-after-steps", 0, ranks=2)
        process = start(["train", recipe, "--out", out, "--quiet"], 2)
        wait_for(process, out / "checkpoints/step-00000021.h5")
        self.kill(process)
        last = self.metrics(out)[-1]["step"]
        torn = event_file.paths(out)[-1]
        with open(torn, "ab") as file:
            file.write(torn.read_bytes()[:20])
        more = last + 23
        self.train(recipe, "--stop-after-steps", more, out=out, ranks=2)

        self.assertGreater(len(TAGS), 20)
        self.assertEqual(sorted(self.scalars(out)), sorted(self.expected(out)))
        self.assertEqual([step for tag, step, _ in self.scalars(out) if tag == "train/loss"],
                         list(range(1, more + 1)))
        self.assert_pictures(out, "kernels/conv1", range(0, more + 1, 10))
        starts = [line["step"] for line in self.metrics(out) if line["event"] == "start"]
        lives = [event_file.events(path) for path in event_file.paths(out)]
        self.assertEqual(len(lives), 3)
        for life, step in zip(lives, starts, strict=True):
            self.assertEqual(life[0].file_version, "brain.Event:2")
            self.assertEqual(life[1].session_log.status, event_file.START)
            self.assertEqual(life[1].step, step + 1)
        times = [event.wall_time for life in lives for event in life]
        self.assertEqual(times, sorted(times))
        self.assertTrue(since_s <= times[0] and times[-1] <= time.time())

        plain = self.train(self.write_recipe(schedule={"epochs": 100000}),
                           "--stop-after-steps", more)
        self.assertEqual(self.hash(out), self.hash(plain))
        self.assertFalse((plain / "tensorboard").exists())

    def test_lengths_of_gradients_have_a_tag_each(self):
        """Of more weights than a record has scalars."""
        recipe = self.write_recipe(model={"name": "resnet56"},
                                   metrics={**METRICS, "grad_norms": True})
        kept = [line for line in recipe.read_text().splitlines()
                if not line.startswith(("  batch_norm:", "  dropout:"))]
        recipe.write_text("\n".join(kept) + "\n")
        out = self.train(recipe, "--stop-after-steps", 2)
        found = [(tag, step, value) for tag, step, value in self.scalars(out)
                 if tag.startswith("grad_norms/")]
        expected = [(f"grad_norms/{name}", line["step"], numpy.float32(norm))
                    for line in self.metrics(out) if line["event"] == "step"
                    for name, norm in line["grad_norms"].items()]
        self.assertEqual(found, expected)
        self.assertEqual(len(found), 2 * 56)

    def test_what_no_longer_counts_goes_also_where_nothing_is_added(self):
        recipe = self.write_recipe(metrics=METRICS, checkpoint={"every_steps": 5})
        out = self.train(recipe, "--stop-after-steps", 12)
        (out / "checkpoints/step-00000012.h5").unlink()
        path, = event_file.paths(out)
        with open(path, "ab") as late:  # as one has it who was cut off
            self.train(recipe, "--stop-after-steps", 13, "--set",
                       "metrics.tensorboard=false", out=out)
            late.write(b"late")
        self.assertEqual(event_file.paths(out), [path])
        self.assertEqual({event.step for event in event_file.events(path)}, set(range(11)))
        self.train(recipe, "--stop-after-steps", 14, out=out)
        self.assertEqual(event_file.paths(out)[0], path)
        steps = [step for tag, step, _ in self.scalars(out) if tag == "train/loss"]
        self.assertEqual(steps, [*range(1, 11), 14])

    def test_a_trace_is_not_written_over_them(self):
        recipe = self.write_recipe(metrics=METRICS)
        out = self.train(recipe, "--stop-after-steps", 0)
        path, = event_file.paths(out)
        done = self.run_convoy("train", recipe, "--out", out, "--quiet", "--trace", path)
        self.assert_one_message(done, path)


class Kernels(Reading):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rgb_pack = cls.make_pack("rgb", 24, channels=3)

    def begin(self, recipe):
        """What a run begins with."""
        return self.train(recipe, "--stop-after-steps", 0)

    def write_network(self, network):
        recipe = self.folder / "net.yaml"
        recipe.write_text(f"data: {{train: {self.train_pack}}}\n"
                          "batch: {size: 24, microbatch: 2}\n"
                          f"metrics: {{tensorboard: true}}\nnetwork: {network}\n")
        return recipe

    def test_of_colour_images_they_are_in_colour(self):
        recipe = self.write_recipe(data={"train": str(self.rgb_pack), "val": ""},
                                   metrics=METRICS)
        out = self.begin(recipe)
        self.assert_pictures(out, "kernels/conv1", [0])
        self.assertEqual(self.pictures(out)["kernels/conv1", 0].shape[2], 3)

    def test_of_an_inner_product_on_an_image_they_are_images(self):
        out = self.begin(self.write_network(
            "[flatten, {inner_product: {out: 5}, as: hidden}, relu,"
            " {inner_product: {out: classes}}]"))
        self.assert_pictures(out, "kernels/hidden", [0], shape=(1, 16, 16))

    def test_where_the_first_layer_has_none_there_are_none(self):
        out = self.begin(self.write_network(
            "[{max_pool: {kernel: 2}}, flatten, {inner_product: {out: classes}}]"))
        self.assertEqual(len(event_file.paths(out)), 1)
        self.assertEqual(self.pictures(out), {})


if __name__ == "__main__":
    unittest.main()

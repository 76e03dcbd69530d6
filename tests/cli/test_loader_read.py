"""Where records come from, how many threads prepare them and how many ranks there are
decide no bit of what is trained; data.read stage and memory read the pack once."""
import json
import os
import unittest

from convoy_case import (Case, finish, start, wait_for, write_class_folders,
                         write_images)

# One of each: all on one node, a node a rank, and nodes of unequal size.
PLACES = ((1, 0), (3, 0), (3, 1), (3, 2))  # ranks, ranks that pretend to be a node


class Environment:
    """Variables set for the time of a block."""

    def __init__(self, **variables):
        self.variables = variables

    def __enter__(self):
        self.before = {name: os.environ.get(name) for name in self.variables}
        os.environ.update({k: v for k, v in self.variables.items() if v is not None})

    def __exit__(self, *_):
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def nodes_of(ranks):
    return Environment(CONVOY_RANKS_PER_NODE=str(ranks) if ranks else None)


def bytes_read(process):
    """What the finished process asked the kernel to read, before it is forgotten."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
        return int(dict(line.split(": ") for line in file)["rchar"])


class Reading(Case):
    def result_of(self, recipe, *options, ranks=1, node=0, steps=24):
        """The weights' hash and what the validations found."""
        with nodes_of(node):
            out = self.train(recipe, "--stop-after-steps", steps, *options,
                             ranks=ranks if ranks > 1 else 0)
        run = json.loads((out / "run.json").read_text())
        self.assertEqual(run["nodes"], -(-ranks // node) if node else 1)
        return self.hash(out), [(line["val_loss"], line["val_top1"], line["val_samples"])
                                for line in self.metrics(out) if "val_loss" in line]

    def test_raw_records_give_the_same_weights_from_everywhere(self):
        recipe = self.write_recipe(data={"augment": {
            "erasing": 0.5, "brightness": 0.4, "contrast": 0.4, "trivial": True,
            "mixup": 0.4, "cutmix": 1, "repeats": 2}})
        expected = self.result_of(recipe, "--set", "data.threads=1")
        for read in ("direct", "stage", "memory"):
            for ranks, node in PLACES:
                for threads in ("1", "4", "auto"):
                    if threads != "4" and (ranks, node) != (3, 2):
                        continue
                    with self.subTest(read=read, ranks=ranks, node=node, threads=threads):
                        found = self.result_of(recipe, "--set", f"data.read={read}",
                                             "--set", f"data.threads={threads}",
                                             ranks=ranks, node=node)
                        self.assertEqual(found, expected)

    def test_image_files_give_the_same_weights_from_everywhere(self):
        folder, pack = self.folder / "images", self.folder / "images.h5"
        write_class_folders(folder, "abcd", n=12, width=40, height=30)
        self.expect("pack", folder, "-o", pack, "--quiet")
        colours = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
        recipe = self.write_recipe(
            data={"train": str(pack), "val": "", "crop": 16,
                  "augment": {"pad": 0, "resized_crop": True, **colours, "erasing": 0.5,
                              "trivial": True, "mixup": 0.4, "repeats": 3}},
            batch={"size": 12})
        expected = self.result_of(recipe, steps=6)
        plain = self.result_of(recipe, "--set", "data.augment.hue=0", steps=6)
        self.assertNotEqual(plain, expected)
        for read, ranks, node in (("direct", 3, 0), ("stage", 3, 2), ("memory", 3, 1)):
            with self.subTest(read=read, ranks=ranks, node=node):
                self.assertEqual(
                    self.result_of(recipe, "--set", f"data.read={read}", "--set",
                                 "data.threads=4", ranks=ranks, node=node, steps=6),
                    expected)

    def test_a_pack_in_parts_gives_the_same_weights(self):
        images, _ = write_images(self.folder / "again", 240, seed=1)
        expected = self.result_of(self.write_recipe())
        for parts in (1, 4):
            pack = self.folder / f"pack{parts}"
            self.expect("pack", images, "-o", pack, "--quiet", "--parts", parts)
            recipe = self.write_recipe(data={"train": str(pack)})
            for read, ranks, node in (("direct", 1, 0), ("memory", 3, 2)):
                with self.subTest(parts=parts, read=read):
                    self.assertEqual(
                        self.result_of(recipe, "--set", f"data.read={read}", ranks=ranks,
                                       node=node), expected)

    def test_ranks_without_a_validation_sample(self):
        recipe = self.write_recipe(data={"val": str(self.make_pack("few", 2, seed=3))})
        expected = self.result_of(recipe, steps=10)
        for read, node in (("memory", 0), ("stage", 2)):
            with self.subTest(read=read):
                self.assertEqual(self.result_of(recipe, "--set", f"data.read={read}",
                                                ranks=3, node=node, steps=10), expected)

    def test_a_run_goes_on_with_another_way_to_read(self):
        recipe = self.write_recipe()
        out = self.train(recipe, "--stop-after-steps", 7)
        with nodes_of(1):
            self.train(recipe, "--stop-after-steps", 15, "--set", "data.read=memory",
                       out=out, ranks=3)
        self.train(recipe, "--stop-after-steps", 23, "--set", "data.read=stage", out=out)
        self.assertEqual(self.hash(out), self.result_of(recipe, steps=23)[0])


class FileSystem(Case):
    def test_after_the_start_the_pack_is_not_read_from_memory(self):
        def epochs_cost(read):
            """Bytes read by the epochs 3 to 8."""
            done = []
            for epochs in (2, 8):
                process = start(["train", self.write_recipe(), "--out", self.new_run(),
                                 "--quiet", "--set", f"data.read={read}", "--set",
                                 "checkpoint.every_epochs=0", "--stop-after-steps",
                                 10 * epochs], stderr=None, stdout=None)
                done.append(bytes_read(process))
                self.assertEqual(finish(process).status, 0)
            return done[1] - done[0]

        size = (240 + 50) * 16 * 16  # records of both packs
        self.assertGreater(epochs_cost("direct"), 5.9 * size)
        self.assertLess(epochs_cost("memory"), size)

    def test_a_pack_that_vanishes_is_missed_by_direct_reading_only(self):
        for read, ranks, status in (("direct", 0, 1), ("stage", 0, 0), ("memory", 0, 0),
                                    ("stage", 3, 0), ("memory", 3, 0)):
            with self.subTest(read=read, ranks=ranks), nodes_of(2):
                pack = self.folder / f"{read}.h5"
                pack.write_bytes(self.train_pack.read_bytes())
                out = self.new_run()
                process = start(["train", self.write_recipe(data={"train": str(pack)}),
                                 "--out", out, "--quiet", "--set", f"data.read={read}",
                                 "--stop-after-steps", 100], ranks)
                wait_for(process, out / "metrics.jsonl")
                os.truncate(pack, 0)
                self.assertEqual(finish(process).status, status)

    def test_a_rank_that_cannot_stage_ends_the_run(self):
        shell = '[ "$OMPI_COMM_WORLD_RANK" != 1 ] || export TMPDIR=/nowhere'
        done = self.run_convoy("train", self.write_recipe(), "--out", self.new_run(),
                               "--set", "data.read=stage", ranks=2, shell=shell)
        self.assert_one_message(done, "/nowhere: cannot stage a pack there", "TMPDIR")

    def test_nothing_is_left_in_the_staging_folder(self):
        folder = self.folder / "stage"
        folder.mkdir()
        with Environment(TMPDIR=str(folder)):
            self.train(self.write_recipe(), "--stop-after-steps", 2, "--set",
                       "data.read=stage")
        # MPI may keep a folder of its own there.
        self.assertEqual(list(folder.glob("convoy*")), [])


if __name__ == "__main__":
    unittest.main()

"""Packing in parts: the records, their order and the pack's id do not depend on the number
of ranks or parts, nor on how often packing was killed."""
import json
import os
import pathlib
import random
import shutil
import signal
import tarfile
import time
import unittest

from convoy_case import Case, finish, flip_byte, start, write_class_folders, write_png

N_CLASSES = 3
N_IMAGES = 40  # a class


class Packing(Case):
    @classmethod
    def make_pack(cls, name, n, **options):
        """Instead of the packs that other tests share: a tree of images."""
        if name == "train":
            write_class_folders(cls.shared / "tree", [f"c{c}" for c in range(N_CLASSES)],
                                n=N_IMAGES)

    def setUp(self):
        super().setUp()
        self.tree = self.shared / "tree"
        self.out = self.folder / "pack"

    def pack(self, *options, ranks=0, status=0, source=None):
        return self.expect("pack", source or self.tree, "-o", self.out, "--quiet", *options,
                           ranks=ranks, status=status)

    def info(self, pack=None):
        return json.loads(self.expect("info", "--json", pack or self.out).out)

    def whole_id(self):
        self.expect("pack", self.tree, "-o", self.folder / "whole.h5", "--quiet")
        return self.info(self.folder / "whole.h5")["id"]

    def files(self):
        return sorted(os.listdir(self.out))

    def contents(self):
        """What each part holds. (The files also have HDF5's times in them.)"""
        return {name: self.info(self.out / name)["id"] for name in self.files()[1:]}


class Parts(Packing):
    def test_ranks_and_parts_do_not_change_the_id(self):
        wanted = self.whole_id()
        contents = {}
        for parts, ranks in ((2, 0), (2, 3), (7, 0), (7, 2), (7, 3)):
            self.pack("--parts", parts, ranks=ranks)
            info = self.info()
            self.assertEqual((info["id"], info["parts"], info["part"]), (wanted, parts, None))
            self.assertEqual(self.files(), ["pack.txt"] + [f"part-{p:05d}.h5"
                                                           for p in range(parts)])
            found = self.contents()
            self.assertEqual(contents.setdefault(parts, found), found)
            self.assertEqual(self.expect("verify", self.out).out,
                             f"{self.out}: all {N_CLASSES * N_IMAGES} records are good\n")
            shutil.rmtree(self.out)
        self.assertEqual(sorted(os.listdir(self.folder)), ["whole.h5"])

    def test_one_part_under_mpirun_is_a_file(self):
        self.pack(ranks=3)
        self.assertTrue(self.out.is_file())
        self.assertEqual(self.info()["id"], self.whole_id())

    def test_finished_parts_are_kept_and_others_made(self):
        self.pack("--parts", 6)
        contents = self.contents()
        wanted = self.info()["id"]
        flip_byte(self.out / "part-00001.h5", 6000)  # a record
        os.truncate(self.out / "part-00003.h5", 5000)
        os.remove(self.out / "part-00004.h5")
        (self.out / "part-00005.h5.123.tmp").write_bytes(b"half")
        (self.out / "part-00005.h5.123.frame.tmp").write_bytes(b"half")
        times = {name: (self.out / name).stat().st_mtime_ns for name in self.files()}
        done = self.run_convoy("info", self.out)
        self.assert_one_message(done, self.out)
        self.pack("--parts", 6, ranks=2)
        self.assertEqual(self.info()["id"], wanted)
        self.assertEqual(self.contents(), contents)
        kept = {name for name in contents
                if (self.out / name).stat().st_mtime_ns == times.get(name)}
        self.assertEqual(kept, {"part-00000.h5", "part-00002.h5", "part-00005.h5"})
        self.assertEqual(len(self.files()), 7)

    def test_a_pack_with_parts_missing_or_swapped_is_refused(self):
        self.pack("--parts", 3)
        last = self.out / "part-00002.h5"
        self.assertEqual(self.info(last)["part"], 2)
        self.expect("verify", last)
        last.rename(self.folder / "away")
        for command in (("info",), ("verify",)):
            done = self.run_convoy(*command, self.out)
            self.assert_one_message(done, self.out, "part-00002.h5", "complete")
        shutil.copy(self.out / "part-00001.h5", last)
        self.assert_one_message(self.run_convoy("info", self.out), last, "part 1")
        other = self.folder / "other"
        self.expect("pack", self.tree, "-o", other, "--parts", 3, "--classes", "0-1")
        shutil.copy(other / "part-00002.h5", last)
        self.assert_one_message(self.run_convoy("info", self.out), last, "same source")

    def test_another_source_or_other_options_are_refused(self):
        self.pack("--parts", 3)
        contents = self.contents()
        other = self.folder / "tree"
        shutil.copytree(self.tree, other)
        self.pack("--parts", 3, source=other)  # the same images in another place
        write_png(other / "c0" / "new.png", 5, 5, random.Random(3).randbytes(75))
        for source, options in ((other, ("--parts", 3)), (self.tree, ("--parts", 4)),
                                (self.tree, ("--parts", 3, "--max-side", 64)),
                                (self.tree, ("--parts", 3, "--classes", "0-1"))):
            for ranks in (0, 2):
                done = self.run_convoy("pack", source, "-o", self.out, *options, ranks=ranks)
                self.assert_one_message(done, self.out, "another pack", self.tree)
        self.assertEqual(self.contents(), contents)
        self.pack()  # as many parts as there are, whatever size would say now
        self.assertEqual(self.contents(), contents)

    def test_parts_whose_files_changed_are_made_again(self):
        tree = self.folder / "tree"
        shutil.copytree(self.tree, tree)
        image = tree / "c1" / sorted(os.listdir(tree / "c1"))[3]
        good = image.read_bytes()
        self.pack("--parts", 3, source=tree)
        wanted, contents = self.info()["id"], self.contents()
        for bad in (good[:50] + b"zero" + good[54:], good[:-30]):
            image.write_bytes(bad)
            done = self.pack("--parts", 3, source=tree, status=1)
            self.assertIn(f"left out: {image}: ", done.err)
            self.assertNotEqual(self.info()["id"], wanted)
            image.write_bytes(good)
            times = {name: (self.out / name).stat().st_mtime_ns for name in contents}
            self.pack("--parts", 3, source=tree, ranks=2)
            self.assertEqual(self.contents(), contents)
            self.assertEqual({name for name in contents if
                              (self.out / name).stat().st_mtime_ns != times[name]},
                             {"part-00001.h5"})
        write_png(image, 5, 5, random.Random(3).randbytes(75))
        self.pack("--parts", 3, source=tree)
        self.expect("pack", tree, "-o", self.folder / "again.h5", "--quiet")
        self.assertEqual(self.info()["id"], self.info(self.folder / "again.h5")["id"])

    def test_what_is_left_out_is_told_as_it_is_now(self):
        """Also where the source is named in another way."""
        tree = self.folder / "tree"
        shutil.copytree(self.tree, tree)
        (tree / "labels.csv").write_text("no image")
        self.pack("--parts", 3, source=tree, status=1)
        for source in (f"{tree}/", f"{tree}/../tree"):
            done = self.pack("--parts", 3, source=source, status=1)
            self.assertIn("labels.csv", done.err)
        (tree / "labels.csv").unlink()
        self.pack("--parts", 3, source=tree)

    def test_an_archive_that_was_written_anew_is_packed_anew(self):
        archive = self.folder / "tree.tar"
        for i in range(2):
            write_class_folders(self.folder / f"t{i}", ["a", "b"], n=5, seed=i)
            with tarfile.open(archive, "w") as tar:
                tar.add(self.folder / f"t{i}", arcname=".")
            os.utime(archive, (i, i))
            self.pack("--parts", 2, source=archive)
            self.expect("pack", self.folder / f"t{i}", "-o", self.folder / "one.h5",
                        "--quiet")
            self.assertEqual(self.info()["id"], self.info(self.folder / "one.h5")["id"])

    def test_places_that_hold_something_else_are_refused(self):
        self.out.write_text("kept")
        done = self.run_convoy("pack", self.tree, "-o", self.out, "--parts", 2)
        self.assert_one_message(done, self.out, "is a file")
        self.assertEqual(self.out.read_text(), "kept")
        self.out.unlink()
        self.out.mkdir()
        mine = ["mine", "pa.tmp", "part-00000.h5.x.tmp", "part-1.tmp", "paper.1.tmp"]
        for name in [*mine, "part-00000.h5.1.tmp"]:
            (self.out / name).write_text("kept")
        done = self.run_convoy("pack", self.tree, "-o", self.out, "--parts", 2)
        self.assert_one_message(done, self.out, "other files")
        self.assertEqual(self.files(), sorted([*mine, "part-00000.h5.1.tmp"]))

    def test_training_from_parts_is_training_from_the_file(self):
        self.whole_id()
        self.pack("--parts", 4)
        hashes = set()
        for pack in (self.out, self.folder / "whole.h5"):
            recipe = self.write_recipe(data={"train": str(pack), "val": str(pack), "crop": 16,
                                             "augment": {"pad": 0, "resized_crop": True}})
            hashes.add(self.hash(self.train(recipe, "--stop-after-steps", 2)))
        self.assertEqual(len(hashes), 1)


class Killed(Packing):
    def kill_all(self):
        """Kills every process whose command line has our folder: mpirun and its ranks."""
        while True:
            found = []
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if os.fsencode(self.out) in words:
                    found.append(int(entry.name))
            if not found:
                return
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)

    def kill_in_the_middle(self, ranks, options):
        """Starts packing and kills all of it when some parts are there; whether it was
        still at work."""
        process = start(["pack", self.tree, "-o", self.out, *options, "--quiet"], ranks)
        n = self.draw.randrange(12)
        until_s = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until_s:
            names = os.listdir(self.out) if self.out.exists() else []
            if sum(name.endswith(".h5") for name in names) > n:
                break
            time.sleep(0.002)
        was_running = process.poll() is None
        self.kill_all()
        finish(process)
        return was_running

    def test_killed_at_any_moment_it_goes_on_to_the_same_pack(self):
        self.draw = random.Random(5)
        wanted = self.whole_id()
        options = ("--parts", 20)
        for ranks in (0, 2, 3):
            kills = sum(self.kill_in_the_middle(ranks, options) for _ in range(3))
            self.assertGreater(kills, 0)
            self.pack(*options, ranks=(ranks + 1) % 4)
            self.assertEqual(self.info()["id"], wanted)
            self.assertEqual(len(self.files()), 21)
            self.assertEqual(sorted(os.listdir(self.folder)), ["pack", "whole.h5"])
            self.expect("verify", self.out)
            shutil.rmtree(self.out)

    def test_what_a_killed_run_left_is_removed(self):
        left = [self.folder / f"pack.{end}" for end in
                ("1000001.tmp", "1000001.frame.tmp", "listing.tmp")]
        others = [self.folder / f"pack.{end}" for end in ("tmp", "x.tmp", "1.h5", "1.tmp2")]
        for options in ((), ("--parts", 2)):
            for path in left + others:
                path.write_text("half")
            self.pack(*options)
            self.assertEqual([path for path in left if path.exists()], [])
            self.assertEqual([path for path in others if not path.exists()], [])
            if self.out.is_file():
                self.out.unlink()


if __name__ == "__main__":
    unittest.main()

"""What is no class, what is passed over, how names are shown, and classes of another pack."""
import gzip
import pathlib
import random
import unittest

import test_pack_sources  # skips where Pillow or h5py is missing
import pack_sources as sources
from convoy_case import flip_byte, write_idx, write_png


class Shapes(test_pack_sources.Sources):
    def tree(self, *names):
        """A folder of small images with these names, empty files where they end in "!"."""
        self.n_trees = getattr(self, "n_trees", 0) + 1
        draw = random.Random(self.n_trees)
        root = self.folder / f"tree{self.n_trees}"
        for name in names:
            write_png(root / name, 4, 4, draw.randbytes(48))
        return root

    def split(self, *parts, classes=("cat", "dog")):
        return self.tree(*(f"{part}/{c}/{i}.png" for part in parts for c in classes
                           for i in range(2)))

    def refused_both(self, tree, *words):
        self.refused(tree, *words)
        files = {str(path.relative_to(tree)): path.read_bytes()
                 for path in sorted(tree.rglob("*")) if path.is_file()}
        self.refused(self.write(f"{tree.name}.tar", sources.tar_bytes(files)), *words)

    def test_parts_of_a_data_set_are_no_classes_however_they_are_called(self):
        for parts in (("train", "test"), ("Train", "Test"), ("train", "testing"),
                      ("train2017", "val2017"), ("training_set", "test_set")):
            tree = self.split(*parts)
            first = sorted(parts)[0]
            self.refused_both(tree, f"its classes would be '{first}'", f"/{first}, of an",
                              f"--inside {first}")
        self.refused(self.split("TRAIN"), "its classes would be 'TRAIN'")

    def test_parts_of_a_data_set_are_known_by_their_shape(self):
        for parts in (("seg_train", "seg_test"), ("monday", "tuesday"), ("1", "2", "3")):
            tree = self.split(*parts, classes=("cat", "dog", "emu"))
            first, second = sorted(parts)[:2]
            self.refused_both(tree, f"'{first}' and '{second}'", "such as 'cat'", "--classes")
        self.refused_both(self.tree("a/x/1.png", "a/y/1.png", "b/x/1.png", "b/y/1.png"))

    def test_classes_that_hold_folders_are_classes(self):
        kinds = [f"{c}/{kind}/1.png" for c in "abcde" for kind in ("front", "side")]
        images = [f"{c}/images/{i}.png" for c in "ab" for i in range(2)]
        for tree, n in ((self.tree(*kinds), 5), (self.tree(*images), 2),
                        (self.tree("a/x/1.png", "a/y/1.png", "b/x/1.png", "b/y/1.png",
                                   "b/2.png"), 2),
                        (self.tree("train/1.png", "car/2.png"), 2)):
            self.assertEqual(len(self.info(self.pack(tree)[0])["classes"]), n)

    def test_classes_that_are_named_are_classes(self):
        tree = self.split("cat", "dog", classes=("2019", "2020"))
        self.refused(tree, "its classes would be 'cat' and 'dog'", "--classes")
        pack, _ = self.pack(tree, "--classes", "cat,dog")
        self.assertEqual([c["name"] for c in self.info(pack)["classes"]], ["cat", "dog"])

    def test_what_systems_leave_behind_is_passed_over(self):
        plain = self.tree("a/1.png", "b/2.png")
        wanted = self.id_of(plain)
        sources.write_files(plain, {
            "__MACOSX/a/._1.png": b"x", "a/Thumbs.db": b"x", "b/desktop.ini": b"x",
            "a/thumbs.db": b"x", "a/@eaDir/1.png": b"x", "b/.DS_Store": b"x"})
        self.assertEqual(self.id_of(plain), wanted)
        files = {str(path.relative_to(plain)): path.read_bytes()
                 for path in sorted(plain.rglob("*")) if path.is_file()}
        path = self.write("mac.tar", sources.tar_bytes(files))
        self.assertEqual(self.id_of(path), wanted)


class Names(test_pack_sources.Sources):
    """A name must neither begin a line of its own nor move a terminal's cursor."""

    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        tree = self.folder / "tree\n12 records"
        for c in ("a\nconvoy: all is well", "b\x1b[2J", "c\u009b31m"):
            for i in range(3):
                write_png(tree / c / f"{i}.png", 8, 8, draw.randbytes(192))
        (tree / "a\nconvoy: all is well" / "9.png").write_bytes(b"no image")
        self.tree = tree

    def check(self, text):
        self.assertNotRegex(text, "\x1b|\x9b|\n(convoy: all|12 records)")

    def test_names_are_escaped_wherever_they_are_shown(self):
        pack, done = self.pack(self.tree, status=1, name="pack\n12 records.h5")
        self.check(done.out + done.err)
        self.assertIn(r"left out: " + str(self.folder), done.err)
        self.assertIn(r"tree\x0a12 records/a\x0aconvoy: all is well/9.png", done.err)
        told = self.expect("info", pack).out
        self.check(told)
        for name in (r"a\x0aconvoy: all is well", r"b\x1b[2J", r"c\xc2\x9b31m"):
            self.assertIn(name, told)
        self.check(self.expect("verify", pack).out)
        size = pathlib.Path(pack).stat().st_size
        for at in range(4096, min(size, 6000), 7):
            flip_byte(pack, at)
        for done in (self.run_convoy("verify", pack), self.run_convoy("info", pack),
                     self.run_convoy("bench", "loader", pack, "--images", 4)):
            self.assertEqual(done.status, 1)
            self.check(done.out + done.err)


class ClassesOf(test_pack_sources.Sources):
    def setUp(self):
        super().setUp()
        self.files = sources.class_files(("a", "b", "c", "d"))
        self.train, _ = self.pack(sources.write_files(self.folder / "train_set", self.files))

    def val(self, *classes, name="val_set"):
        files = {n: d for n, d in self.files.items() if n.split("/")[0] in classes}
        return sources.write_files(self.folder / name, files), files

    def check(self, source, files, *options):
        pack, _ = self.pack(source, "--classes-of", self.train, *options)
        self.assertEqual([(c["name"], c["records"]) for c in self.info(pack)["classes"]],
                         [(c, sum(n.startswith(c) for n in files)) for c in "abcd"])
        self.assertEqual(self.records(pack), [(n.split("/")[0], d) for n, d in files.items()])

    def test_a_set_that_lacks_classes_gets_those_of_another_pack(self):
        tree, files = self.val("b", "d")
        self.check(tree, files)
        self.check(self.write("val.tar", sources.tar_bytes(files)), files)
        pack, _ = self.pack(tree, "--classes-of", self.train, "--parts", 3, ranks=2)
        self.assertEqual(self.info(pack)["id"],
                         self.id_of(tree, "--classes-of", self.train, "--parts", 1))

    def test_with_all_classes_the_pack_is_the_same(self):
        tree, _ = self.val("a", "b", "c", "d")
        self.assertEqual(self.id_of(tree, "--classes-of", self.train), self.id_of(tree))

    def test_records_come_in_the_order_of_the_other_pack_s_classes(self):
        files = sources.class_files(("x", "y"))
        tree = sources.write_files(self.folder / "xy", files)
        self.train, _ = self.pack(tree, "--classes", "y")
        pack, _ = self.pack(tree, "--classes", "y", "--classes-of", self.train)
        self.assertEqual([c["name"] for c in self.info(pack)["classes"]], ["y"])

    def test_classes_that_the_other_pack_lacks_are_refused(self):
        files = {**self.files, "e/1.JPEG": self.files["a/a_1.JPEG"]}
        tree = sources.write_files(self.folder / "more", files)
        self.refused(tree, "has the class 'e'", self.train, "--classes",
                     options=("--classes-of", self.train))
        self.check(tree, self.files, "--classes", "a,b,c,d")
        self.refused(tree, "none.h5", options=("--classes-of", self.folder / "none.h5"))

    def test_raw_records_keep_their_order(self):
        def idx(name, labels):
            folder = self.folder / name
            folder.mkdir()
            write_idx(folder / "images-idx3-ubyte", (len(labels), 2, 2),
                      bytes(range(4 * len(labels))))
            write_idx(folder / "labels-idx1-ubyte", (len(labels),), labels)
            return folder / "images-idx3-ubyte"
        train, _ = self.pack(idx("digits", [0, 1, 2, 3]))
        pack, _ = self.pack(idx("fewer", [1, 0, 1]), "--classes-of", train)
        self.assertEqual([c["records"] for c in self.info(pack)["classes"]], [1, 2, 0, 0])
        self.assertEqual([name for name, _ in self.records(pack)], ["1", "0", "1"])


class OtherForms(test_pack_sources.Sources):
    def test_cifar_for_python_or_matlab_is_told_which_file_to_get(self):
        for folder, names in (("cifar-10-batches-py", ("data_batch_1", "test_batch",
                                                       "batches.meta")),
                              ("cifar-100-python", ("train", "test", "meta", "file.txt~")),
                              ("cifar-10-batches-mat", ("data_batch_1.mat",))):
            files = {name: b"\x80\x02}" for name in names}
            tree = sources.write_files(self.folder / folder, files)
            archive = self.write(f"{folder.replace('batches-', '')}.tar.gz", gzip.compress(
                sources.tar_bytes(files, prefix=f"{folder}/")))
            for path in (tree, archive, tree / names[0]):
                self.refused(path, path, "cifar-10-binary.tar.gz", "Python or MATLAB")


if __name__ == "__main__":
    unittest.main()

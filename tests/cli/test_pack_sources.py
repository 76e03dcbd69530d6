"""What convoy pack reads: trees and archives of images, ImageNet's files, CIFAR's; and that
packs of the same images are the same, wherever the images were."""
import base64
import bz2
import gzip
import io
import json
import lzma
import os
import random
import sys
import tarfile
import unittest

try:
    import h5py
    import pack_sources as sources
except ImportError as missing:
    print("SKIPPED:", missing)
    sys.exit(77)

from convoy_case import Case

# meta.mat of four synsets, the last with children, as scipy.io.savemat writes it
# (do_compression=True): read by others, so not of our own making.
SCIPY_META = """
TUFUTEFCIDUuMCBNQVQtZmlsZSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAAAAAAAAAAAAABSU0PAAAA
+QAAAHic42NgYOhgZWBgA9IcQMzEAAGsUD4LEDNCMTsQF1fmFaeWFAPlWRj4oOJuQOzpExwW5GxkYGgU7+nCEO4H
JOCgPL8opRjOyyvNjU/OyMxJKUrNY2BAsCAAZKYFA8I9fGjuYUTCIMCDJA7T74CknwWLfk4k9QJQfp6BkaGhpbmF
JZI5BgTMYUQxh5EhkQL3I/sf2V42NP0wANPPSWG4MSHpJzfcDAzMjU0pCLekIRhuzBSHm6GJiYG5mQkF4ZY8BMPt
JTOl4QYEhuYmBjjcgc0cNjRzQPzUvJLMkkrqxL8HnvBjhKpFDj8JBhj4YA9lOEAoDgcA8W8sCQ==
"""


class Sources(Case):
    @classmethod
    def make_pack(cls, name, n, **options):
        """No packs are shared here."""

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def pack(self, source, *options, ranks=0, status=0, name=None):
        """Packs into a new place, which it returns, with what was said."""
        self.n_runs += 1
        out = self.folder / (name or f"pack{self.n_runs}")
        done = self.expect("pack", source, "-o", out, "--quiet", *options, ranks=ranks,
                           status=status)
        return out, done

    def info(self, pack):
        return json.loads(self.expect("info", "--json", pack).out)

    def id_of(self, source, *options, **more):
        return self.info(self.pack(source, *options, **more)[0])["id"]

    def records(self, pack):
        """(class name, bytes) of all records of a one-part pack, by h5py."""
        with h5py.File(pack, "r") as file:
            offsets, data = file["offsets"][:], file["bytes"][:].tobytes()
            names = [name.decode() for name in file["class_names"][:]]
            return [(names[label], data[offsets[i]:offsets[i + 1]])
                    for i, label in enumerate(file["labels"][:])]

    def refused(self, source, *words, options=(), ranks=0):
        out = self.folder / "refused"
        done = self.run_convoy("pack", source, "-o", out, *options, ranks=ranks)
        self.assert_one_message(done, *words)
        self.assertFalse(out.exists())


class Archives(Sources):
    def setUp(self):
        super().setUp()
        self.files = sources.class_files()
        self.tree = sources.write_files(self.folder / "tree", self.files)
        self.expected = [(name.split("/")[0], data) for name, data in self.files.items()]
        pack, _ = self.pack(self.tree)
        self.assertEqual(self.records(pack), self.expected)
        self.id = self.info(pack)["id"]

    def test_a_tar_of_class_folders_is_the_tree(self):
        shuffled = list(self.files)
        random.Random(1).shuffle(shuffled)
        shuffled = {name: self.files[name] for name in shuffled}
        for prefix in ("", "./", "train/", "./a/b/train/"):
            for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
                data = sources.tar_bytes(shuffled, prefix=prefix, format=form)
                self.assertEqual(self.id_of(self.write("x.tar", data)), self.id, prefix)

    def test_packed_archives(self):
        data = sources.tar_bytes(dict(reversed(self.files.items())))
        packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
        for suffix, packer in packers.items():
            path = self.write(f"x.tar.{suffix}", packer(data))
            self.assertEqual(self.id_of(path), self.id, suffix)
            self.assertEqual(self.id_of(path, "--parts", 3, ranks=2), self.id, suffix)
        self.assertEqual(self.id_of(self.write("archive", packers["gz"](data))), self.id)

    def test_a_tar_of_class_tars_is_the_tree(self):
        path = self.write("train.tar", sources.train_tar(self.files))
        for options, ranks in (((), 0), (("--parts", 4), 0), (("--parts", 4), 3)):
            self.assertEqual(self.id_of(path, *options, ranks=ranks), self.id)
        self.assertEqual(self.id_of(self.write("train.tar.gz",
                                               gzip.compress(path.read_bytes()))), self.id)

    def test_long_names_and_names_that_are_not_utf_8(self):
        draw = random.Random(4)
        names = ["a" * 90 + "/" + "b" * 120 + ".jpg", "caf\udce9/\udcff\udcfe.jpg",
                 "gr\u00fcn/" + "\u00e4" * 80 + ".jpg"]
        files = {name: sources.jpeg(draw, 20 + i) for i, name in enumerate(names)}
        tree = self.folder / os.fsencode("names").decode()
        for name, data in files.items():
            path = os.path.join(os.fsencode(tree), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        wanted = self.id_of(tree)
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            data = sources.tar_bytes(files, format=form, encoding="utf-8",
                                     errors="surrogateescape")
            pack, _ = self.pack(self.write("names.tar", data))
            self.assertEqual(self.info(pack)["id"], wanted, form)
        with h5py.File(pack, "r") as file:
            self.assertEqual([bytes(name) for name in file["class_names"][:]],
                             sorted(os.fsencode(name).split(b"/")[0] for name in names))

    def test_one_folder_of_an_archive(self):
        files = {f"set/train/{name}": data for name, data in self.files.items()}
        files["set/val/n01440764/1.jpg"] = sources.jpeg(random.Random(1))
        files["set/readme.txt"] = b"hello"
        path = self.write("set.tar", sources.tar_bytes(files))
        self.assertEqual(self.id_of(path, "--inside", "set/train"), self.id)
        self.assertEqual(self.id_of(path, "--inside", "./set/train/"), self.id)
        self.refused(path, "'train'", "--inside")
        self.refused(path, "inside 'set/test'", options=("--inside", "set/test"))
        sources.write_files(self.folder / "set", files)
        self.refused(self.folder / "set" / "set", "'train'", "class folders")

    def test_classes_can_be_chosen_of_an_archive(self):
        path = self.write("train.tar", sources.train_tar(self.files))
        options = ("--classes", "n02119789,0", "--max-per-class", 2)
        pack, _ = self.pack(path, *options)
        self.assertEqual(self.records(pack), self.expected[:2] + self.expected[8:10])
        self.assertEqual(self.id_of(self.tree, *options, "--parts", 2), self.info(pack)["id"])

    def test_archives_that_are_damaged(self):
        whole = sources.tar_bytes(self.files)
        for n in (600, 2000, len(whole) // 2):
            self.refused(self.write("cut.tar", whole[:n]), "cut.tar")
        packed = gzip.compress(whole)
        self.refused(self.write("cut.tar.gz", packed[:-100]), "cut.tar.gz")
        flipped = bytearray(packed)
        flipped[len(packed) // 2] ^= 0x10
        self.refused(self.write("bad.tar.gz", flipped), "bad.tar.gz")
        self.refused(self.write("none.tar", b"no archive" * 100), "none.tar", "tar archive")
        self.refused(self.write("empty.tar", sources.tar_bytes({})), "empty.tar")
        train = sources.train_tar(self.files)
        self.refused(self.write("train.tar", train[:len(train) // 3 * 2]), "train.tar")

    def cuts(self, whole):
        """The archive cut where an entry begins: what is left looks complete."""
        with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
            return [whole[:entry.offset] for entry in archive.getmembers()[-2:]]

    def test_archives_that_were_cut_before_they_were_packed(self):
        for cut in self.cuts(sources.tar_bytes(self.files)):
            self.refused(self.write("cut.tar", cut), "no end")
            self.refused(self.write("cut.tar.gz", gzip.compress(cut)), "no end")
        for cut in self.cuts(sources.train_tar(self.files)):
            self.refused(self.write("cut.tar.gz", gzip.compress(cut)), "no end")
        whole = sources.train_tar(self.files)
        self.refused(self.write("cut.tar.gz", gzip.compress(whole[:-11000])), "no end")
        zeros = {"a/1.jpg": next(iter(self.files.values())), "a/2.jpg": bytes(2048)}
        whole = sources.tar_bytes(zeros)
        with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
            cut = whole[:archive.getmembers()[-1].offset_data + 2048]
        for name, data in (("zeros.tar", cut), ("zeros.tar.gz", gzip.compress(cut))):
            self.refused(self.write(name, data), "no end")

    def test_archives_behind_one_another_are_refused(self):
        both = sources.tar_bytes(self.files) * 2
        for name, data in (("both.tar", both), ("both.tar.gz", gzip.compress(both)),
                           ("members.tar.gz", gzip.compress(both[:len(both) // 2]) * 2)):
            self.refused(self.write(name, data), "more follows", "several archives")

    def test_of_a_file_that_is_twice_in_an_archive_the_last_counts(self):
        name, other = next(iter(self.files)), list(self.files.values())[-1]
        path = self.write("twice.tar", sources.tar_bytes({name: other}))
        with tarfile.open(path, "a") as archive:
            for entry, data in self.files.items():
                info = tarfile.TarInfo(entry)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        pack, _ = self.pack(path)
        self.assertEqual(self.records(pack), self.expected)

    def test_of_class_archives_that_are_twice_the_last_counts(self):
        whole = sources.train_tar(self.files)
        path = self.write("twice.tar", whole)
        few = {name: data for name, data in self.files.items() if name[0] == "n"}
        with tarfile.open(path, "a") as archive:
            with tarfile.open(fileobj=io.BytesIO(whole)) as old:
                name = old.getmembers()[0].name
            data = sources.tar_bytes({"other.jpg": next(iter(few.values()))})
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        pack, _ = self.pack(path)
        left = [pair for pair in self.expected if pair[0] != name[:-4]]
        self.assertEqual(len(self.records(pack)), len(left) + 1)
        classes = sources.tar_bytes({"a/n1.tar": data, "b/n1.tar": data})
        self.refused(self.write("two.tar", classes), "a/n1.tar and b/n1.tar", "--inside")

    def test_what_a_source_is_does_not_hang_on_its_name(self):
        for name in ("my-cifar-photos.tar", "idx-ubyte.tar.gz", "train"):
            data = sources.tar_bytes(self.files)
            pack, _ = self.pack(self.write(name, gzip.compress(data)
                                           if name.endswith("gz") else data))
            self.assertEqual(self.records(pack), self.expected)
        sources.write_files(self.folder / "x.tar.d", {"readme.txt": b"no archive"})
        self.refused(self.folder / "x.tar.d" / "readme.txt", "cannot be packed")
        tree = sources.write_files(self.folder / "tree", {**self.files, "train.bin": b"x"})
        pack, done = self.pack(tree, status=1)
        self.assertIn("train.bin", done.err)
        self.assertEqual(self.records(pack), self.expected)

    def test_options_of_other_sources_are_refused(self):
        self.refused(self.tree, "--inside", options=("--inside", "x"))
        self.refused(self.tree, "--split", options=("--split", "test"))


class ImageNet(Sources):
    def setUp(self):
        super().setUp()
        self.files, self.truth = sources.validation()
        kit = sources.devkit_files(self.truth)
        self.kit = self.write("devkit.tar.gz", gzip.compress(sources.tar_bytes(kit)))
        self.kit_folder = sources.write_files(self.folder / "kit", kit) / sources.KIT
        # Sorted by class and name, as torchvision's ImageFolder has them.
        self.expected = sorted((sources.IDS[i - 1], name, data) for i, (name, data)
                               in zip(self.truth, self.files.items()))

    def test_training_and_validation_images_agree_on_the_classes(self):
        train = self.write("ILSVRC2012_img_train.tar",
                           sources.train_tar(sources.class_files()))
        val = self.write("ILSVRC2012_img_val.tar", sources.tar_bytes(self.files))
        pack, _ = self.pack(val, "--devkit", self.kit)
        self.assertEqual(self.records(pack), [(c, data) for c, _, data in self.expected])
        train_pack, _ = self.pack(train, "--devkit", self.kit)
        names = [[c["name"] for c in self.info(p)["classes"]] for p in (pack, train_pack)]
        self.assertEqual(names, [list(sources.WNIDS)] * 2)

    def test_validation_images_from_anywhere_are_the_same_pack(self):
        sorted_tree = sources.write_files(
            self.folder / "sorted", {f"{c}/{name}": data for c, name, data in self.expected})
        flat_tree = sources.write_files(self.folder / "flat", self.files)
        val = self.write("val.tar", sources.tar_bytes(self.files))
        wanted = self.id_of(sorted_tree)
        for source in (val, flat_tree):
            for kit in (self.kit, self.kit_folder, self.kit_folder / "data"):
                self.assertEqual(self.id_of(source, "--devkit", kit), wanted)
        self.assertEqual(self.id_of(val, "--devkit", self.kit, "--parts", 3, ranks=2), wanted)

    def test_meta_mat_as_other_programs_write_it(self):
        val = self.write("val.tar", sources.tar_bytes(self.files))
        wanted = self.id_of(val, "--devkit", self.kit)
        for meta in (sources.meta_mat(pack=False), base64.b64decode(SCIPY_META)):
            kit = sources.devkit_files(self.truth, meta)
            path = self.write("kit.tar", sources.tar_bytes(kit))
            self.assertEqual(self.id_of(val, "--devkit", path), wanted)

    def test_validation_images_that_do_not_fit_the_devkit(self):
        val = self.write("val.tar", sources.tar_bytes(self.files))
        self.refused(val, "no class folders", "--devkit")
        fewer = dict(self.files)
        del fewer["ILSVRC2012_val_00000004.JPEG"]
        fewer["notes.txt"] = b"x"
        pack, done = self.pack(self.write("fewer.tar", sources.tar_bytes(fewer)), "--devkit",
                               self.kit, status=1)
        self.assertIn("1 of the devkit's 9 validation images are missing, first number 4",
                      done.err)
        self.assertIn("fewer.tar/notes.txt: has no number", done.err)
        self.assertEqual(self.info(pack)["records"], 8)
        other = self.write("other.tar", sources.train_tar(
            sources.class_files(("n01440764", "n02100735", "n99999999"))))
        self.refused(other, "n99999999", "n02119789", options=("--devkit", self.kit))

    def test_devkits_that_are_none(self):
        val = self.write("val.tar", sources.tar_bytes(self.files))

        def refused(files, *words):
            path = self.write("bad.tar", sources.tar_bytes(files))
            self.refused(val, "bad.tar", *words, options=("--devkit", path))

        good = sources.devkit_files(self.truth)
        meta, truth = (next(name for name in good if name.endswith(end))
                       for end in ("meta.mat", "truth.txt"))
        refused({truth: good[truth]}, "no meta.mat")
        refused({meta: good[meta]}, "no ILSVRC2012_validation")
        refused({**good, truth: b"1\n2\nx\n"}, "no number")
        refused({**good, truth: b"1\n1001\n"}, "line 2", "1001")
        whole = good[meta]
        for bad in (b"", whole[:100], whole[:-1], whole[:200], b"x" * 500,
                    whole.replace(b"IM", b"MI", 1)):
            refused({**good, meta: bad}, "MATLAB")
        flipped = bytearray(whole)
        flipped[-20] ^= 4
        refused({**good, meta: bytes(flipped)}, "MATLAB")
        self.refused(val, "none", options=("--devkit", self.folder / "none"))


class Cifar(Sources):
    def setUp(self):
        super().setUp()
        self.files, self.train_set, self.test_set, self.classes = sources.cifar10_files()
        self.tree = sources.write_files(self.folder / "cifar-10-batches-bin", self.files)

    def check(self, pack, records):
        wanted = [(self.classes[label], pixels) for label, pixels in records]
        self.assertEqual(self.records(pack), wanted)
        self.assertEqual(self.info(pack)["shape"], [3, 32, 32])

    def test_folder_archive_and_files(self):
        archive = self.write("cifar-10-binary.tar.gz", gzip.compress(sources.tar_bytes(
            dict(reversed(self.files.items())), prefix="cifar-10-batches-bin/")))
        for split, records in (("train", self.train_set), ("test", self.test_set)):
            ids = set()
            for source in (self.tree, archive):
                pack, _ = self.pack(source, "--split", split)
                self.check(pack, records)
                ids |= {self.info(pack)["id"],
                        self.id_of(source, "--split", split, "--parts", 3, ranks=2)}
            self.assertEqual(len(ids), 1)
        self.check(self.pack(self.tree / "test_batch.bin")[0], self.test_set)
        self.check(self.pack(self.tree / "data_batch_2.bin")[0], self.train_set[20:40])

    def test_cifar_100_has_its_fine_labels(self):
        draw = random.Random(2)
        records = [(draw.randrange(20), draw.randrange(100), draw.randbytes(3072))
                   for _ in range(30)]
        data = b"".join(bytes([coarse, fine]) + pixels for coarse, fine, pixels in records)
        tree = sources.write_files(self.folder / "c100", {"train.bin": data})
        pack, _ = self.pack(tree)
        self.assertEqual(self.records(pack), [(str(fine), p) for _, fine, p in records])
        names = [f"fine {i}" for i in range(100)]
        (tree / "fine_label_names.txt").write_text("\n".join(names))
        pack, _ = self.pack(tree)
        self.assertEqual(self.records(pack), [(names[fine], p) for _, fine, p in records])

    def test_what_is_missing_or_damaged_is_named(self):
        self.refused(self.tree, "--split train")
        self.refused(self.tree, "split", "'val'", options=("--split", "val"))
        self.refused(self.tree / "test_batch.bin", "test", "train",
                     options=("--split", "train"))
        (self.tree / "data_batch_3.bin").rename(self.tree / "away")
        self.refused(self.tree, "data_batch_3.bin", options=("--split", "train"))
        self.write("cifar-10-batches-bin/data_batch_3.bin", self.files["data_batch_3.bin"][:-1])
        self.refused(self.tree, "data_batch_3.bin", "cut short", options=("--split", "train"))
        bad = bytearray(self.files["test_batch.bin"])
        bad[3073 * 4] = 10
        self.write("cifar-10-batches-bin/test_batch.bin", bad)
        self.refused(self.tree, "record 4", "label 10", options=("--split", "test"))
        self.write("cifar-10-batches-bin/batches.meta.txt", b"one\ntwo\n")
        self.refused(self.tree, "2 names", options=("--split", "test"))


if __name__ == "__main__":
    unittest.main()

"""Development kits that contradict themselves are refused; text files may begin with a byte
order mark."""
import unittest

import test_pack_sources  # skips where Pillow or h5py is missing
import pack_sources as sources

MARK = b"\xef\xbb\xbf"


class Devkits(test_pack_sources.Sources):
    def setUp(self):
        super().setUp()
        self.files, self.truth = sources.validation()
        self.val = sources.write_files(self.folder / "val", self.files)

    def write_kit(self, name, files):
        sources.write_files(self.folder / name, files)
        return self.folder / name / sources.KIT

    def kit(self, change):
        """A kit with other rows in its meta.mat; the first three are the classes."""
        self.n_kits = getattr(self, "n_kits", 0) + 1
        meta = sources.meta_mat(change=change)
        return self.write_kit(f"kit{self.n_kits}", sources.devkit_files(self.truth, meta))

    def test_synsets_that_contradict_each_other(self):
        first, second, third = sources.IDS

        def with_row(i, *row):
            return lambda rows: rows[:i] + [row] + rows[i + 1:]
        for change, words in (
                (with_row(1, 1, second, "", 0), (first, second, "ILSVRC2012_ID 1")),
                (with_row(1, 2, third, "", 0), (third, "two synsets", "WNID")),
                (with_row(1, 1.5, second, "", 0), ("synset 2", second, "ILSVRC2012_ID 1.5")),
                (with_row(2, float("nan"), third, "", 0), ("synset 3", "ILSVRC2012_ID nan")),
                (with_row(0, 1e300, first, "", 0), ("synset 1", "1e+300")),
                (with_row(0, -3.0, first, "", 0), ("synset 1", "ILSVRC2012_ID -3")),
                (with_row(0, 0, first, "", 0), ("synset 1", "ILSVRC2012_ID 0")),
                (with_row(0, 1, "", "", 0), ("synset 1", "WNID ''")),
                (with_row(3, 1001, "n00001740", "", 0.5), ("synset 4", "num_children 0.5")),
                (with_row(3, 1001, "n00001740", "", float("nan")), ("num_children nan",))):
            with self.subTest(words):
                self.refused(self.val, "meta.mat", *words,
                             options=("--devkit", self.kit(change)))
        self.pack(self.val, "--devkit", self.kit(lambda rows: rows))

    def test_a_ground_truth_with_more_behind_a_byte_0(self):
        files = sources.devkit_files(self.truth)
        name = f"{sources.KIT}/data/{sources.TRUTH}"
        for tail in (b"\0", b"\0 1 2 3\n", b"1\0\n"):
            kit = self.write_kit("zero", {**files, name: files[name] + tail})
            self.refused(self.val, sources.TRUTH, "then no number",
                         options=("--devkit", kit))

    def test_a_byte_order_mark_is_no_part_of_a_text(self):
        files = sources.devkit_files(self.truth)
        name = f"{sources.KIT}/data/{sources.TRUTH}"
        plain = self.write_kit("plain", files)
        marked = self.write_kit("marked", {
            **files, name: MARK + files[name].replace(b"\n", b"\r\n")})
        self.assertEqual(self.id_of(self.val, "--devkit", marked),
                         self.id_of(self.val, "--devkit", plain))

    def test_class_names_of_cifar(self):
        files, _, _, classes = sources.cifar10_files()
        names = files["batches.meta.txt"]
        wanted = self.id_of(sources.write_files(self.folder / "plain", files),
                            "--split", "test")
        for i, (text, archived) in enumerate(((MARK + names, False), (MARK + names, True))):
            changed = {**files, "batches.meta.txt": text}
            source = (self.write("cifar.tar", sources.tar_bytes(changed)) if archived
                      else sources.write_files(self.folder / "marked", changed))
            pack, _ = self.pack(source, "--split", "test")
            self.assertEqual(self.info(pack)["id"], wanted)
            self.assertEqual([c["name"] for c in self.info(pack)["classes"]], classes)
        zero = sources.write_files(self.folder / "zero", {
            **files, "batches.meta.txt": names + b"\0more"})
        self.refused(zero, "batches.meta.txt", "byte 0", options=("--split", "test"))


if __name__ == "__main__":
    unittest.main()

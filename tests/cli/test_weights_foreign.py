"""Weight files as other programs leave them: names with a prefix, headers with what newer
versions write, values that are no numbers, and files that are something else."""
import gzip
import json
import pickle
import struct
import unittest

from convoy_case import CLASSES, Case, write_png


class Foreign(Case):
    """Has a net of one layer, and its weights as safetensors."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        cls.recipe = cls.shared / "net.yaml"
        cls.recipe.write_text("network: [flatten, {inner_product: {out: classes}, as: fc}]\n"
                              f"data: {{train: {cls.train_pack}}}\n"
                              "batch: {size: 8, microbatch: 8}\n")
        out = case.train(cls.recipe, "--stop-after-steps", 0)
        cls.weights = case.checkpoints(out)[0]
        cls.exported = cls.shared / "net.safetensors"
        case.expect("weights", "export", cls.weights, "-o", cls.exported)

    def rewrite(self, name, header=lambda header: header, values=lambda values: values):
        """The exported file with another header (a dict) or other values (bytes)."""
        whole = self.exported.read_bytes()
        n, = struct.unpack("<Q", whole[:8])
        text = json.dumps(header(json.loads(whole[8:8 + n]))).encode()
        path = self.folder / name
        path.write_bytes(struct.pack("<Q", len(text)) + text + values(whole[8 + n:]))
        return path

    def load(self, path, *options, status=0):
        self.made = self.folder / "made.h5"
        done = self.run_convoy("weights", "import", path, "-o", self.made, "--recipe",
                               self.recipe, *options)
        self.assertEqual(done.status, status, done.err)
        self.assertEqual(self.made.exists(), status == 0)
        return done

    def refused(self, path, *options, words):
        done = self.load(path, *options, status=1)
        for word in words:
            self.assertIn(str(word), done.err)

    def same_weights(self):
        self.assertEqual(self.hash(self.made), self.hash(self.weights))
        self.made.unlink()


def prefixed(prefix):
    return lambda header: {(key if key == "__metadata__" else prefix + key): value
                           for key, value in header.items()}


class Prefix(Foreign):
    def test_is_named_and_can_be_taken_off(self):
        for prefix in ("module.", "_orig_mod.", "_orig_mod.module.", "net"):
            path = self.rewrite("wrapped.safetensors", prefixed(prefix))
            self.refused(path, words=(path, f"'{prefix}'", f"--strip {prefix}"))
            self.load(path, "--strip", prefix)
            self.same_weights()

    def test_what_is_skipped_is_named_without_it(self):
        path = self.rewrite("wrapped.safetensors", prefixed("module."))
        self.refused(path, "--skip", "fc.bias", words=("--strip module.",))
        self.load(path, "--strip", "module.", "--skip", "fc.bias")

    def test_that_no_name_has_is_refused(self):
        self.refused(self.exported, "--strip", "module.", words=("'module.'", "no tensor"))

    def test_another_net_is_not_taken_for_a_prefix(self):
        path = self.rewrite("other.safetensors", lambda header: {
            ("x.fc.weight" if key == "fc.weight" else key): value
            for key, value in header.items()})
        self.refused(path, words=("1 tensors missing, 1 too many", "x.fc.weight"))

    def test_a_name_with_and_without_it_is_refused(self):
        def twice(header):
            begin = max(value["data_offsets"][1] for key, value in header.items()
                        if key != "__metadata__")
            more = {"dtype": "F32", "shape": [CLASSES],
                    "data_offsets": [begin, begin + 4 * CLASSES]}
            return {**prefixed("module.")(header), "fc.bias": more}
        path = self.rewrite("twice.safetensors", twice, lambda values: values + bytes(4 * CLASSES))
        self.refused(path, "--strip", "module.", words=("fc.bias", "with the prefix, too"))


class Headers(Foreign):
    def test_metadata_may_be_null(self):
        self.load(self.rewrite("null.safetensors",
                               lambda header: {**header, "__metadata__": None}))
        self.same_weights()

    def add(self, dtype, shape, n_bytes):
        def more(header):
            end = max(value["data_offsets"][1] for key, value in header.items()
                      if key != "__metadata__")
            return {**header, "scales": {"dtype": dtype, "shape": shape,
                                         "data_offsets": [end, end + n_bytes]}}
        return self.rewrite("newer.safetensors", more, lambda values: values + bytes(n_bytes))

    def test_a_type_of_a_newer_version_matters_only_where_it_is_read(self):
        for dtype, shape, n_bytes in (("F8_E8M0", [4], 4), ("F4", [8], 4), ("C64", [1], 8)):
            path = self.add(dtype, shape, n_bytes)
            self.load(path, "--skip", "scales")
            self.same_weights()
            self.refused(path, words=("scales", "1 too many"))
        path = self.rewrite("typed.safetensors", lambda header: {
            key: ({**value, "dtype": "F8_E8M0"} if key == "fc.bias" else value)
            for key, value in header.items()})
        self.refused(path, words=("fc.bias", "F8_E8M0", "expected F32"))
        self.load(path, "--skip", "fc.bias")


class Values(Foreign):
    def broken(self):
        """One value of the bias, which stands first, and none of the weight."""
        return self.rewrite("nan.safetensors",
                            values=lambda values: struct.pack("<f", float("nan")) + values[4:])

    def test_that_are_no_numbers_are_named(self):
        path = self.broken()
        self.refused(path, words=(path, "not finite", f"fc.bias: 1 of {CLASSES} values"))
        self.load(path, "--skip", "fc.bias")

    def test_infinity_is_none(self):
        path = self.rewrite("inf.safetensors",
                            values=lambda values: struct.pack("<2f", float("inf"),
                                                              float("-inf")) + values[8:])
        self.refused(path, words=(f"fc.bias: 2 of {CLASSES} values",))


class Names(Foreign):
    def test_a_mark_at_the_start_of_the_file_is_no_part_of_the_first(self):
        names = self.folder / "names.txt"
        names.write_bytes(b"\xef\xbb\xbf" + "".join(
            f"kind{i}\r\n" for i in range(CLASSES)).encode())
        # A recipe takes its pack's names; these come in their place.
        self.load(self.exported, "--class-names", names)
        image = self.folder / "x" / "a.png"
        write_png(image, 16, 16, bytes(3 * 16 * 16))
        done = self.expect("predict", "--weights", self.made, "--top", CLASSES, image)
        self.assertNotIn("\ufeff", done.out)
        self.assertIn("kind0", done.out)


class OtherFiles(Foreign):
    def test_are_called_what_they_are(self):
        text = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        for content, word in ((text, "Git LFS"), (b"<!DOCTYPE html><html></html>", "web page"),
                              (b"\n<html><body>Not Found</body></html>", "web page"),
                              (pickle.dumps({"fc.weight": [0.0] * 9}, 2), "PyTorch"),
                              (gzip.compress(bytes(100)), "gzip"),
                              (b"PK\x03\x04" + bytes(60), "PyTorch")):
            path = self.folder / "weights.safetensors"
            path.write_bytes(content)
            self.refused(path, words=(path, word))


if __name__ == "__main__":
    unittest.main()

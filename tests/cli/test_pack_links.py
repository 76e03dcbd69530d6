"""An archive with links packs to what the folder that it was made of packs to."""
import gzip
import io
import os
import pathlib
import tarfile
import unittest

import test_pack_sources  # skips where Pillow or h5py is missing
import pack_sources as sources


def tar_of(tree, gzipped=False):
    """As tar(1) makes it: a file with several names is stored once."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(tree, arcname=".")
    return gzip.compress(out.getvalue(), 1) if gzipped else out.getvalue()


def link_entry(name, target, kind=tarfile.SYMTYPE):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    return entry


class Links(test_pack_sources.Sources):
    def setUp(self):
        super().setUp()
        self.files = sources.class_files(("a", "b"))
        self.tree = sources.write_files(self.folder / "tree", self.files)

    def check_same(self, tree=None, n=None):
        """The archive's pack is the folder's, of n records; gzipped, too."""
        tree = tree or self.tree
        pack, _ = self.pack(tree)
        found = self.info(pack)
        self.assertEqual(found["records"], n)
        for gzipped in (False, True):
            path = self.write("links.tar", tar_of(tree, gzipped))
            self.assertEqual(self.info(self.pack(path)[0])["id"], found["id"])

    def test_hard_links(self):
        os.link(self.tree / "a/a_0.JPEG", self.tree / "b/also.JPEG")
        os.link(self.tree / "a/a_0.JPEG", self.tree / "b/again.JPEG")
        os.link(self.tree / "b/b_3.JPEG", self.tree / "a/0.JPEG")
        self.check_same(n=11)

    def test_hard_links_of_images_that_are_made_smaller(self):
        os.link(self.tree / "a/a_0.JPEG", self.tree / "b/also.JPEG")
        wanted = self.id_of(self.tree, "--max-side", 16)
        path = self.write("links.tar.gz", tar_of(self.tree, gzipped=True))
        self.assertEqual(self.id_of(path, "--max-side", 16), wanted)

    def test_symbolic_links_to_files(self):
        os.symlink("a_0.JPEG", self.tree / "a/soft.JPEG")
        os.symlink("../a/soft.JPEG", self.tree / "b/softer.JPEG")
        os.symlink("./../b/../b/softer.JPEG", self.tree / "b/softest.JPEG")
        self.check_same(n=11)

    def test_symbolic_links_to_folders(self):
        os.symlink("a", self.tree / "c")
        os.symlink("../b", self.tree / "a/more")
        self.check_same(n=4 + 4 + 4 + 4 + 4)  # a, a/more, b, c, c/more

    def test_links_into_what_is_passed_over(self):
        hidden = sources.write_files(self.tree / ".store", {"x": self.files["a/a_1.JPEG"]})
        os.symlink("../.store/x", self.tree / "b/x.JPEG")
        os.link(hidden / "x", self.tree / "b/y.JPEG")
        self.check_same(n=10)

    def test_a_link_to_a_folder_above_is_refused(self):
        os.symlink("..", self.tree / "a/up")
        self.refused(self.tree, "a link to a folder above?")
        self.refused(self.write("up.tar", tar_of(self.tree)), "up.tar",
                     "a link to a folder above?")

    def test_links_that_multiply_files_are_refused(self):
        with tarfile.open(fileobj=(out := io.BytesIO()), mode="w") as archive:
            for level in range(30):
                for name in "xy":
                    archive.addfile(link_entry(f"c{level}/{name}", f"../c{level + 1}"))
            entry = tarfile.TarInfo("c30/z")
            archive.addfile(entry)
        self.refused(self.write("many.tar", out.getvalue()), "many.tar",
                     "links to folders make more than")

    def test_links_that_lead_nowhere_are_named(self):
        out = io.BytesIO(tar_of(self.tree))
        entries = [link_entry("a/none.JPEG", "none2.JPEG"),
                   link_entry("a/out.JPEG", "../../a/a_0.JPEG"),
                   link_entry("a/root.JPEG", "/a/a_0.JPEG"),
                   link_entry("a/self.JPEG", "self.JPEG"),
                   link_entry("a/later.JPEG", "./a/none.JPEG.d", tarfile.LNKTYPE)]
        with tarfile.open(fileobj=out, mode="a") as archive:
            for entry in entries:
                archive.addfile(entry)
        pack, done = self.pack(self.write("nowhere.tar", out.getvalue()), status=1)
        for entry in entries:
            self.assertRegex(done.err, f"left out: .*nowhere.tar/{entry.name}: is a "
                                       f"(symbolic )?link to '.*{pathlib.Path(entry.linkname).name}'"
                                       ", which is not in the archive")
        self.assertEqual(self.info(pack)["records"], 8)

    def test_a_hard_link_is_what_its_target_was_then(self):
        first, second = self.files["a/a_0.JPEG"], self.files["b/b_2.JPEG"]
        with tarfile.open(fileobj=(out := io.BytesIO()), mode="w") as archive:
            for data, link in ((first, "c/1"), (second, "c/2")):
                entry = tarfile.TarInfo("c/0")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
                archive.addfile(link_entry(link, "c/0", tarfile.LNKTYPE))
        pack, _ = self.pack(self.write("then.tar", out.getvalue()))
        self.assertEqual(self.records(pack), [("c", second), ("c", first), ("c", second)])

    def test_links_within_class_archives_and_beside_a_chosen_folder(self):
        os.link(self.tree / "a/a_0.JPEG", self.tree / "a/also.JPEG")
        os.symlink("a_1.JPEG", self.tree / "a/soft.JPEG")
        wanted = self.id_of(self.tree)
        classes = {f"{c}.tar": tar_of(self.tree / c) for c in "ab"}
        path = self.write("train.tar", sources.tar_bytes(classes))
        self.assertEqual(self.id_of(path), wanted)
        top = self.folder / "top"
        top.mkdir()
        self.tree.rename(top / "tree")
        os.symlink("../../beside", top / "tree/b/beside")
        sources.write_files(top / "beside", {"x.JPEG": self.files["b/b_1.JPEG"]})
        wanted = self.id_of(top / "tree")
        path = self.write("top.tar", tar_of(top))
        self.assertEqual(self.id_of(path, "--inside", "tree"), wanted)


if __name__ == "__main__":
    unittest.main()

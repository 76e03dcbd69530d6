"""convoy bench loader measures any pack with any number of threads."""
import json
import unittest

from convoy_case import Case, write_class_folders

STAGES = {"read", "decode", "resize", "normalise", "all"}


class Bench(Case):
    def bench(self, pack, *options):
        done = self.expect("bench", "loader", pack, "--json", "--images", 40, *options)
        return json.loads(done.out)

    def test_image_files_have_every_stage(self):
        folder, pack = self.folder / "images", self.folder / "images.h5"
        write_class_folders(folder, "ab", n=5, width=90, height=70)
        self.expect("pack", folder, "-o", pack, "--quiet")
        for options in ((), ("--threads", 3), ("--exact", "--augment"), ("--crop", 32)):
            with self.subTest(options=options):
                found = self.bench(pack, *options)
                speeds = found["images_per_s_per_core"]
                self.assertEqual(set(speeds), STAGES)
                self.assertTrue(all(speed > 0 for speed in speeds.values()), speeds)
                side = 32 if "--crop" in options else 224
                self.assertEqual(found["input"], [3, side, side])
                self.assertEqual(found["augment"], "--augment" in options)
                self.assertEqual(found["threads"], 3 if "--threads" in options else 1)
                self.assertGreaterEqual(found["images"], 40)
                self.assertGreater(found["images_per_s"], 0)
                self.assertGreater(found["mb_per_s"], 0)

    def test_raw_records_are_read_and_loaded(self):
        found = self.bench(self.train_pack, "--threads", 2)
        self.assertEqual(found["input"], [1, 16, 16])
        self.assertGreater(found["images_per_s_per_core"]["read"], 0)
        self.assertGreater(found["images_per_s_per_core"]["all"], 0)
        self.assertEqual(found["images_per_s_per_core"]["decode"], 0)

    def test_text_says_the_same(self):
        out = self.expect("bench", "loader", self.train_pack, "--images", 40).out
        self.assertIn("read", out)
        self.assertIn("With 1 thread:", out)

    def test_what_is_wrong_is_said(self):
        for arguments, status, word in ((["loader"], 2, "loader PACK"),
                                        (["loader", "none.h5"], 1, "none.h5"),
                                        (["loader", "x", "--threads", "0"], 2, "'0'")):
            done = self.run_convoy("bench", *arguments)
            self.assertEqual(done.status, status, done.err)
            self.assertIn(word, done.err)


if __name__ == "__main__":
    unittest.main()

"""A record that is damaged in its pack ends the training with its name, or is left out
and told, whatever the ranks, threads and ways to read."""
import shutil
import unittest

from convoy_case import Case, flip_byte, write_images

BAD = 77


class BadRecords(Case):
    def setUp(self):
        super().setUp()
        self.pack = self.folder / "bad.h5"
        shutil.copy(self.train_pack, self.pack)
        _, images = write_images(self.folder / "again", 240, seed=1)
        flip_byte(self.pack, self.pack.read_bytes().index(images[BAD]) + 5)
        self.recipe = self.write_recipe(data={"train": str(self.pack)})

    def test_stop_names_the_record(self):
        for ranks in (0, 3):
            for read in ("direct", "stage", "memory"):
                with self.subTest(ranks=ranks, read=read):
                    done = self.run_convoy("train", self.recipe, "--out", self.new_run(),
                                           "--quiet", "--set", f"data.read={read}",
                                           ranks=ranks)
                    self.assert_one_message(done, self.pack, f"record {BAD}", "checksum",
                                            f"class '{BAD % 4}'")

    def test_skip_leaves_it_out_on_any_ranks_and_threads(self):
        hashes = set()
        for ranks, threads, read in ((0, 1, "direct"), (3, 4, "direct"), (2, 1, "stage"),
                                     (0, 2, "memory")):
            with self.subTest(ranks=ranks, threads=threads, read=read):
                out = self.train(self.recipe, "--set", "data.on_bad_record=skip", "--set",
                                 f"data.threads={threads}", "--set", f"data.read={read}",
                                 "--stop-after-steps", 20, ranks=ranks)
                hashes.add(self.hash(out))
                skipped = [line["skipped"] for line in self.metrics(out)
                           if line["event"] == "step"]
                self.assertEqual((sum(skipped[:10]), sum(skipped[10:])), (1, 1))
        self.assertEqual(len(hashes), 1)
        whole = self.train(self.write_recipe("whole.yaml"), "--stop-after-steps", 20)
        self.assertNotIn(self.hash(whole), hashes)

    def test_skip_says_which_and_how_many(self):
        for ranks in (0, 3):
            done = self.expect("train", self.recipe, "--out", self.new_run(), "--set",
                               "data.on_bad_record=skip", "--stop-after-steps", 10,
                               ranks=ranks)
            self.assertIn(f"record {BAD} of {self.pack}", done.out)
            self.assertIn("1 damaged sample", done.out)

    def test_validation_counts_only_what_it_evaluated(self):
        recipe = self.write_recipe(data={"val": str(self.pack), "on_bad_record": "skip"})
        for ranks in (0, 3):
            out = self.train(recipe, "--stop-after-steps", 10, ranks=ranks)
            epoch = self.metrics(out)[-1]
            self.assertEqual(epoch["val_samples"], 239)


if __name__ == "__main__":
    unittest.main()

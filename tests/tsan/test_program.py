"""The program with ThreadSanitizer, which ends it with a status of its own where it has seen
a data race: everything that lanes do, on more of them than there are cores. run.sh starts
this."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import convoy_case  # noqa: E402

# Two epochs with their validation, and the beginning of a third.
STEPS = 25
# Weights enough that a sum is cut into ranges, and the optimizer's step into pieces.
RECIPE = {"model": {"width": 32}}
# Several buckets.
WIDE = {"model": {"width": 64}, "exchange": {"bucket": 1}}


class Program(convoy_case.Case):
    def test_training(self):
        recipe = self.write_recipe(**RECIPE)
        out = self.new_run()
        for steps, lanes in ((STEPS, 4), (2 * STEPS, 3)):
            self.expect("train", recipe, "--out", out, "--stop-after-steps", steps,
                        "--set", f"lanes={lanes}", "--oversubscribe")
        weights = self.checkpoints(out)[-1]
        self.expect("eval", "--weights", weights, "--data", self.val_pack, "--lanes", 4)
        convoy_case.write_class_folders(self.folder / "images", ["a", "b"], n=20)
        images = sorted((self.folder / "images").rglob("*.png"))
        self.expect("predict", "--weights", weights, "--lanes", 4, *images)

    def test_training_on_ranks(self):
        for algorithm in "direct", "two-level":
            self.train(self.write_recipe(**WIDE), "--stop-after-steps", 6, "--set",
                       "lanes=4", "--set", "data.read=memory", "--set",
                       f"exchange.algorithm={algorithm}", "--oversubscribe",
                       "--trace", self.folder / f"{algorithm}.json", "--trace-steps",
                       "1-5", ranks=2)

    def test_a_failure_on_a_lane(self):
        pack = self.folder / "damaged.h5"
        path, images = convoy_case.write_images(self.folder / "damaged", 48)
        self.expect("pack", path, "-o", pack)
        convoy_case.flip_byte(pack, pack.read_bytes().index(images[30]) + 5)
        self.train(self.write_recipe(data={"train": str(pack)}), "--set", "lanes=4",
                   "--oversubscribe", status=1)

    def test_bench(self):
        self.expect("bench", "model", "lenet", "--lanes", 4)


if __name__ == "__main__":
    unittest.main()

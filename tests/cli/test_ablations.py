"""jobs/ablations.sh, on a small data set and a few steps."""
import os
import pathlib
import subprocess
import tempfile
import unittest

from convoy_case import TIMEOUT_S, write_fashion_mnist

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "jobs" / "ablations.sh"
ROW = r"(?m)^\| {} \| \d+\.\d\d \| \d+\.\d\d \| `.*` \|$"


class Ablations(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        write_fashion_mnist(self.folder, side=28, n_train=1024)  # of 8 steps

    def run_script(self, *groups, status=0, **settings):
        environment = {**os.environ, "FASHION_MNIST": str(self.folder),
                       "WORK": str(self.folder), "SEEDS": "4", **settings}
        done = subprocess.run(["bash", SCRIPT, *groups], env=environment, text=True,
                              capture_output=True, timeout=TIMEOUT_S)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_each_group_has_its_lines_and_what_is_done_is_not_done_again(self):
        groups = ("averages", "mixing", "crops")
        done = self.run_script(*groups, STEPS="8")
        for name in ("constant", "constant-ema", "plain", "mixup-0.2", "cutmix-1", "crop-28",
                     "crop-20", "crop-20-to-28"):
            self.assertRegex(done.stdout, ROW.format(name))
            self.assertIn(f"training runs/ablations/{name}-4\n", done.stderr)
        again = self.run_script(*groups, STEPS="8")
        self.assertEqual(again.stdout, done.stdout)
        self.assertNotIn("training", again.stderr)

    def test_another_seed_is_added_to_the_mean(self):
        self.run_script("averages", STEPS="8")
        done = self.run_script("averages", STEPS="8", SEEDS="4 5")
        self.assertIn("training runs/ablations/constant-5\n", done.stderr)
        self.assertNotIn("training runs/ablations/constant-4\n", done.stderr)
        self.assertRegex(done.stdout, ROW.format("constant"))

    def test_a_training_that_fails_ends_it(self):
        done = self.run_script("optimizers", STEPS="8", status=1)  # too few images for 4096
        self.assertRegex(done.stdout, ROW.format(r"sgd-128-lr-0\.[124]"))
        self.assertIn("is 4096, but the train pack", done.stderr)
        self.assertNotIn("lars", done.stdout + done.stderr)
        done = self.run_script("averages", STEPS="7", status=1)
        self.assertIn("has no val_top1: did it end before its first epoch?", done.stderr)

    def test_unknown_groups_are_refused(self):
        done = self.run_script("crop", status=2)
        self.assertIn("there is no group 'crop'", done.stderr)


if __name__ == "__main__":
    unittest.main()

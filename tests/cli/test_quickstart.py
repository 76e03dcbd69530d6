"""jobs/quickstart.sh, on a small data set and a few steps."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from convoy_case import TIMEOUT_S, write_fashion_mnist

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "jobs" / "quickstart.sh"


class Quickstart(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        write_fashion_mnist(self.folder)

    def run_script(self, **settings):
        environment = {**os.environ, "FASHION_MNIST": str(self.folder),
                       "WORK": str(self.folder), "STEPS": "6", **settings}
        done = subprocess.run(["bash", SCRIPT], env=environment, text=True,
                              capture_output=True, timeout=TIMEOUT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_two_ranks_and_none_end_with_the_same_hash(self):
        hashes = {}
        for ranks, run, settings in (("2 ranks", "fashion-mnist", {}),
                                     ("1 rank", "fashion-mnist-2", {"RANKS": "1"})):
            out = self.run_script(**settings)
            self.assertIn(f" parameters, {ranks}, batch 2 x 64", out)
            self.assertRegex(out, r"test images:\ntop-1 \d+\.\d\d %")
            self.assertIn(f"The run is in {self.folder}/runs/{run}:\n", out)
            found = re.search(rf"(?m)^([0-9a-f]{{32}})  runs/{run}/checkpoints/"
                              r"step-00000006\.h5$", out)
            self.assertTrue(found, out)
            hashes[ranks] = found[1]
        self.assertEqual(hashes["1 rank"], hashes["2 ranks"])


if __name__ == "__main__":
    unittest.main()

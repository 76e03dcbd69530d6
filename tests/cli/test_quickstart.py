"""jobs/quickstart.sh, on a small data set and a few steps."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from convoy_case import CORES, TIMEOUT_S, write_fashion_mnist

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "jobs" / "quickstart.sh"


def on_one_core():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class Quickstart(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        write_fashion_mnist(self.folder)

    def run_script(self, preexec_fn=None, **settings):
        environment = {**os.environ, "FASHION_MNIST": str(self.folder),
                       "WORK": str(self.folder), "STEPS": "6", **settings}
        done = subprocess.run(["bash", SCRIPT], env=environment, text=True,
                              capture_output=True, timeout=TIMEOUT_S,
                              preexec_fn=preexec_fn)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_two_ranks_one_and_one_core_end_with_the_same_hash(self):
        hashes = {}
        usual = "2 ranks" if CORES > 1 else "1 rank"
        for ranks, run, settings in ((usual, "fashion-mnist", {}),
                                     ("1 rank", "fashion-mnist-2", {"RANKS": "1"}),
                                     ("1 rank", "fashion-mnist-3",
                                      {"preexec_fn": on_one_core})):
            out = self.run_script(**settings)
            self.assertIn(f" parameters, {ranks}, batch 2 x 64", out)
            self.assertRegex(out, r"test images:\ntop-1 \d+\.\d\d %")
            self.assertIn(f"The run is in {self.folder}/runs/{run}:\n", out)
            self.assertTrue(out.endswith(f"\n{self.folder}/runs/{run}/report.html\n"), out)
            self.assertTrue((self.folder / "runs" / run / "report.html").exists())
            found = re.search(rf"(?m)^([0-9a-f]{{32}})  runs/{run}/checkpoints/"
                              r"step-00000006\.h5$", out)
            self.assertTrue(found, out)
            hashes[run] = found[1]
        self.assertEqual(len(set(hashes.values())), 1, hashes)


if __name__ == "__main__":
    unittest.main()

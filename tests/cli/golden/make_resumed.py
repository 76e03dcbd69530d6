"""Makes what tests/cli/test_resume_older.py goes on from: a checkpoint in the middle of an
epoch, and the hashes of that run's weights there and later. To be run with the convoy
whose files are to stay readable:

    cd tests/cli && CONVOY=path/to/convoy python3 -B golden/make_resumed.py golden/0.1
"""
import json
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from convoy_case import Case

RECIPE = {"model": {"width": 2}}
STEP, LATER = 7, 25


class Make(Case):
    def runTest(self):
        out = self.train(self.write_recipe(**RECIPE), "--stop-after-steps", STEP, ranks=2)
        folder = pathlib.Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.checkpoints(out)[-1], folder)
        known = {STEP: self.hash(out)}
        self.train(self.write_recipe(**RECIPE), "--stop-after-steps", LATER, out=out)
        known[LATER] = self.hash(out)
        run = json.loads((out / "run.json").read_text())
        known["machine"] = {key: run[key] for key in ("isa", "onednn")}
        (folder / "known.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    suite = unittest.TestSuite([Make()])
    sys.exit(not unittest.TextTestRunner().run(suite).wasSuccessful())

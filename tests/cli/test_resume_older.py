"""A run that an older convoy began goes on with this one (golden/make_resumed.py made what
is gone on from), and one of a newer convoy is refused by name."""
import json
import pathlib
import shutil
import unittest

from convoy_case import Case

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
RECIPE = {"model": {"width": 2}}  # make_resumed's


class Older(Case):
    def test_runs_go_on_to_the_same_weights(self):
        recipe = self.write_recipe(**RECIPE)
        for golden in sorted(path for path in GOLDEN.iterdir() if path.is_dir()):
            known = json.loads((golden / "known.json").read_text())
            begun, later = sorted((int(key) for key in known if key.isdigit()))
            for ranks in (0, 2):
                out = self.new_run()
                checkpoints = out / "checkpoints"
                checkpoints.mkdir(parents=True)
                shutil.copy(golden / f"step-{begun:08}.h5", checkpoints)
                self.assertEqual(self.hash(out), known[str(begun)])
                arguments = ("train", recipe, "--out", out, "--stop-after-steps", later)
                done = self.run_convoy(*arguments, ranks=ranks)
                if "the instruction set is" in done.err:  # another machine than its own
                    self.assert_one_message(done, known["machine"]["isa"], "--resume-anyway")
                    done = self.run_convoy(*arguments, "--resume-anyway", ranks=ranks)
                self.assertEqual(done.status, 0, done.err)
                self.assertIn(f"going on from step {begun}", done.out)
                run = json.loads((out / "run.json").read_text())
                if {key: run[key] for key in known["machine"]} == known["machine"]:
                    self.assertEqual(self.hash(out), known[str(later)])
                self.assertEqual(self.steps_saved(out)[-1], later)

    def test_checkpoints_evaluate(self):
        for golden in sorted(path for path in GOLDEN.iterdir() if path.is_dir()):
            file = next(golden.glob("step-*.h5"))
            self.expect("eval", "--weights", file, "--data", self.val_pack, ranks=2)


if __name__ == "__main__":
    unittest.main()

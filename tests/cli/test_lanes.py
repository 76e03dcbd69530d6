"""Lanes: the same bits on any number of cores, whatever the environment says; what they
need is told before it is taken."""
import itertools
import json
import os
import subprocess
import unittest

import convoy_case
from convoy_case import Case

# Beyond the first epoch, with its evaluation.
STEPS = 12
CPUS = sorted(os.sched_getaffinity(0))


class Lanes(Case):
    def start(self, *options, ranks=0, shell=None, recipe=None, out=None, **changes):
        out = out or self.new_run()
        arguments = ["train", recipe or self.write_recipe(**changes), "--out", out,
                     *options, *(["--oversubscribe"] if ranks else [])]
        done = convoy_case.finish(convoy_case.start(arguments, ranks, shell))
        self.assertEqual(done.status, 0, f"{done.out}\n{done.err}")
        return done, out

    def weights(self, *options, **settings):
        done, out = self.start("--quiet", "--stop-after-steps", STEPS, *options, **settings)
        return self.hash(out)


class Bits(Lanes):
    """M = 12, batch norm, dropout, augmentation."""

    first = None  # the hash of all of them

    def setUp(self):
        super().setUp()
        Bits.first = Bits.first or self.weights("--set", "lanes=1")

    def check(self, lanes, ranks=0, **settings):
        with self.subTest(lanes=lanes, ranks=ranks, **settings):
            found = self.weights("--set", f"lanes={lanes}", ranks=ranks, **settings)
            self.assertEqual(found, self.first)


class AllLanes(Bits):
    def test_any_lanes_on_any_ranks(self):
        for lanes, ranks in itertools.product((1, 2, 3, 4), (1, 2, 3, 6)):
            self.check(lanes, ranks)


class SomeLanes(Bits):
    def test_any_lanes_on_any_ranks(self):
        for lanes, ranks in ((2, 0), (4, 0), (3, 2), (2, 3)):
            self.check(lanes, ranks)

    def test_any_affinity_mask(self):
        if not CPUS[1:]:
            self.skipTest("needs two processors")
        for lanes, cpus in (("auto", f"{CPUS[0]}"), (3, f"{CPUS[1]}"),
                            ("auto", f"{CPUS[0]},{CPUS[1]}")):
            self.check(lanes, shell=f"taskset -cp {cpus} $$ >/dev/null")

    def test_any_environment(self):
        """All other tests have OMP_NUM_THREADS=1."""
        for shell in ("export OMP_NUM_THREADS=2", "export OMP_NUM_THREADS=7",
                      "unset OMP_NUM_THREADS",
                      "export SLURM_CPUS_PER_TASK=3 OMP_DYNAMIC=true",
                      "export OMP_PROC_BIND=true OMP_PLACES=cores"):
            self.check("auto", shell=shell)

    def test_a_resume_with_other_lanes_and_ranks(self):
        recipe = self.write_recipe()
        out = self.new_run()
        for steps, lanes, ranks in ((3, 3, 0), (7, 1, 2), (STEPS, 4, 3)):
            self.start("--quiet", "--stop-after-steps", steps, "--set", f"lanes={lanes}",
                       recipe=recipe, out=out, ranks=ranks)
        self.assertEqual(self.hash(out), self.first)

    def test_evaluation_and_prediction(self):
        _, out = self.start("--quiet", "--stop-after-steps", STEPS)
        weights = self.checkpoints(out)[-1]
        evaluate = ("eval", "--weights", weights, "--data", self.val_pack, "--json",
                    "--quiet")
        first = self.expect(*evaluate, "--lanes", 1).out
        self.assertEqual(json.loads(first)["samples"], 50)
        for lanes, ranks in ((2, 0), (4, 3)):
            with self.subTest(lanes=lanes, ranks=ranks):
                found = self.expect(*evaluate, "--lanes", lanes, ranks=ranks).out
                self.assertEqual(found, first)
        convoy_case.write_class_folders(self.folder / "images", ["a", "b"], n=20,
                                        width=16, height=16)
        images = sorted((self.folder / "images").rglob("*.png"))
        predict = ("predict", "--weights", weights, "--json", *images)
        first = self.expect(*predict, "--lanes", 1).out
        self.assertEqual(len(json.loads(first)), 40)
        for lanes in (2, 5):
            self.assertEqual(self.expect(*predict, "--lanes", lanes).out, first)

    def test_a_team_a_lane(self):
        """threads belongs to the bits, lanes do not."""
        two = self.weights("--set", "threads=2", "--set", "lanes=1")
        self.assertEqual(self.weights("--set", "threads=2", "--set", "lanes=3"), two)
        self.assertEqual(self.weights("--set", "threads=2", ranks=2), two)


class Told(Lanes):
    def test_lanes_and_memory_are_told_and_recorded(self):
        done, out = self.start("--stop-after-steps", 2, "--set", "lanes=3")
        self.assertRegex(done.out, r"(?m)^rank 0: 3 lanes of 1 thread .*; processors: lanes "
                         r"[0-9,-]+, loading [0-9,-]+$")
        self.assertRegex(done.out, r"memory: \d+\.\d\d MiB a rank: .*activations 3 x ")
        run = json.loads((out / "run.json").read_text())
        self.assertEqual((run["lanes"], run["threads"]), (3, 1))
        self.assertGreater(run["memory_bytes"], run["activation_bytes"])

    def test_no_more_lanes_than_microbatches(self):
        _, out = self.start("--stop-after-steps", 2, "--set", "lanes=9", ranks=6)
        self.assertEqual(json.loads((out / "run.json").read_text())["lanes"], 2)

    def test_a_contradicting_environment_is_told(self):
        done, _ = self.start("--stop-after-steps", 2, "--set", "lanes=2",
                             shell="export OMP_NUM_THREADS=7")
        self.assertIn("OMP_NUM_THREADS", done.out)
        done, _ = self.start("--stop-after-steps", 2, "--set", "lanes=2",
                             shell="export SLURM_CPUS_PER_TASK=4000")
        self.assertIn("--cpus-per-task", done.out)
        done, _ = self.start("--stop-after-steps", 2, "--set", "lanes=2",
                             shell="export OMP_NUM_THREADS=2")
        self.assertNotIn("OMP_NUM_THREADS", done.out)

    def test_steps_too_long_for_slurm_are_told_once(self):
        for variables, times in (("SLURM_JOB_ID=7 CONVOY_KILL_WAIT=0.000001", 1),
                                 ("CONVOY_KILL_WAIT=0.000001", 0), ("SLURM_JOB_ID=7", 0)):
            done, _ = self.start("--stop-after-steps", 12, shell=f"export {variables}")
            self.assertEqual(done.out.count("--signal=B:USR1@120"), times, done.out)

    def test_a_team_that_openmp_does_not_give_is_refused(self):
        recipe = self.write_recipe()
        done = convoy_case.finish(convoy_case.start(
            ["train", recipe, "--out", self.new_run(), "--set", "threads=2"],
            shell="export OMP_THREAD_LIMIT=1"))
        self.assert_one_message(done, "OMP_THREAD_LIMIT", "threads")

    def info(self, *options, status=0, **changes):
        return self.expect("info", self.write_recipe(**changes), *options, status=status)

    def test_info_tells_the_plan(self):
        plan = json.loads(self.info("--json", "--set", "lanes=2").out)
        memory = plan["memory_bytes"]
        self.assertEqual((plan["lanes"], plan["microbatches"], plan["classes"]), (2, 12, 4))
        self.assertEqual(memory["exchange"], 0)
        two = json.loads(self.info("--json", "--ranks", 2, "--set", "lanes=2").out)
        self.assertGreaterEqual(two["memory_bytes"]["exchange"], memory["gradient"])
        self.assertEqual(memory["total"],
                         memory["weights"] + memory["prepared"] + memory["optimizer"]
                         + memory["saving"] + memory["input"] + 2 * memory["activations_of_a_lane"]
                         + memory["gradients"] * memory["gradient"])
        more = json.loads(self.info("--json", "--set", "lanes=4").out)["memory_bytes"]
        self.assertEqual(more["weights"], memory["weights"])
        self.assertEqual(more["gradients"], memory["gradients"] + 2)
        self.assertIn("memory of a rank", self.info().out)
        _, out = self.start("--stop-after-steps", 1, "--set", "lanes=2")
        run = json.loads((out / "run.json").read_text())
        self.assertEqual(run["memory_bytes"], memory["total"])

    def test_info_of_more_ranks_than_microbatches(self):
        done = self.info("--ranks", 13, status=1)
        self.assert_one_message(done, "12 microbatches", "13 ranks")
        self.assertEqual(self.expect("info", "resnet18", "--ranks", 2, status=2).out, "")

    def test_what_does_not_fit_is_refused_with_numbers(self):
        """A batch whose activations no machine holds; nothing of it is allocated."""
        pack = self.make_pack("large", 4096, side=4)
        done = self.run_convoy(
            "train", self.write_recipe(
                data={"train": str(pack), "val": "", "crop": 2048, "augment": {"pad": 1022}},
                model={"name": "resnet20", "width": 64, "batch_norm": False, "dropout": -1},
                batch={"size": 4096, "microbatch": 4096}),
            "--out", self.new_run())
        self.assert_one_message(done, "GiB", "batch.microbatch")


if __name__ == "__main__":
    unittest.main()

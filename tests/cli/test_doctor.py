"""convoy doctor on one machine: each thing that is wrong with a start has its line, and the
exit status says whether there is any."""
import json
import os
import pathlib
import tempfile
import unittest

import convoy_case
from convoy_case import CONVOY, Case

FAILING_MEMORY = os.environ["CONVOY_FAILING_MEMORY"]  # tests/support/failing_memory.c
CPUS = sorted(os.sched_getaffinity(0))
RANK = "${OMPI_COMM_WORLD_RANK:-$PMIX_RANK}"


class Doctor(Case):
    def doctor(self, *options, ranks=0, shell=None, status=0):
        done = convoy_case.finish(convoy_case.start(["doctor", *options], ranks, shell))
        self.assertEqual(done.status, status, f"{done.out}\n{done.err}")
        return done.out

    def assert_finds(self, out, level, check, *words):
        """One line says so."""
        lines = [line for line in out.splitlines() if line.split()[:2] == [level, check]]
        self.assertTrue(lines, f"no {level} {check}:\n{out}")
        for word in words:
            self.assertIn(word, lines[0])

    def test_a_good_training_alone(self):
        out = self.doctor(self.write_recipe())
        for check in ("ranks", "launch", "cores", "convoy", "onednn", "mpi", "speed", "plan"):
            self.assert_finds(out, "OK", check)
        self.assert_finds(out, "OK", "memory", "a rank needs ")
        self.assert_finds(out, "OK", "pack", str(self.train_pack))
        self.assertIn(f"validation pack: {self.val_pack}", out)
        self.assertNotIn("wrong", out)
        self.assertFalse([line for line in out.splitlines() if line.startswith("OK")
                          and " -> " in line])

    def test_ranks_on_one_core(self):
        if not CPUS[1:]:
            self.skipTest("needs two processors")
        out = self.doctor("--json", ranks=2, status=1,
                          shell=f"taskset -cp {CPUS[0]} $$ >/dev/null")
        told = json.loads(out)
        self.assertEqual(told["verdict"], "wrong")
        found = {item["check"]: item for item in told["findings"]}
        self.assertEqual(found["ranks"]["level"], "OK")
        self.assertIn("2 ranks on 1 host", found["ranks"]["text"])
        self.assertIsNone(found["ranks"]["fix"])
        self.assertEqual(found["binding"]["level"], "wrong")
        self.assertIn("all ranks of a host on one core", found["binding"]["text"])
        self.assertIn("mpirun --map-by slot:PE=", found["binding"]["fix"])

    def test_more_ranks_than_cores(self):
        n = len(CPUS) + 1
        if n > 8:
            self.skipTest("would take too many ranks")
        out = self.doctor(ranks=n, status=1)
        self.assert_finds(out, "wrong", "cores", "more ranks than cores", f"has {n} ranks")

    def test_another_version_on_one_rank(self):
        """The same program, whose text has another version: so its build is the same."""
        version = self.expect("--version").out.split()[1].encode()
        other = self.folder / "convoy"
        other.write_bytes(pathlib.Path(CONVOY).read_bytes()
                          .replace(version, version[:-1] + b"x"))
        other.chmod(0o755)
        out = self.doctor(ranks=2, status=1,
                          shell=f'if [ {RANK} = 1 ]; then exec {other} "$@"; fi')
        self.assert_finds(out, "wrong", "convoy", f"{version.decode()[:-1]}x (rank 1)",
                          f"elsewhere {version.decode()}", "the same convoy")

    def test_a_pack_in_memory(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            pack = pathlib.Path(folder) / "p.h5"
            pack.write_bytes(self.train_pack.read_bytes())
            out = self.doctor(pack)
        self.assert_finds(out, "look", "pack", "lies in memory (tmpfs)", str(pack))

    def test_what_a_training_lacks(self):
        """Memory that the job did not ask for, --cpus-per-task, a pack on one rank."""
        recipe = self.write_recipe(model={"width": 64})
        out = self.doctor(recipe, status=1, shell="export SLURM_JOB_ID=0 "
                          "SLURM_STEP_ID=0 SLURM_MEM_PER_NODE=1 SLURM_CPUS_PER_TASK=4000 PMI_SIZE=3")
        self.assert_finds(out, "wrong", "memory", "too little memory", "--mem")
        self.assert_finds(out, "wrong", "cpus-per-task", "SRUN_CPUS_PER_TASK=4000")
        self.assert_finds(out, "wrong", "launch", "3 processes")
        out = self.doctor(self.folder / "none.h5", status=1)
        self.assert_finds(out, "wrong", "pack", "none.h5")
        out = self.doctor(self.write_recipe(), "--set", "batch.size=23", status=1)
        self.assert_finds(out, "wrong", "plan", "batch.size")
        out = self.doctor(self.write_recipe(), "--set", "init.weights=nowhere.h5", status=1)
        self.assert_finds(out, "wrong", "weights", "nowhere.h5: No such file or directory")

    def test_a_rank_that_fails_before_mpi_starts(self):
        """The others do not wait for it, also where its launcher, as srun, does not end them:
        mpirun would, by the status."""
        done = convoy_case.finish(convoy_case.start(
            ["doctor"], 2, f"if [ {RANK} = 1 ]; then LD_PRELOAD={FAILING_MEMORY} {CONVOY} "
            '"$@" || exit 0; fi'))
        self.assert_one_message(done, "cannot allocate a list of facts")

    def test_wrong_usage(self):
        for words in (("a", "b"), ("--set", "lanes=1"), ("--nothing",), ("x.h5", "--set", "a=1")):
            done = self.expect("doctor", *words, status=2)
            self.assertIn("usage: convoy doctor", done.err)
        done = self.expect("doctor", "--nothing", ranks=2, status=2)
        self.assert_one_message(done, "unknown option --nothing", status=2)
        # On one rank only, whose status the launcher does not see.
        done = convoy_case.finish(convoy_case.start(
            ["doctor"], 2, f"if [ {RANK} = 1 ]; then {CONVOY} doctor --nothing || exit 0; fi"))
        self.assert_one_message(done, "unknown option --nothing")


if __name__ == "__main__":
    unittest.main()

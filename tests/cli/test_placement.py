"""Launches that put ranks or threads on each other's cores: refused by one line that names
rank, host and the option that mends it, or taken as they are when that is asked for."""
import os
import unittest
from unittest import mock

from convoy_case import CORES, Case

CPUS = sorted(os.sched_getaffinity(0))


def on_first_core():
    os.sched_setaffinity(0, {CPUS[0]})


class Placement(Case):
    def launch(self, *options, mpirun="--bind-to none", ranks=2, status=0, variables=None,
               **settings):
        """One step, started by mpirun with these options."""
        variables = {"CONVOY_MPIRUN_OPTIONS": mpirun, **(variables or {})}
        with mock.patch.dict(os.environ, variables):
            done = self.run_convoy("train", self.write_recipe(), "--out", self.new_run(),
                                   "--stop-after-steps", 1, *options, ranks=ranks, **settings)
        self.assertEqual(done.status, status, f"{done.out}\n{done.err}")
        return done

    def refused(self, *words, options=(), **settings):
        done = self.launch(*options, status=1, **settings)
        self.assert_one_message(done, "placement of rank ", "--oversubscribe", *words)

    def test_all_ranks_on_one_core(self):
        if CORES < 2:
            self.skipTest("needs two cores")
        self.refused("all ranks of a host on one core: 2 ranks of ", "share 1 core of ",
                     "mpirun --map-by slot:PE=", preexec_fn=on_first_core)
        done = self.launch("--oversubscribe", preexec_fn=on_first_core)
        self.assertRegex(done.out, r"(?m)^placement: all ranks of a host on one core.*slow")
        self.assertRegex(done.out, r"(?m)^rank 0: .* on 1 core, which 2 ranks share")

    def test_openmp_binds_all_ranks_to_one_core(self):
        if CORES < 2:
            self.skipTest("needs two cores")
        self.refused("on one core", "unset OMP_PROC_BIND, OMP_PLACES",
                     variables={"OMP_PLACES": f"{{{CPUS[0]}}}", "OMP_PROC_BIND": "true"})

    def test_a_rank_of_all_on_a_core_that_another_has(self):
        """The second and third rank share a core; the first, which speaks, has another."""
        if CORES < 2 or CORES > 8:
            self.skipTest("needs two cores, and few")
        shell = (f"[ ${{OMPI_COMM_WORLD_RANK:-$PMIX_RANK}} = 0 ] && c={CPUS[0]} || c={CPUS[-1]};"
                 " taskset -cp $c $$ >/dev/null")
        done = self.launch("--oversubscribe", ranks=3, shell=shell)
        self.assertRegex(done.out, r"(?m)^placement: .*ranks.* cores?.*slow; .*mpirun")
        self.assertNotIn("ranks share", done.out)

    def test_more_ranks_than_cores(self):
        if CORES > 8:
            self.skipTest("would take too many ranks")
        n = CORES + 1
        with mock.patch("convoy_case.CORES", n):
            self.refused(f"has {n} ranks for {CORES} core", f"at most {CORES} rank",
                         "mpirun --map-by ppr:", ranks=n)

    def test_more_lanes_or_threads_than_cores(self):
        """Of ranks; a process by itself may try them."""
        if CORES < 2:
            self.skipTest("needs two cores")
        n = CORES + 1
        self.refused(f"computes on {n} lanes of 1 thread", "lanes: auto in the recipe",
                     options=("--set", f"lanes={n}"))
        self.refused(f"computes with {n} threads", "fewer threads in the recipe",
                     options=("--set", f"threads={n}"))
        for option in (f"lanes={n}", f"threads={n}"):
            self.launch("--set", option, ranks=0)
        self.launch("--set", f"lanes={n}", ranks=0, preexec_fn=on_first_core)

    def test_what_srun_did_not_take_over(self):
        self.refused("SLURM_CPUS_PER_TASK is 4000, but rank 0 may use ",
                     "export SRUN_CPUS_PER_TASK=4000, or srun --cpus-per-task=4000", ranks=0,
                     shell="export SLURM_JOB_ID=0 SLURM_STEP_ID=0 SLURM_CPUS_PER_TASK=4000")

    def test_what_mpirun_does_by_itself_is_taken(self):
        """With cores that it leaves idle, a note says so."""
        if CORES < 2:
            self.skipTest("needs two cores")
        done = self.launch(mpirun="")
        if CORES == 2:
            self.assertNotIn("placement: ", done.out)
        done = self.launch(mpirun="--map-by slot:PE=1 --bind-to core", ranks=1)
        self.assertRegex(done.out, r"(?m)^placement: .* has \d+ cores, its ranks may use 1 of "
                         r"them; start with mpirun --map-by slot:PE=\d+ \(or --bind-to none\)$")


if __name__ == "__main__":
    unittest.main()

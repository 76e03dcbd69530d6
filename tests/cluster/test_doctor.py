"""convoy doctor on a cluster: each mistake of a launch is named by a line of its own."""
import os
import pathlib

from cluster_case import CONVOY, LabCase, main

MAY_USE = len(os.sched_getaffinity(0))
JOB = """#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=1 --time=10
{options}
# Where ranks run has a /dev/shm of its own.
{before}
srun --mpi=pmix {convoy} doctor {target}
echo "status $?"
"""


class Doctor(LabCase):
    CPUS = 2
    CONF = "TaskPlugin=task/affinity\n"

    def setUp(self):
        super().setUp()
        if MAY_USE < self.CPUS:
            self.skipTest("needs two processors")

    def ask(self, *options, program=(CONVOY, "doctor")):
        # A rank may crash as Open MPI starts (docs/troubleshooting.md): once more, then.
        out = self.lab("srun", "--mpi=pmix", *options, *program, must=False)
        return out or self.lab("srun", "--mpi=pmix", *options, *program, must=False)

    def job(self, target="", options="", before="", **submit):
        script = self.folder / "doctor.sbatch"
        script.write_text(JOB.format(options=options, before=before, convoy=CONVOY,
                                     target=target))
        job = self.submit(script, **submit)
        job.wait_for_end()
        return job.text()

    def assert_names(self, out, level, check, *words):
        lines = [line for line in out.splitlines() if line.split()[:2] == [level, check]]
        self.assertEqual(len(lines), 1, f"{level} {check}:\n{out}")
        for word in words:
            self.assertIn(word, lines[0])

    def test_all_ranks_on_one_core(self):
        out = self.ask("-N2", "-n4", "--cpu-bind=map_cpu:0")
        self.assert_names(out, "OK", "ranks", "4 ranks on 2 hosts: node1, node2")
        self.assert_names(out, "wrong", "binding", "all ranks of a host on one core: 2 "
                          "ranks of node1 share 1 core", "--cpu-bind=cores")
        self.assert_names(out, "OK", "network", "node")
        train = f"{CONVOY} train {self.write_recipe()} --out {self.folder}/run 2>&1"
        out = self.ask("-N1", "-n2", "--cpu-bind=map_cpu:0", program=("sh", "-c", train))
        self.assertRegex(out, r"(?m)^convoy: placement of rank \d on node1: .*one core.*start "
                         r"with srun --cpus-per-task=\d+ --cpu-bind=cores; .*--oversubscribe$")

    def test_more_ranks_than_cores(self):
        if MAY_USE > 8:
            self.skipTest("would take too many ranks")
        n = MAY_USE + 1
        out = self.ask("-N1", f"-n{n}", "--overcommit")
        self.assert_names(out, "wrong", "cores", f"more ranks than cores: node1 has {n} ranks",
                          f"at most {n - 1} ranks a node")

    def test_no_cpus_per_task(self):
        out = self.ask("-N1", "-n1")
        self.assert_names(out, "look", "cpus-per-task", "--cpus-per-task is missing: rank 0 "
                          "has 1 core", "#SBATCH --cpus-per-task=")
        out = self.ask("-N1", "-n1", "--cpus-per-task=2")
        self.assert_names(out, "OK", "cpus-per-task", "is 2")
        train = f"{CONVOY} train {self.write_recipe()} --out {self.folder}/run 2>&1"
        out = self.lab("salloc", "-N1", "-n1", "--cpus-per-task=2", "env", "-u",
                       "SLURM_CPUS_PER_TASK", "srun", "--exact", "--mpi=pmix", "sh", "-c",
                       train, must=False)
        self.assertRegex(out, r"(?m)^convoy: placement of rank 0 on node\d: --cpus-per-task is "
                         r"missing: .*: srun --cpus-per-task=2 .*--oversubscribe$")

    def test_another_version_on_one_node(self):
        version = self.expect("--version").out.split()[1].encode()
        other = self.folder / "convoy"
        other.write_bytes(pathlib.Path(CONVOY).read_bytes()
                          .replace(version, version[:-1] + b"x"))
        other.chmod(0o755)
        out = self.ask("-N2", "-n2", program=(
            "sh", "-c", f'[ $SLURM_PROCID = 0 ] || exec {other} doctor; exec {CONVOY} doctor'))
        self.assert_names(out, "wrong", "convoy", "node2: convoy version "
                          f"{version.decode()[:-1]}x (rank 1), elsewhere {version.decode()}")

    def test_a_launcher_that_mpi_does_not_know(self):
        """What Open MPI then prints, and its end, come behind the line."""
        out = self.lab("sh", "-c", f"srun --mpi=none -N1 -n2 {CONVOY} doctor 2>&1", must=False)
        self.assertIn("wrong  launch: srun gives its 2 tasks no way to find each other", out)

    def test_packs_in_memory_or_on_one_node(self):
        out = self.job("/dev/shm/p.h5", before=f"srun cp {self.train_pack} /dev/shm/p.h5")
        self.assert_names(out, "look", "pack", "/dev/shm/p.h5 lies in memory (tmpfs) on "
                          "node1, node2")
        self.assertIn("status 0", out)
        out = self.job("/dev/shm/one.h5", before=f"cp {self.train_pack} /dev/shm/one.h5")
        self.assert_names(out, "wrong", "pack", "on node2, though other hosts have it")
        self.assertIn("status 1", out)

    def test_memory_and_what_slurm_is_told(self):
        recipe = self.write_recipe(model={"width": 64})
        out = self.job(recipe, options="#SBATCH --mem=2")
        self.assert_names(out, "wrong", "memory", "too little memory: a rank needs", "2 MiB",
                          "#SBATCH --mem")
        self.assert_names(out, "look", "signal", "5 s (KillWait)", "--signal=B:USR1@300")
        self.assertIn("status 1", out)
        out = self.job(recipe, options="#SBATCH --requeue --open-mode=append --signal=B:USR1@60")
        for check in ("memory", "requeue", "open-mode", "signal", "time", "plan"):
            self.assert_names(out, "OK", check)


if __name__ == "__main__":
    main()

"""What the tests on a cluster share: a Slurm of a few nodes on this machine
(slurm-lab.sh), one for each test file, and jobs on it. Exit status 77 where it cannot be
started. Waits are for conditions, never for times."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
JOBS = HERE.parent.parent / "jobs"
SLOW_MPI = os.environ["CONVOY_SLOW_MPI"]
LAB = HERE / "slurm-lab.sh"
sys.path.insert(0, str(HERE.parent / "cli"))
from convoy_case import CONVOY, Case  # noqa: E402

WAIT_S = 420
SHORT_S = 0.3
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")

# A convoy with slow steps, whose first life has no end of its own. A later one, which finds
# checkpoints, ends 30 steps after the newest; so it does not matter how fast this machine
# is. The first rank that looks decides, since an earlier life may still save.
LIVES = """#!/bin/sh
[ -n "$KNOWS_END" ] || unset SLURM_JOB_END_TIME # what signals do is tried
if [ "$1" = train ]; then
    told=$4.stop-$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}
    step=$(find "$4/checkpoints" -name 'step-*.h5' 2>/dev/null |
        sed 's/.*step-0*//; s/\\.h5$//' | sort -n | tail -n 1)
    echo "${step:+--stop-after-steps $((step + 30))}" >"$told.$$.$(hostname)"
    ln "$told.$$.$(hostname)" "$told" 2>/dev/null
    set -- "$@" $(cat "$told")
fi
LD_PRELOAD=$SLOW_MPI exec "$REAL_CONVOY" "$@"
"""
ENDLESS = {"schedule": {"epochs": 100000}, "checkpoint": {"every_epochs": 10, "keep": 3},
           "metrics": {"every_steps": 10}}


def wait_until(condition, what, timeout_s=WAIT_S):
    """Waits until condition() gives something true, and gives it. what() explains."""
    until_s = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until_s:
            raise AssertionError(f"not within {timeout_s} s: {what()}")
        time.sleep(SHORT_S)


class Job:
    def __init__(self, case, number, log):
        self.case, self.number, self.log = case, number, log

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def show(self):
        return self.case.lab("scontrol", "show", "job", self.number)

    def field(self, name):
        return re.search(rf"(?:^|\s){re.escape(name)}=(\S*)", self.show())[1]

    def describe(self):
        return f"job {self.number}\n{self.show()}\n{self.text()[-5000:]}"

    def wait(self, condition, what):
        return wait_until(condition, lambda: f"{what}\n{self.describe()}")

    def wait_for_text(self, text, n=1):
        self.wait(lambda: self.text().count(text) >= n, f"'{text}' {n} times")

    def wait_for_end(self, state="COMPLETED"):
        ended = self.wait(lambda: next((s for s in ENDED if s == self.field("JobState")),
                                       None), f"the end: {state}")
        self.case.assertEqual(ended, state, self.describe())


class LabCase(Case):
    """Tests with a cluster of NODES nodes with CPUS processors each, and slurm.conf lines."""
    NODES = 2
    CPUS = 4
    CONF = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A short path, since sockets lie under it.
        folder = tempfile.TemporaryDirectory(prefix="lab-", dir="/tmp")
        cls.addClassCleanup(folder.cleanup)
        base = pathlib.Path(folder.name)
        (base / "conf").write_text(cls.CONF)
        (base / "tmp").mkdir()
        # Jobs of two labs may have the same number and host: so each has its own TMPDIR.
        cls.environment = {
            **os.environ, "SLURM_LAB_DIR": str(base / "lab"), "SLURM_LAB_CPUS": str(cls.CPUS),
            "SLURM_LAB_CONF": str(base / "conf"), "SLURM_LAB_TIMEOUT": "120",
            "TMPDIR": str(base / "tmp"), "CONVOY": CONVOY, "OMP_NUM_THREADS": "1",
            "LC_ALL": "C", "OMPI_MCA_mpi_yield_when_idle": "1", "SLURM_PMIX_FENCE": "tree",
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        cls.addClassCleanup(cls.control, "stop", must=False)
        cls.control("start", cls.NODES)

    @classmethod
    def control(cls, *words, must=True, cwd=None, **environment):
        """Runs slurm-lab.sh and gives what it says; must: it must end with status 0."""
        done = subprocess.run(
            ["bash", LAB, *map(str, words)], stdin=subprocess.DEVNULL, text=True, cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace", timeout=WAIT_S,
            env={**cls.environment, **environment}, check=False)
        if must and done.returncode:
            raise AssertionError(f"{words}: status {done.returncode}\n{done.stdout}"
                                 f"\n{done.stderr}")
        return done.stdout

    def lab(self, *words, **options):
        return self.control("run", "--", *words, **options)

    def setUp(self):
        super().setUp()
        self.lives = self.folder / "convoy-lives"
        self.lives.write_text(LIVES)
        self.lives.chmod(0o755)

    def submit(self, script, *arguments, options=(), **environment):
        """A batch job from the test's folder; script: a name in jobs/, or a path."""
        environment = {"REAL_CONVOY": CONVOY, "SLOW_MPI": SLOW_MPI, **environment}
        number = self.lab("sbatch", "--parsable", f"--output={self.folder}/%j.log", *options,
                          JOBS / script, *arguments, cwd=self.folder, **environment).strip()
        job = Job(self, number, self.folder / f"{number}.log")
        self.addCleanup(self.lab, "scancel", number, must=False)
        return job

    def train_lives(self, recipe, out, options=(), **environment):
        """A training whose first life is endless, and later ones short."""
        return self.submit("train.sbatch", recipe, out, "--quiet", options=options,
                           CONVOY=str(self.lives), **environment)

    def wait_for_step(self, job, out, step):
        job.wait(lambda: (self.steps_saved(out) or [0])[-1] >= step, f"step {step}")

    def assert_as_without_slurm(self, recipe, out):
        """The newest weights are those of as many steps in one process, without Slurm."""
        reference = self.train(recipe, "--stop-after-steps", self.steps_saved(out)[-1])
        self.assertEqual(self.hash(out), self.hash(reference))


def main():
    check = subprocess.run(["bash", LAB, "check"], stderr=subprocess.PIPE, text=True,
                           check=False)
    if check.returncode:
        print(f"SKIPPED: no cluster can be started here: {check.stderr}")
        sys.exit(77)
    unittest.main()

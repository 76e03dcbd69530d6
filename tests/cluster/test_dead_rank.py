"""Ranks that die, stop or lose their network, in each phase of a training over several hosts:
another rank says who, where and when, and the whole job ends. All jobs run at the same
time, on pairs of hosts: most of the time they sleep (hold_phase.c)."""
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE / "mpi-lab.sh"
HOLD_PHASE = os.environ["CONVOY_HOLD_PHASE"]
sys.path.insert(0, str(HERE.parent / "cli"))
from convoy_case import CONVOY, Case  # noqa: E402

WAIT_S = 240
BEAT_S = 1.5  # after which all ranks know of a phase
SILENCE_S = 6
PHASES = {"start": "at the start", "step": r"in step \d+( \(exchange\))?",
          "evaluation": "in an evaluation", "save": "while step 0 was saved"}
KILLED = r"rank {rank} on {host} ended without a word \(killed, out of memory or crashed\) {phase}"
STOPPED = r"rank {rank} on {host} is stopped \(silent for 6 s\) {phase}"
LOST = r"{host} with rank {rank} is lost \(no answer of its network in [68] s\) {phase}"

# What happens to which rank of how many; hosts: of mpirun, that of rank 0 first.
Plan = collections.namedtuple("Plan", "event phase rank n hosts says")


def plans():
    for phase, killed, stopped in (("start", 2, 0), ("step", 0, 2), ("evaluation", 1, 1),
                                   ("save", 2, 0)):
        yield Plan("kill", phase, killed, 3, "h1:2,h2:1", KILLED)
        yield Plan("stop", phase, stopped, 3, "h1:2,h2:1", STOPPED)
        yield Plan("cut", phase, 1, 2, "h3:1,h4:1", LOST)
    for phase in ("step", "save"):
        yield Plan("crash", phase, 0, 2, "h5:1,h6:1", LOST)


def wait_until(condition, what):
    until_s = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until_s:
            raise AssertionError(f"not within {WAIT_S} s: {what()}")
        time.sleep(0.1)


class Job:
    def __init__(self, case, plan):
        self.plan = plan
        self.name = f"{plan.event}-{plan.phase}"
        self.folder = case.folder / self.name
        self.folder.mkdir()
        self.log = self.folder / "log"
        evaluates = plan.phase == "evaluation"
        hold = "step" if evaluates else plan.phase
        words = ["bash", LAB, "mpirun", "--host", plan.hosts, "-np", str(plan.n),
                 "-x", f"LD_PRELOAD={HOLD_PHASE}", "-x", f"CONVOY_TEST_HOLD={hold}",
                 "-x", f"CONVOY_TEST_MARK={self.folder}/mark", CONVOY, "train",
                 case.evaluations if evaluates else case.steps, "--out", self.folder / "out", "--quiet",
                 *(["--stop-after-steps", "0"] if plan.phase == "save" else [])]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                list(map(str, words)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=case.environment, cwd=self.folder)

    def describe(self):
        return f"{self.name}: status {self.process.poll()}\n{self.log.read_text()[-3000:]}"

    def is_there(self):
        """Whether all ranks are in the phase."""
        if self.process.poll() is not None:
            raise AssertionError(f"has ended: {self.describe()}")
        marks = len(list(self.folder.glob("mark*")))
        metrics = self.folder / "out" / "metrics.jsonl"
        if self.plan.phase == "evaluation" and '"event": "step"' not in (
                metrics.read_text() if metrics.exists() else ""):
            return False
        return marks == (1 if self.plan.phase == "save" else self.plan.n)

    def pids(self):
        """Of its ranks, by rank."""
        found = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "comm").read_text() != "convoy\n":
                    continue
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"CONVOY_TEST_MARK={self.folder}/mark".encode() in variables:
                rank = next(v for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK="))
                found[int(rank.split(b"=")[1])] = int(folder.name)
        return found


class DeadRank(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.few = cls.make_pack("few", 24, seed=3)
        cls.many = cls.make_pack("many", 900, seed=4)
        folder = tempfile.TemporaryDirectory(prefix="lab-", dir="/tmp")
        cls.addClassCleanup(folder.cleanup)
        cls.environment = {
            **os.environ, "MPILAB_DIR": f"{folder.name}/lab", "OMP_NUM_THREADS": "1",
            "LC_ALL": "C", "OMPI_MCA_oob_tcp_keepalive_time": "2",
            "OMPI_MCA_oob_tcp_keepalive_intvl": "1", "OMPI_MCA_oob_tcp_keepalive_probes": "9"}
        cls.addClassCleanup(cls.lab, "stop")
        cls.lab("start", 6)

    @classmethod
    def lab(cls, *words):
        done = subprocess.run(["bash", LAB, *map(str, words)], env=cls.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def setUp(self):
        super().setUp()
        common = {"lanes": 1, "schedule": {"epochs": 1000}, "exchange": {"timeout": SILENCE_S}}
        self.steps = self.write_recipe("steps.yaml", data={"val": ""}, **common)
        self.evaluations = self.write_recipe(
            "evaluations.yaml", data={"train": str(self.few), "val": str(self.many)}, **common)

    def let_happen(self, jobs):
        for job in jobs:
            event = job.plan.event
            if event in ("kill", "stop"):
                os.kill(job.pids()[job.plan.rank],
                        signal.SIGKILL if event == "kill" else signal.SIGSTOP)
        for host in ("h4", "h5"):
            self.lab("cut", host)
        self.lab("crash", "h5")  # its last words go nowhere

    def check(self, job):
        plan = job.plan
        hosts = [word.split(":")[0] for word in plan.hosts.split(",")
                 for _ in range(int(word.split(":")[1]))]
        says = plan.says.format(rank=plan.rank, host=hosts[plan.rank],
                                phase=PHASES[plan.phase])
        lines = [line for line in job.log.read_text().splitlines() if "the job ends" in line]
        self.assertEqual(len(lines), 1, job.describe())
        self.assertRegex(lines[0], f"^convoy: {says}(; ranks? [0-9, -]+ waits? for it)?; the job "
                                   "ends$")
        self.assertNotEqual(job.process.returncode, 0, job.describe())

    def test_is_named_and_ends_the_job(self):
        jobs = [Job(self, plan) for plan in plans()]
        for job in jobs:
            self.addCleanup(job.process.kill)
        for job in jobs:
            wait_until(job.is_there, lambda: f"the phase: {job.describe()}")
        time.sleep(BEAT_S)
        self.let_happen(jobs)
        for job in jobs:
            wait_until(lambda: job.process.poll() is not None,
                       lambda: f"the end of {job.describe()}")
        for job in jobs:
            with self.subTest(job.name):
                self.check(job)
        for job in jobs:
            wait_until(lambda: not job.pids(), lambda: f"{job.pids()} of {job.name}")


def main():
    check = subprocess.run(["bash", LAB, "check"], stderr=subprocess.PIPE, text=True,
                           check=False)
    if check.returncode:
        print(f"SKIPPED: no hosts can be made here: {check.stderr}")
        sys.exit(77)
    unittest.main()


if __name__ == "__main__":
    main()

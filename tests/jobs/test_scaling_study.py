"""jobs/scaling-study.sh without Slurm, where a node is a rank, and by JUBE. The lines it
would submit to Slurm are checked here as text; tests/cluster runs them."""
import csv
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
JOBS = HERE.parent.parent / "jobs"
sys.path.insert(0, str(HERE.parent / "cli"))
from convoy_case import Case, wait_for  # noqa: E402

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C", "CORES": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
               "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
# Unbound, so that machines with one core, too, can run it.
UNBOUND = ("--", "--bind-to", "none")

SLOW_TO_SAVE = """#!/usr/bin/env bash
[ "$1" = train ] || exec '{0}' "$@"
env --block-signal=TERM '{0}' "$@" &
trap 'sleep 3; kill -USR1 $!' USR1 TERM
wait $! # until the signal
wait $!
"""


class Study(Case):
    def run_script(self, *words, status=0, **environment):
        done = subprocess.run(words, env={**ENVIRONMENT, **environment}, text=True, check=False,
                              capture_output=True, cwd=self.folder, timeout=300,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def study(self, *options, status=0):
        return self.run_script("bash", JOBS / "scaling-study.sh", "recipe.yaml", *options,
                               status=status)


class Here(Study):
    def test_a_study_is_reported_on(self):
        self.write_recipe()
        done = self.study("--nodes", "1 2", "--repetitions", "2", "--steps", "8", "--here",
                          "-o", "study", "--set", "data.threads=1", *UNBOUND)
        study = self.folder / "study"
        self.assertEqual(sorted(path.name for path in study.iterdir()), sorted(
            ["report.csv", "report.html", "report.txt",
             *(f"nodes{n}-rep{r}{end}" for n in (1, 2) for r in (1, 2) for end in ("", ".log"))]))
        with open(study / "report.csv") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual({(row["ranks"], row["batch"], row["runs"], row["steps"], row["dropped"])
                          for row in rows}, {("1", "24", "2", "6", "10"),
                                             ("2", "24", "2", "6", "10")})
        text = (study / "report.txt").read_text()
        self.assertTrue(done.stdout.endswith(text), done.stdout)
        lines = self.metrics(study / "nodes2-rep1")
        self.assertEqual([line["event"] for line in lines], ["start"] + 8 * ["step"] + ["ranks"])
        self.assertEqual(self.steps_saved(study / "nodes2-rep1"), [8])
        self.assertIn("\nstep_s: ", (study / "nodes1-rep2.log").read_text())
        again = self.study("--nodes", "1", "-o", "study", "--here", status=1)
        self.assertIn("study holds a study already", again.stderr)

    def test_what_goes_wrong_is_told(self):
        self.write_recipe()
        for options, words in (
                (["--nodes", "1 13"], "13 node(s) with 1 rank(s)"),
                (["--nodes", "2 x"], "--nodes is 'x'"), (["--nodes"], "lacks its value"),
                (["--nodes", "1 2 1"], "names a number twice"),
                (["--nodes", "1", "--steps", "0"], "--steps is '0'"),
                (["--node", "1"], "--node is no option"), ([], "on how many nodes?"),
                (["--nodes", "1", "--set", "model.nam=x"], "model.nam")):
            with self.subTest(options=options):
                self.assertIn(words, self.study(*options, status=1).stderr)
        self.assertFalse((self.folder / "runs").exists())

    def test_an_interrupt_ends_the_study_when_its_run_has_saved(self):
        """As at a terminal, where Ctrl-C reaches all processes of the script's group. The
        save comes later than mpirun, if Ctrl-C reached it, would kill the ranks."""
        self.write_recipe()
        slow = self.folder / "slow-convoy"
        slow.write_text(SLOW_TO_SAVE.format(os.environ["CONVOY"]))
        slow.chmod(0o755)
        study = self.folder / "study"
        process = subprocess.Popen(
            ["bash", JOBS / "scaling-study.sh", "recipe.yaml", "--nodes", "1 2", "--steps",
             "1000000", "--here", "-o", "study", *UNBOUND],
            env={**ENVIRONMENT, "CONVOY": str(slow)}, cwd=self.folder,
            stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        first = study / "nodes1-rep1"
        try:
            wait_for(process, first / "run.json")
            os.killpg(process.pid, signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        log = (study / "nodes1-rep1.log").read_text()
        self.assertEqual(process.returncode, 130, f"{out}\n{log}")
        self.assertEqual(len(self.steps_saved(first)), 1, f"{out}\n{log}")
        self.assertEqual(sorted(path.name for path in study.iterdir()),
                         ["nodes1-rep1", "nodes1-rep1.log"])

    def test_a_failed_run_is_named_and_passed_over(self):
        self.write_recipe()
        done = self.study("--nodes", "1", "--repetitions", "1", "--steps", "3", "--here",
                          *UNBOUND, status=1)
        self.assertIn("nodes1-rep1/metrics.jsonl: has no steady step", done.stderr)

    def test_a_job_that_left_nothing_but_its_log_is_named(self):
        self.write_recipe()
        study = self.folder / "study"
        self.study("--nodes", "1", "--repetitions", "1", "--steps", "8", "--here", "-o", "study",
                   *UNBOUND)
        (study / "nodes2-rep1.log").write_text("one line\nslurmstepd: error: lost\n")
        done = self.run_script("bash", JOBS / "scaling-study.sh", "--report", "study")
        last = done.stdout.splitlines()[-1]
        self.assertEqual(last, "study/nodes2-rep1: no run; the end of its log: "
                               "slurmstepd: error: lost")
        self.assertTrue((study / "report.txt").read_text().endswith(last + "\n"))

    def submit(self, *options, status=0):
        """As if there was an sbatch."""
        (self.folder / "sbatch").touch(mode=0o755)
        done = self.run_script("bash", JOBS / "scaling-study.sh", "recipe.yaml", "--dry-run",
                               *options, status=status,
                               PATH=f"{self.folder}:{os.environ['PATH']}")
        self.assertFalse((self.folder / "runs").exists())
        return done

    def submitted(self, *options):
        """The words of each sbatch that would be run."""
        return [line.split() for line in self.submit(*options).stdout.splitlines()]

    def test_the_ranks_of_a_node_are_found_among_the_options(self):
        self.write_recipe()  # with 12 microbatches
        for options in ("--ntasks-per-node=2 --exclusive", "--ntasks-per-node 2 --exclusive",
                        "--exclusive --ntasks-per-node=8 --cpus-per-task=24",
                        "--cpus-per-task 24 --ntasks-per-node 12"):
            with self.subTest(options=options):
                train, _ = self.submitted("--nodes", "1", "--", *options.split())
                self.assertIn(options, " ".join(train))
        for options, words in (
                ("--nodes 2 -- --ntasks-per-node=8 --time=10", "2 node(s) with 8 rank(s)"),
                ("--nodes 2 -- --ntasks-per-node 8 --time=10", "2 node(s) with 8 rank(s)"),
                ("--nodes 1 -- --cpus-per-task=24 --ntasks-per-node=13", "1 node(s) with 13"),
                ("--nodes 2 --weak -- --ntasks-per-node=13 -c 2", "1 node(s) with 13"),
                ("--nodes 1 -- --ntasks-per-node=two", "--ntasks-per-node is 'two'")):
            with self.subTest(options=options):
                self.assertIn(words, self.submit(*options.split(), status=1).stderr)

    def test_arrays_and_their_report_are_submitted(self):
        self.write_recipe()
        one, two, report = self.submitted("--nodes", "1 2", "--", "--time=10", "--nodes=9",
                                          "--exclusive")
        for n, words in ((1, one), (2, two)):
            self.assertEqual(words[:3], ["sbatch", "--parsable", f"--job-name=study-{n}"])
            self.assertIn("--array=1-3", words)
            self.assertIn("--time=10", words)
            self.assertLess(words.index("--nodes=9"), words.index(f"--nodes={n}"))
            self.assertIn(f"runs/study-recipe/nodes{n}-rep%a", words)
            self.assertNotIn("batch.size", str(words))
        self.assertIn(r"--dependency=afterany:\<study-1\>:\<study-2\>", report)
        self.assertIn("--ntasks=1", report)
        self.assertIn("--exclusive", two)
        self.assertNotIn("--exclusive", report)
        report = self.submitted("--nodes", "1", "--", "--exclusive=user")[-1]
        self.assertNotIn("--exclusive", str(report))

    def test_weak_scaling_gives_each_node_its_batch(self):
        self.write_recipe()
        one, two, _ = self.submitted("--nodes", "1 2", "--weak")
        self.assertIn("batch.size=24", one)
        self.assertIn("batch.size=48", two)

    def test_a_chain_has_one_job_at_a_time(self):
        self.write_recipe()
        one, two, _ = self.submitted("--nodes", "1 2", "--chain")
        self.assertIn("--array=1-3%1", one)
        self.assertIn(r"--dependency=afterany:\<study-1\>", two)


class Jube(Study):
    def test_jube_reads_the_closing_lines(self):
        self.write_recipe()
        done = self.run_script(
            "jube", "run", JOBS / "jube" / "scaling.xml", "--result", "--error",
            "--hide-animation", "--outpath", self.folder / "jube", RECIPE="recipe.yaml",
            NODES="1,2", REPETITIONS="1", STEPS="8", STUDY="--here", OPTIONS="--bind-to none")
        head, *rows = [line for line in done.stdout.splitlines()
                       if line.count(",") == 9]
        self.assertEqual(head, "nodes,repetition,ranks,lanes,cores,batch,step_s[s],"
                               "images_per_s,peak_memory[bytes],hash")
        rows = list(csv.DictReader([head, *rows]))
        self.assertEqual([(row["nodes"], row["ranks"], row["batch"]) for row in rows],
                         [("1", "1", "24"), ("2", "2", "24")])
        hashes = {row["hash"] for row in rows}
        self.assertEqual(len(hashes), 1, done.stdout)
        self.assertRegex(hashes.pop(), "^[0-9a-f]{32}$")
        for row in rows:
            self.assertAlmostEqual(float(row["step_s[s]"]) * float(row["images_per_s"]), 24,
                                   places=2)


if __name__ == "__main__":
    if "Jube" in sys.argv and not shutil.which("jube"):
        print("SKIPPED: there is no jube here")
        sys.exit(77)
    unittest.main()

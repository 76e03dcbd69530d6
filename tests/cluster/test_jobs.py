"""The job scripts as they are shipped: under srun, under mpirun, and without Slurm."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

from cluster_case import CONVOY, JOBS, WAIT_S, LabCase, main, wait_until
from convoy_case import Case, write_class_folders, write_images

TWO_NODES = ("--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=2")

# An srun whose first start of ranks fails before there are any.
LATE_SRUN = """#!/bin/sh
[ "$1" = --mpi=list ] || echo "srun was called" >&2
if [ "$1" = --mpi=list ] || ! mkdir "$FOLDER/failed-once" 2>/dev/null; then
    exec "$REAL_SRUN" "$@"
fi
echo "srun: error: slurmstepd: Address already in use" >&2
exit 1
"""


# The first rank's first process dies, as it may where MPI starts.
CRASHING_CONVOY = """#!/bin/sh
if [ "$SLURM_PROCID" = 0 ] && mkdir "$FOLDER/crashed-once" 2>/dev/null; then
    kill -SEGV $$
fi
exec "$REAL_CONVOY" "$@"
"""


class InSlurm(LabCase):
    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(schedule={"epochs": 2})
        self.out = self.folder / "out"

    def assert_trained(self, job, ranks, nodes):
        job.wait_for_end()
        ran = json.loads((self.out / "run.json").read_text())
        self.assertEqual((ran["ranks"], ran["nodes"]), (ranks, nodes))
        self.assertEqual(self.hash(self.out), self.hash(self.train(self.recipe)))

    def test_one_node(self):
        job = self.submit("train.sbatch", self.recipe, "out", "--quiet")
        self.assert_trained(job, 1, 1)

    def test_two_nodes_by_srun_with_pmix(self):
        job = self.submit("train.sbatch", "--dry-run", self.recipe, "out", options=TWO_NODES)
        job.wait_for_end()
        self.assertEqual(
            job.text(), "srun --kill-on-bad-exit=1 --export=ALL --cpus-per-task=2 --mpi=pmix "
            f"{CONVOY} train {self.recipe} --out out \n")
        self.assertFalse(self.out.exists())
        job = self.submit("train.sbatch", self.recipe, "out", options=TWO_NODES)
        self.assert_trained(job, 4, 2)

    def test_two_nodes_by_mpirun(self):
        job = self.submit("train.sbatch", self.recipe, "out", options=TWO_NODES,
                          CONVOY_LAUNCHER="mpirun")
        self.assert_trained(job, 4, 2)

    def test_a_submission_with_site_options_that_exports_nothing(self):
        options = self.lab("bash", JOBS / "site-options.sh", "generic", "lab", 2).split()
        self.assertEqual(options, ["--partition=lab", "--nodes=2", "--exclusive",
                                   "--ntasks-per-node=1", "--cpus-per-task=4"])
        # A job that exports nothing knows convoy by its script's own folder.
        wrapper = self.folder / "job.sh"
        wrapper.write_text("#!/bin/bash\nexport " + " ".join(
            f"{name}={self.environment.get(name, CONVOY)}" for name in
            ("CONVOY", "TMPDIR", "OMPI_MCA_mpi_yield_when_idle"))
            + f'\nexec bash {JOBS}/train.sbatch "$@"\n')
        job = self.submit(wrapper, self.recipe, "out", options=(*options, "--export=NONE"))
        self.assert_trained(job, 2, 2)

    def test_a_copy_of_the_script_finds_convoy_by_its_folders_name(self):
        copy = pathlib.Path(shutil.copy(JOBS / "train.sbatch", self.folder))
        job = self.submit(copy, self.recipe, "out")
        job.wait_for_end("FAILED")
        self.assertIn("CONVOY_HOME must name convoy's folder", job.text())
        job = self.submit(copy, self.recipe, "out", CONVOY_HOME=str(JOBS.parent))
        self.assert_trained(job, 1, 1)

    def test_a_failed_launch_is_tried_once_more_and_a_failed_convoy_is_not(self):
        srun = self.folder / "bin" / "srun"
        srun.parent.mkdir()
        srun.write_text(LATE_SRUN)
        srun.chmod(0o755)
        environment = {"PATH": f"{srun.parent}:{os.environ['PATH']}", "FOLDER": self.folder,
                       "REAL_SRUN": shutil.which("srun"), "CONVOY_LAUNCHER": "srun"}
        environment = {name: str(value) for name, value in environment.items()}
        job = self.submit("train.sbatch", self.recipe, "out", **environment)
        self.assert_trained(job, 1, 1)
        self.assertEqual(job.text().count("srun was called"), 2)
        job = self.submit("train.sbatch", self.recipe, "out", "--set", "seed=7", **environment)
        job.wait_for_end("FAILED")
        self.assertEqual(job.text().count("srun was called"), 1, job.text())
        self.assertEqual(job.field("ExitCode"), "1:0")

    def test_a_rank_that_crashes_before_all_have_met_is_launched_again(self):
        convoy = self.folder / "crashing-convoy"
        convoy.write_text(CRASHING_CONVOY)
        convoy.chmod(0o755)
        job = self.submit("train.sbatch", self.recipe, "out", CONVOY=str(convoy),
                          FOLDER=str(self.folder))
        self.assert_trained(job, 1, 1)
        self.assertEqual(job.text().count("srun could not launch convoy"), 1, job.text())

    def test_the_doctor_looks_first_where_it_is_asked(self):
        options = {"options": ("--cpus-per-task=2",), "CONVOY_DOCTOR": "yes"}
        job = self.submit("train.sbatch", self.recipe, "out", "--quiet", "--set",
                          "data.train=/nowhere.h5", **options)
        job.wait_for_end("FAILED")
        self.assertIn("/nowhere.h5", job.text())
        self.assertFalse(self.out.exists())
        job = self.submit("train.sbatch", self.recipe, "out", "--quiet", **options)
        self.assert_trained(job, 1, 1)
        self.assertRegex(job.text(), "(?m)^OK +pack ")

    def test_packing_and_evaluating(self):
        write_class_folders(self.folder / "photos", ["ape", "bee", "cow"], n=4)
        job = self.submit("pack.sbatch", self.folder / "photos", "packed", "--parts", 4, "--quiet",
                          options=TWO_NODES)
        job.wait_for_end()
        self.expect("pack", self.folder / "photos", "-o", self.folder / "alone", "--parts", 4)
        ids = [json.loads(self.expect("info", self.folder / name, "--json").out)["id"]
               for name in ("packed", "alone")]
        self.assertEqual(*ids)
        self.train(self.recipe, out=self.out)
        newest = self.checkpoints(self.out)[-1]
        alone = self.expect("eval", "--weights", newest, "--data", self.val_pack, "--json")
        job = self.submit("eval.sbatch", "out", self.val_pack, "--json", options=TWO_NODES)
        job.wait_for_end()
        # Before it may stand what a rank said that crashed in MPI_Init and was launched anew.
        self.assertTrue(job.text().endswith(alone.out), job.text())


class Alone(Case):
    """Without Slurm."""

    environment = {**os.environ, "CONVOY": CONVOY, "OMP_NUM_THREADS": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                   "OMPI_MCA_rmaps_base_oversubscribe": "1"}

    def run_script(self, script, *arguments, status=0, **environment):
        environment = {**self.environment, **environment}
        done = subprocess.run(["bash", JOBS / script, *map(str, arguments)], text=True,
                              cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, status, f"{done.stdout}\n{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def test_a_script_runs_without_slurm(self):
        recipe = self.write_recipe(schedule={"epochs": 1})
        self.run_script("train.sbatch", recipe, "alone")
        self.run_script("train.sbatch", recipe, "ranks", RANKS="2")
        self.assertEqual(json.loads((self.folder / "ranks/run.json").read_text())["ranks"], 2)
        self.assertEqual(self.hash(self.folder / "alone"), self.hash(self.folder / "ranks"))

    def test_ctrl_c_saves(self):
        recipe = self.write_recipe(schedule={"epochs": 100000})
        for ranks in ("1", "2"):
            with self.subTest(ranks):
                out = self.folder / f"stopped-{ranks}"
                script = subprocess.Popen(
                    ["bash", JOBS / "train.sbatch", recipe, out], start_new_session=True,
                    env={**self.environment, "RANKS": ranks}, stdout=subprocess.DEVNULL)
                self.addCleanup(script.wait)
                self.addCleanup(script.kill)
                wait_until((out / "metrics.jsonl").exists, lambda: "a first step")
                os.killpg(script.pid, signal.SIGINT)
                self.assertEqual(script.wait(WAIT_S), 75)
                self.assertTrue(self.checkpoints(out))

    def test_wrong_words_are_told(self):
        recipe = self.write_recipe()
        (self.folder / "empty").mkdir()
        for script, words, environment, told in (
                ("train.sbatch", (), {}, "which recipe"),
                ("train.sbatch", (recipe,), {}, "where to"),
                ("train.sbatch", ("none.yaml", "out"), {}, "none.yaml: there is no such recipe"),
                ("train.sbatch", (recipe, "--quiet"), {}, "'--quiet'"),
                ("train.sbatch", (recipe, "out"), {"CONVOY": "nowhere/convoy"},
                 "CONVOY=nowhere/convoy is no program"),
                ("train.sbatch", (recipe, "out"), {"CONVOY_SITE": "nowhere"}, "there are:"),
                ("train.sbatch", (recipe, "out"), {"CONVOY_LAUNCHER": "aprun -n 4"},
                 "the launcher 'aprun' is not here"),
                ("pack.sbatch", ("nothing", "pack"), {}, "nothing: there is no such data set"),
                ("eval.sbatch", ("empty", self.val_pack), {}, "no checkpoint"),
                ("imagenet-resnet50.sbatch", (), {}, "jobs/pack.sbatch makes it"),
                ("site-options.sh", ("generic", "nowhere", 2), {}, "no partition 'nowhere'"),
                ("site-options.sh", ("generic",), {}, "which partition")):
            with self.subTest(told):
                self.assertIn(told, self.run_script(script, *words, status=1, **environment))
        self.assertFalse((self.folder / "out").exists())

    def test_the_imagenet_recipe_is_one(self):
        images, _ = write_images(self.folder / "small", 8192, side=8, channels=3)
        self.expect("pack", images, "-o", self.folder / "small.h5")
        packs = ("--set", f"data.train={self.folder}/small.h5", "--set", "data.val=")
        recipe = JOBS / "recipes" / "imagenet-resnet50.yaml"
        self.assertIn("resnet50", self.expect("info", recipe, *packs).out)
        line = self.run_script("imagenet-resnet50.sbatch", "--dry-run", "o", *packs)
        self.assertEqual(line.split(), [CONVOY, "train", str(recipe), "--out", "o", *packs])


if __name__ == "__main__":
    main()

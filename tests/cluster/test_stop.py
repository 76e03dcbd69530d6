"""Jobs that are cancelled save and end for good; a rank that is killed ends its job."""
from cluster_case import ENDLESS, LabCase, main

TWO_NODES = ("--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=1")


class Stop(LabCase):
    NODES = 4
    # The time in which a cancelled run must save, on a busy machine.
    CONF = "KillWait=20\n"

    def pending(self):
        return self.lab("squeue", "-h", "-t", "PENDING", "-o", "%i").split()

    def start_both(self, recipe):
        """The launchers with their jobs, each of which has saved something."""
        jobs = {launcher: self.train_lives(recipe, launcher, TWO_NODES,
                                           CONVOY_LAUNCHER=launcher)
                for launcher in ("srun", "mpirun")}
        for launcher, job in jobs.items():
            self.wait_for_step(job, self.folder / launcher, 100)
        return jobs

    def test_a_cancelled_run_saves_and_is_not_queued_again(self):
        recipe = self.write_recipe(**ENDLESS)
        for launcher, job in self.start_both(recipe).items():
            with self.subTest(launcher):
                out = self.folder / launcher
                saved = self.checkpoints(out)[-1]
                self.lab("scancel", job.number)
                job.wait_for_end("CANCELLED")
                self.assertEqual(job.field("Restarts"), "0")
                self.assertGreater(self.checkpoints(out)[-1], saved, job.text())
                self.assertFalse((out / "run.lock").exists())
                self.assert_as_without_slurm(recipe, out)
        self.assertEqual(self.pending(), [])

    def test_a_killed_rank_ends_the_job_and_the_same_line_goes_on(self):
        recipe = self.write_recipe(**ENDLESS)
        for launcher, job in self.start_both(recipe).items():
            with self.subTest(launcher):
                # Of the job's ranks on the last node one; process numbers are that node's
                # own. Where srun had to launch twice, dead ranks may still be listed.
                node = self.lab("scontrol", "show", "hostnames", job.field("NodeList")).split()
                self.control("exec", node[-1], "--", "sh", "-c",
                             f"kill -KILL $(pgrep -r D,R,S -f '^[^ ]*convoy train "
                             f".* --out {launcher} ' | head -n 1)")
                job.wait_for_end("FAILED")
                self.assertEqual(job.field("ExitCode"), "137:0", job.describe())
        self.assertEqual(self.pending(), [])
        # What was killed has left its run.lock.
        again = self.train_lives(recipe, "srun", ("--nodes=1", "--nodelist=node4"))
        again.wait_for_end()
        self.assertRegex(again.text(), "was job [0-9]+'s, which is over")
        self.assert_as_without_slurm(recipe, self.folder / "srun")


if __name__ == "__main__":
    main()

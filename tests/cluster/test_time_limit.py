"""Jobs that meet their time limit go on, and end with the weights of one process without
Slurm. On this cluster jobs are queued again only where they ask for it (JobRequeue=0)."""
from cluster_case import ENDLESS, LabCase, main

# A signal that is of no use, in place of the script's own: nothing comes before the limit.
NO_LEAD = "--signal=B:URG@1"
TWO_NODES = ("--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=1")


class TimeLimit(LabCase):
    NODES = 4
    # Half of KillWait is for a step and the save under mpirun, on a busy machine.
    CONF = "JobRequeue=0\nKillWait=20\n"

    def test_at_the_limit_a_run_saves_and_is_queued_again(self):
        recipe = self.write_recipe(**ENDLESS)
        jobs = {
            "lead": self.train_lives(recipe, "lead", ("-t1", "--signal=B:USR1@20", *TWO_NODES)),
            "srun": self.train_lives(recipe, "srun", ("-t1", NO_LEAD, *TWO_NODES)),
            "mpirun": self.train_lives(recipe, "mpirun", ("-t1", NO_LEAD, *TWO_NODES),
                                       CONVOY_LAUNCHER="mpirun"),
            "itself": self.train_lives(recipe, "itself", ("-t1", NO_LEAD, *TWO_NODES),
                                       KNOWS_END="yes"),
        }
        for name, job in jobs.items():
            with self.subTest(name):
                job.wait_for_end()
                text = job.text()
                self.assertIn("queued again", text)
                self.assertGreaterEqual(int(job.field("Restarts")), 1, text)
                self.assertEqual("DUE TO TIME LIMIT" in text, name in ("srun", "mpirun"), text)
                self.assert_as_without_slurm(recipe, self.folder / name)
                # The line comes too late under mpirun, but the state is there.
                if name == "itself":
                    self.assertIn("stopped in time for the end of the job after saving", text)
                elif name != "mpirun":
                    self.assertIn("stopped by a signal after saving", text)

    def test_where_requeue_is_refused_another_job_goes_on(self):
        recipe = self.write_recipe(**ENDLESS)
        out = self.folder / "out"
        job = self.train_lives(recipe, "out", ("--no-requeue", "--job-name=a b", "-t9",
                                               *TWO_NODES), CONVOY_LAUNCHER="srun")
        self.wait_for_step(job, out, 100)
        self.lab("scancel", "-b", "-s", "USR1", job.number)
        job.wait_for_end("FAILED")
        self.assertEqual(job.field("ExitCode"), "75:0")
        number = job.wait(lambda: self.lab("squeue", "-h", "--states=all", "--name=a b",
                                           "--sort=-i", "-o", "%i").split()[0], "successor")
        self.assertNotEqual(number, job.number)
        next_job = type(job)(self, number, job.log)
        next_job.wait_for_end()
        for field in ("NumNodes", "NumTasks", "CPUs/Task", "TimeLimit", "Partition", "StdOut",
                      "NtasksPerN:B:S:C"):
            self.assertEqual(next_job.field(field), job.field(field), field)
        self.assertIn(f"job {number} takes its place", job.text())
        self.assert_as_without_slurm(recipe, out)


if __name__ == "__main__":
    main()

"""A job whose node is lost goes on elsewhere, and ends with the weights of one process
without Slurm; also where the lost node does not know it, and its ranks go on. A rank that is
lost alone ends its job, whatever srun does."""
from cluster_case import ENDLESS, LabCase, main, wait_until


class LostNode(LabCase):
    NODES = 4
    CONF = "SlurmdTimeout=15\n"

    def node_of(self, job):
        return job.field("NodeList")

    def test_a_node_without_power(self):
        recipe = self.write_recipe(**ENDLESS)
        job = self.train_lives(recipe, "out", ("--nodes=2", "--ntasks-per-node=1"))
        self.wait_for_step(job, self.folder / "out", 100)
        first, last = job.field("BatchHost"), job.field("NodeList")
        # Of the two nodes the one whose power is cut is not that of the script.
        names = self.lab("scontrol", "show", "hostnames", last).split()
        lost = next(name for name in names if name != first)
        self.control("down", lost)
        job.wait_for_end()
        self.assertEqual(job.field("Restarts"), "1", job.describe())
        self.assertNotIn(lost, self.lab("scontrol", "show", "hostnames",
                                        job.field("NodeList")).split())
        self.assert_as_without_slurm(recipe, self.folder / "out")
        self.control("up", lost)

    def test_a_node_without_network_whose_ranks_go_on(self):
        recipe = self.write_recipe(**ENDLESS)
        out = self.folder / "out"
        job = self.train_lives(recipe, "out", ("--nodes=1", "--ntasks-per-node=2"))
        self.wait_for_step(job, out, 100)
        lost = job.field("NodeList")
        self.lab("ip", "link", "set", f"v-{lost}", "down")
        job.wait_for_end()
        self.assertEqual(job.field("Restarts"), "1", job.describe())
        self.assertNotEqual(job.field("NodeList"), lost)
        # The earlier life has seen the later one.
        wait_until(lambda: not self.control(
            "exec", lost, "--", "sh", "-c", "pgrep -x convoy || true").strip(),
            lambda: f"the end of convoy on {lost}\n{job.describe()}")
        steps = [line["step"] for line in self.metrics(out) if line["event"] == "step"]
        self.assertEqual(steps, sorted(set(steps)))
        self.assertEqual(self.steps_saved(out)[-1] % 10, steps[-1] % 10)
        self.assert_as_without_slurm(recipe, out)
        self.lab("ip", "link", "set", f"v-{lost}", "up")

    def test_a_rank_killed_and_a_rank_stopped(self):
        recipe = self.write_recipe(**ENDLESS, exchange={"timeout": 6})
        jobs = {}
        for name in ("KILL", "STOP"):
            jobs[name] = self.train_lives(
                recipe, name, ("--nodes=2", "--ntasks-per-node=1", "--exclusive"),
                CONVOY_LAUNCHER="srun --mpi=pmix --kill-on-bad-exit=0")
        for name, job in jobs.items():
            self.wait_for_step(job, self.folder / name, 100)
            node = self.lab("scontrol", "show", "hostnames", job.field("NodeList")).split()[1]
            self.control("exec", node, "--", "pkill", f"-{name}", "-x", "convoy")
            jobs[name] = job, node
        for name, how in (("KILL", "ended without a word"), ("STOP", "is stopped")):
            job, node = jobs[name]
            job.wait_for_end("FAILED")
            self.assertRegex(job.text(), f"(?m)^convoy: rank 1 on {node} {how} .*; the job ends$")
            self.assertEqual(job.text().count("; the job ends"), 1, job.describe())
            wait_until(lambda node=node: not self.control(
                "exec", node, "--", "sh", "-c", "pgrep -x convoy || true").strip(),
                lambda job=job: f"the end of convoy\n{job.describe()}")


if __name__ == "__main__":
    main()

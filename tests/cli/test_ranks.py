"""Ranks that were started differently are refused before they compute together, by one
line that names what differs, and never hang."""
import os
import shlex
import shutil
import unittest

from convoy_case import CONVOY, Case, write_class_folders


FAILING_MPI = os.environ["CONVOY_FAILING_MPI"]  # tests/support/failing_mpi.c


class Ranks(Case):
    def differing(self, first, second, environment=()):
        """Ends a job whose rank 1 has another command line or environment. By a shell,
        since mpirun of Open MPI 5.0 crashes when it is given two programs."""
        other = shlex.join(["env", *environment, CONVOY, *map(str, second)])
        return self.run_convoy(
            *first, ranks=2,
            shell=f'test "$OMPI_COMM_WORLD_RANK" = 0 || exec {other}')

    def refused(self, first, second, *words, environment=(), status=1):
        with self.subTest(second=second, environment=environment):
            done = self.differing(first, second, environment)
            self.assert_one_message(done, *words, status=status)


class Train(Ranks):
    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe()
        self.out = self.new_run()
        self.command = ("train", self.recipe, "--out", self.out, "--quiet")
        self.few = (*self.command, "--stop-after-steps", 3)

    def test_a_key_of_the_recipe(self):
        for change, words in (
                ("seed=2", ("seed 2", "has 1")),
                ("schedule.lr=0.01", ("schedule.lr 0.01", "has 0.02")),
                ("schedule.epochs=1", ("schedule.epochs 1", "has 10")),
                ("model.width=5", ("model.width 5", "has 4")),
                ("data.augment.pad=0", ("data.augment.pad 0", "has 1")),
                ("batch.microbatch=4", ("batch.microbatch 4", "has 2")),
                ("threads=2", ("threads 2", "has 1")),
                ("exchange=native", ("exchange", "native"))):
            self.refused(self.few, (*self.few, "--set", change), "rank 1 (host", "rank 0",
                         *words)
        self.assertEqual(self.checkpoints(self.out), [])

    def test_another_model(self):
        other = self.write_recipe("mlp.yaml", model={"name": "mlp", "batch_norm": False})
        self.refused(self.few, ("train", other, *self.few[2:]), 'model.name "mlp"',
                     'has "lenet"')

    def test_another_pack_but_not_another_path_or_number_of_lanes(self):
        self.refused(self.few, (*self.few, "--set", f"data.train={self.val_pack}"),
                     "train pack")
        self.refused(self.few, (*self.few, "--set", f"data.val={self.train_pack}"),
                     "validation pack")
        copy = self.folder / "copy.h5"
        shutil.copy(self.train_pack, copy)
        few = (*self.few, "--oversubscribe")
        done = self.differing(few, (*few, "--set", f"data.train={copy}", "--set", "lanes=2"))
        self.assertEqual(done.status, 0, done)
        alone = self.train(self.recipe, "--stop-after-steps", 3)
        self.assertEqual(self.hash(self.out), self.hash(alone))

    def test_options(self):
        self.refused(self.few, (*self.command, "--stop-after-steps", 2),
                     "--stop-after-steps 2", "has 3")
        self.refused(self.few, self.command, "--stop-after-steps none", "has 3")
        self.refused(self.few, (*self.few, "--resume", "never"), "--resume never",
                     "has auto")
        self.expect(*self.few)
        file = self.checkpoints(self.out)[0]
        first = ("train", self.recipe, "--out", self.new_run(), "--resume")
        self.refused((*first, file), (*first, self.folder / "other.h5"), "--resume",
                     "other.h5")

    def test_the_environment(self):
        self.refused(self.few, self.few, "oneDNN's instruction set sse41",
                     environment=["DNNL_MAX_CPU_ISA=SSE41"])

    def test_a_recipe_that_one_rank_does_not_have(self):
        self.refused(self.few, ("train", "none.yaml", *self.few[2:]), "none.yaml",
                     "cannot open")

    def test_a_command_line_that_is_wrong_on_one_rank(self):
        self.refused(self.few, (*self.few, "--stop-after-steps", "few"), "'few'", status=2)
        self.refused(self.few, (*self.few, "--fast"), "--fast", status=2)
        self.refused((*self.few, "--fast"), self.few, "--fast", status=2)

    def test_another_command(self):
        self.refused(self.few, ("eval", "--weights", "none.h5", "--data", "none.h5"),
                     "the command convoy eval", "has convoy train")


class Others(Ranks):
    def test_evaluations(self):
        recipe = self.write_recipe()
        files = [self.checkpoints(self.train(recipe, "--stop-after-steps", n))[-1]
                 for n in (0, 1)]
        command = ("eval", "--weights", files[0], "--data", self.val_pack, "--json")
        for option, value, words in (("--weights", files[1], ("--weights",)),
                                     ("--data", self.train_pack, ("data with pack id",)),
                                     ("--threads", 2, ("threads 2", "has 1")),
                                     ("--microbatch", 3, ("microbatch 3", "has 2"))):
            self.refused(command, (*command, option, value), *words)
        self.refused(command, command, "instruction set",
                     environment=["DNNL_MAX_CPU_ISA=SSE41"])

    def test_packing(self):
        source = self.folder / "images"
        write_class_folders(source, "ab")
        command = ("pack", source, "-o", self.folder / "p", "--parts", 2)
        self.refused(command, (*command, "--max-side", 16), "the command", "--max-side 16")
        self.refused((*command, "--max-side", "no"), command, "max-side", status=2)
        self.assertFalse(os.path.exists(self.folder / "p"))
        done = self.differing(command, command)
        self.assertEqual(done.status, 0, done)


class Stranded(Ranks):
    """MPI fails on one rank: the program ends the job, and the others do not wait."""

    def test_a_failure_that_was_not_agreed_on_ends_the_job(self):
        recipe = self.write_recipe()
        weights = self.checkpoints(self.train(recipe, "--stop-after-steps", 0))[0]
        commands = [(n, ("train", recipe, "--out", self.new_run(), "--quiet"))
                    for n in (1, 3, 11, 12)]  # setting up, a step, evaluation, the next
        commands.append((1, ("eval", "--weights", weights, "--data", self.val_pack)))
        for n, command in commands:
            with self.subTest(command=command, n=n):
                done = self.run_convoy(
                    *command, ranks=2,
                    shell=f"export LD_PRELOAD={FAILING_MPI} CONVOY_TEST_FAIL_AT={n}")
                self.assert_one_message(done, "MPI_Allgatherv failed")


if __name__ == "__main__":
    unittest.main()

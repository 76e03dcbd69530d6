"""A step whose loss or gradient is no finite number changes no weight on any rank, names
where that begins, and ends the run or is left out. All images but one are black, and
data.std makes what is not black as large as a test needs it."""
import re
import unittest

from convoy_case import CLASSES, SIDE, Case, finish, start, write_idx

N = 240
WHITE = 77
# Of a white image: no value is a float; each is, but not sums over an image.
NO_VALUE, NO_SUM = 1e-40, 3e-39
# Constant values leave each norm as 0, and loss and forward pass are well; on the way
# back each multiplies what differs between samples by 1 / sqrt(eps).
NORMS = """
network:
  - {repeat: 20, as: block, layers: [batch_norm]}
  - flatten
  - {inner_product: {out: classes}, as: fc}
"""


class Guard(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.shared / "black"
        folder.mkdir()
        images = [bytes([0xff if i == WHITE else 0]) * SIDE * SIDE for i in range(N)]
        path = folder / "train-images-idx3-ubyte"
        write_idx(path, (N, SIDE, SIDE), b"".join(images))
        write_idx(folder / "train-labels-idx1-ubyte", (N,), [i % CLASSES for i in range(N)])
        cls.pack = cls.shared / "black.h5"
        done = finish(start(["pack", path, "-o", cls.pack]))
        if done.status:
            raise AssertionError(f"cannot pack: {done.err}")

    def recipe_of(self, std, **changes):
        return self.write_recipe(
            model={"batch_norm": False, "dropout": 0},
            data={"train": str(self.pack), "val": "", "mean": [0.0], "std": [std],
                  "augment": {"pad": 0, "flip": False}}, **changes)

    def norms(self, **changes):
        recipe = self.write_recipe("norms.yaml", data={"train": str(self.pack), "val": ""},
                                   **changes)
        text = recipe.read_text()
        model, rest = text.index("model:"), text.index("data:")
        recipe.write_text(text[:model] + text[rest:] + NORMS)
        return recipe

    def stopped(self, recipe, *words, ranks=0):
        """The message and step of a run that ends by the guard."""
        out = self.new_run()
        done = self.run_convoy("train", recipe, "--out", out, "--quiet", ranks=ranks)
        self.assert_one_message(done, *words, "No weight was changed")
        message = done.err[done.err.index("convoy"):].splitlines()[0]
        step = int(re.search(r"at step (\d+)", message)[1])
        self.assertEqual(self.steps_saved(out)[-1], step - 1)
        return message, step, out

    def test_stop_names_the_record_and_saves_the_step_before(self):
        recipe = self.recipe_of(NO_SUM)
        message, step, out = self.stopped(
            recipe, "the loss is not a number", "first in the forward pass of",
            f"of record {WHITE} of {self.pack}")
        before = self.hash(out)
        self.assertEqual(before, self.hash(self.train(recipe, "--stop-after-steps",
                                                      step - 1)))
        self.assertEqual(self.metrics(out)[-1]["step"], step - 1)
        for ranks in (2, 3, 5):
            with self.subTest(ranks=ranks):
                again, _, out = self.stopped(recipe, ranks=ranks)
                self.assertEqual((again, self.hash(out)), (message, before))

    def test_an_image_that_is_not_finite_is_named(self):
        for ranks in (0, 3):
            self.stopped(self.recipe_of(NO_VALUE), "the image itself",
                         f"of record {WHITE} of {self.pack}", ranks=ranks)

    def test_a_gradient_alone_stops_too(self):
        message, step, out = self.stopped(
            self.norms(), "a gradient is no finite number at step 1: first in the "
            "backward pass of block", "(batch_norm)", "in a microbatch of records")
        first = self.hash(self.train(self.norms(), "--stop-after-steps", 0))
        self.assertEqual((step, self.hash(out)), (1, first))
        for ranks in (2, 5):
            again, _, out = self.stopped(self.norms(), ranks=ranks)
            self.assertEqual((again, self.hash(out)), (message, first))

    def test_skip_changes_nothing_by_that_step_on_any_ranks(self):
        _, step, stopped = self.stopped(self.recipe_of(NO_SUM))
        recipe = self.recipe_of(NO_SUM, guard={"on_nonfinite": "skip"})
        hashes = set()
        for ranks, read in ((0, "direct"), (2, "memory"), (3, "direct"), (5, "stage")):
            out = self.train(recipe, "--set", f"data.read={read}", "--stop-after-steps", 12,
                             ranks=ranks)
            hashes.add(self.hash(out))
            lines = [line for line in self.metrics(out) if line["event"] == "step"]
            self.assertEqual([line["step"] for line in lines if line["skipped_steps"]],
                             [step])
            self.assertEqual([line["step"] for line in lines if line["loss"] is None],
                             [step])
        self.assertEqual(len(hashes), 1)
        out = self.new_run()
        done = self.expect("train", recipe, "--out", out, "--stop-after-steps", step)
        self.assertRegex(done.out, f"at step {step}: .* of record {WHITE} of .*: the step "
                         "is left out")
        self.assertEqual(self.hash(out), self.hash(stopped))
        # A run that was stopped may go on by leaving the step out.
        self.train(recipe, "--stop-after-steps", 12, out=stopped)
        self.assertEqual({self.hash(stopped)}, hashes)

    def test_skip_keeps_norms_and_state_of_an_optimizer(self):
        recipe = self.recipe_of(NO_SUM, guard={"on_nonfinite": "skip"},
                                optimizer={"name": "lamb", "clip_norm": 1.0})
        whole = self.train(recipe, "--stop-after-steps", 12)
        lines = [line for line in self.metrics(whole) if line["event"] == "step"]
        skipped = [line["step"] for line in lines if line["skipped_steps"]]
        self.assertEqual(len(skipped), 1)
        self.assertEqual([line["step"] for line in lines if "grad_norm" not in line], skipped)
        out = self.train(recipe, "--stop-after-steps", skipped[0] - 1)
        before = self.hash(out)
        self.train(recipe, "--stop-after-steps", skipped[0], out=out, ranks=3)
        self.assertEqual(self.hash(out), before)
        self.train(recipe, "--stop-after-steps", 12, out=out)
        self.assertEqual(self.hash(out), self.hash(whole))

    def test_skip_ends_where_no_step_is_well(self):
        recipe = self.norms(guard={"on_nonfinite": "skip"})
        for ranks in (0, 3):
            _, step, out = self.stopped(recipe, "the 20 steps before it were left out",
                                        ranks=ranks)
            first = self.train(recipe, "--stop-after-steps", 0)
            self.assertEqual((step, self.hash(out)), (21, self.hash(first)))


if __name__ == "__main__":
    unittest.main()

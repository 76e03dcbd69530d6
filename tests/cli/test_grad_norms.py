"""metrics.grad_norms: the length of each weight's gradient, in lines of steps and in
reports."""
import math
import shutil
import unittest

from convoy_case import Case

HAS_GNUPLOT = shutil.which("gnuplot") is not None


class GradNorms(Case):
    def steps(self, out):
        return [line for line in self.metrics(out) if line["event"] == "step"]

    def run_steps(self, n, ranks=0, options=(), **changes):
        recipe = self.write_recipe(**changes)
        return self.train(recipe, "--stop-after-steps", n, *options, ranks=ranks)

    def test_they_are_of_all_weights_in_their_order(self):
        out = self.run_steps(2, metrics={"grad_norms": True}, optimizer={"clip_norm": 1e6})
        for line in self.steps(out):
            norms = line["grad_norms"]
            self.assertEqual(list(norms), ["conv1.weight", "conv2.weight", "fc1.weight",
                                           "fc2.weight"])
            self.assertTrue(all(norm > 0 for norm in norms.values()), norms)
            weights = math.sqrt(sum(norm ** 2 for norm in norms.values()))
            # The rest of the gradient is biases' and norms'.
            self.assertLess(weights, line["grad_norm"])
            self.assertGreater(weights, 0.1 * line["grad_norm"])

    def test_they_do_not_depend_on_ranks_and_lanes_nor_change_the_training(self):
        one = self.run_steps(4, options=("--set", "lanes=1"), metrics={"grad_norms": True})
        three = self.run_steps(4, ranks=3, metrics={"grad_norms": True})
        self.assertEqual([line["grad_norms"] for line in self.steps(one)],
                         [line["grad_norms"] for line in self.steps(three)])
        plain = self.run_steps(4)
        self.assertNotIn("grad_norms", self.steps(plain)[0])
        self.assertEqual(self.hash(plain), self.hash(one))
        self.assertEqual(self.hash(plain), self.hash(three))

    def test_lines_have_those_of_their_step(self):
        every = self.run_steps(6, metrics={"grad_norms": True})
        third = self.run_steps(6, metrics={"grad_norms": True, "every_steps": 3})
        self.assertEqual([line["grad_norms"] for line in self.steps(third)],
                         [line["grad_norms"] for line in self.steps(every)[2::3]])

    def test_clipping_comes_after_them(self):
        plain = self.run_steps(1, metrics={"grad_norms": True})
        clipped = self.run_steps(1, metrics={"grad_norms": True},
                                 optimizer={"clip_norm": 1e-3})
        self.assertEqual(self.steps(plain)[0]["grad_norms"],
                         self.steps(clipped)[0]["grad_norms"])

    def test_frozen_weights_have_none(self):
        out = self.run_steps(1, metrics={"grad_norms": True}, init={"freeze": ["conv1"]})
        norms = self.steps(out)[0]["grad_norms"]
        self.assertNotIn("conv1.weight", norms)
        self.assertIn("conv2.weight", norms)

    def test_a_report_draws_them(self):
        out = self.run_steps(12, metrics={"grad_norms": True})
        page = self.folder / "page.html"
        self.expect("report", out, "-o", page)
        text = page.read_text()
        if HAS_GNUPLOT:
            self.assertIn("<h2>Gradients</h2>", text)
            self.assertIn("Length of each layer", text)
            self.assertIn("step 12</li>", text)
        page.unlink()
        self.expect("report", self.run_steps(12), "-o", page)
        self.assertNotIn("<h2>Gradients</h2>", page.read_text())


if __name__ == "__main__":
    unittest.main()

"""How many threads load: as many as the recipe says, or one that becomes more; told
where they share processors with computing."""
import os
import unittest

from convoy_case import Case


class Threads(Case):
    def run_with(self, threads, *options):
        out = self.new_run()
        done = self.expect("train", self.write_recipe(), "--out", out, "--stop-after-steps",
                           20, "--set", f"data.threads={threads}", *options)
        return done.out, [line["loader_threads"] for line in self.metrics(out)
                          if line["event"] == "step"]

    def test_a_number_in_the_recipe_holds(self):
        _, threads = self.run_with(3)
        self.assertEqual(set(threads), {3})

    def test_auto_stays_within_the_processors(self):
        n = len(os.sched_getaffinity(0))
        _, threads = self.run_with("auto")
        self.assertEqual(threads[0], 1)
        self.assertEqual(threads, sorted(threads))
        self.assertLessEqual(threads[-1], n)

    def test_sharing_processors_with_computing_is_said(self):
        n = len(os.sched_getaffinity(0))
        out, _ = self.run_with("auto", "--set", f"lanes={n}")
        self.assertIn(f"on {n} core{'s' if n > 1 else ''}, which loading shares", out)
        self.assertNotIn("loading:", out)
        out, _ = self.run_with(n, "--set", "lanes=1")
        self.assertIn(f"loads with {n}", out)

    def test_more_threads_than_processors_are_told_with_the_option_that_helps(self):
        n = len(os.sched_getaffinity(0)) + 1
        out, _ = self.run_with("auto", "--set", f"threads={n}")
        self.assertIn(f"computes with {n} threads, but can count on {n - 1} core", out)
        self.assertIn("fewer threads in the recipe", out)
        self.assertNotIn("loading:", out)


if __name__ == "__main__":
    unittest.main()

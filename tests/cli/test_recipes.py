"""The recipes that come with convoy for ImageNet: each is compiled, takes two steps on
photos of 1000 classes, and does the work that it says. And how convoy info draws a
schedule."""
import json
import math
import os
import pathlib
import re
import subprocess
import unittest

from convoy_case import Case, finish, start, write_class_folders

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = {path.stem: path for path in (ROOT / "jobs/recipes/imagenet").glob("*.yaml")}
TOOL = os.environ["CONVOY_RECIPE_TOOL"]  # tests/support/recipe_tool.c
IMAGES, CLASSES = 1281167, 1000
# Epochs, and the crops of the first and of the last one.
EXPECTED = {"alexnet": (90, 224, 224), "densenet121": (90, 224, 224),
            "resnet18-16ep": (16, 160, 192), "resnet50-16ep": (16, 160, 192),
            "resnet50-32ep": (32, 160, 192), "resnet50-88ep": (88, 160, 192),
            "resnet50-90ep": (90, 224, 224), "resnet50-large-batch-3264": (35, 224, 224),
            "resnet50-large-batch-8192": (44, 224, 224), "vgg16-bn": (90, 224, 224)}


def close(a, b, relative=0.01):
    return abs(a - b) <= relative * abs(b)


class Shipped(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write_class_folders(cls.shared / "photos", [f"n{i:04}" for i in range(CLASSES)], 1,
                            8, 9)
        pack = cls.shared / "photos.h5"
        done = finish(start(["pack", cls.shared / "photos", "-o", pack]))
        if done.status:
            raise AssertionError(f"cannot pack: {done.err}")
        cls.sets = [f"data.train={pack}", f"data.val={pack}", "batch.size=2",
                    "batch.microbatch=2", "lanes=1"]
        cls.plans = {}

    def info(self, name):
        if name not in self.plans:
            options = [word for one in self.sets for word in ("--set", one)]
            self.plans[name] = json.loads(
                self.expect("info", "--json", RECIPES[name], *options).out)
        return self.plans[name]

    def test_all_are_there(self):
        self.assertEqual(set(RECIPES), set(EXPECTED))
        document = (ROOT / "docs/recipes.md").read_text()
        for name in RECIPES:
            self.assertIn(f"`{name}`", document)

    def test_each_does_the_work_that_it_says(self):
        row = re.compile(r"\| `(\S+)` \| .*\]\(#\w+\) \| [\d.]+ \| ([\d,]+) \| ([\d,]+) \|")
        table = {match[1]: [int(x.replace(",", "")) for x in match.groups()[1:]]
                 for match in map(row.match, (ROOT / "docs/recipes.md").read_text().splitlines())
                 if match}
        for name, (epochs, first, last) in EXPECTED.items():
            with self.subTest(name):
                info = self.info(name)
                schedule = info["schedule"]
                self.assertEqual((len(schedule), info["classes"]), (epochs, CLASSES))
                self.assertEqual([schedule[i]["input"] for i in (0, -1)],
                                 [[3, first, first], [3, last, last]])
                gmacs = sum(epoch["gmacs_forward"] / epoch["images"]
                            for epoch in schedule) * IMAGES
                text = " ".join(RECIPES[name].read_text().replace("#", " ").split())
                told = re.search(r"Work: ([\d,]+) GMACs forward, ([\d,]+) in training", text)
                told = [int(number.replace(",", "")) for number in told.groups()]
                for number, times in zip(told, (1, 3)):
                    self.assertTrue(close(number, times * gmacs), (number, times * gmacs))
                self.assertEqual(table[name], told)
                self.assertIn("has not been run on ImageNet", text)

    def test_each_takes_two_steps(self):
        for name, path in RECIPES.items():
            with self.subTest(name):
                schedule = self.info(name)["schedule"]
                done = subprocess.run([TOOL, path, "2", *self.sets], capture_output=True,
                                      text=True, timeout=300)
                self.assertEqual(done.returncode, 0, done.stderr)
                steps = [list(map(float, line.split())) for line in done.stdout.splitlines()]
                self.assertEqual(len(steps), 2)
                # A step of so few images at a rate for so many may lead anywhere.
                self.assertTrue(math.isfinite(steps[1][0]) and steps[1][0] > 0, steps)
                # A class of a thousand by chance, and nothing learnt yet.
                self.assertTrue(close(steps[0][0], math.log(CLASSES), 0.35), steps)
                self.assertTrue(close(steps[0][1], schedule[0]["lr"], 1e-8), steps)


class Momentum(Case):
    """That steps have the schedule's momentum; its values are compared elsewhere."""

    def hash_of(self, ranks=0, stops=(), **schedule):
        recipe = self.write_recipe(schedule={"epochs": 2, "warmup_epochs": 1, **schedule})
        out = self.new_run()
        for stop in stops:
            self.train(recipe, "--stop-after-steps", stop, out=out)
        return self.hash(self.train(recipe, out=out, ranks=ranks))

    def test_it_is_the_optimizers_where_the_schedule_says_the_same(self):
        own = self.hash_of()
        self.assertEqual(self.hash_of(warmup_momentum=0.9), own)
        self.assertNotEqual(self.hash_of(warmup_momentum=0.5), own)
        cycle = {"decay": "one_cycle", "warmup_lr": 0.001}
        own = self.hash_of(**cycle, cycle_momentum=False)
        self.assertEqual(self.hash_of(**cycle, base_momentum=0.9, max_momentum=0.9), own)
        self.assertNotEqual(self.hash_of(**cycle), own)

    def test_it_goes_on_where_it_was_on_any_ranks(self):
        cycle = {"decay": "one_cycle", "warmup_lr": 0.001}
        self.assertEqual(self.hash_of(ranks=3, stops=[3, 13], **cycle), self.hash_of(**cycle))


class Schedules(Case):
    def info(self, *options, **schedule):
        recipe = self.write_recipe(schedule={"warmup_epochs": 0, **schedule})
        return self.expect("info", recipe, *options).out

    def test_the_table_adds_up(self):
        out = self.info(epochs=3, lr=0.5, decay="linear")
        rows = [line.split() for line in out.split("GMACs trained\n")[1].splitlines()]
        self.assertEqual([row[0] for row in rows], ["1", "2", "3", "all"])
        first, last = map(float, rows[0][1:3])
        self.assertTrue(close(first, 0.5) and close(last, 0.5 * 21 / 30, 1e-3), rows[0])
        self.assertEqual([row[3:6] for row in rows[:3]], [["16", "10", "240"]] * 3)
        self.assertEqual(rows[3][1:3], ["30", "720"])
        self.assertTrue(close(3 * float(rows[0][6]), float(rows[3][3]), 1e-3))
        self.assertTrue(close(3 * float(rows[3][3]), float(rows[3][4]), 1e-3))
        info = json.loads(self.info("--json", epochs=3, lr=0.5, decay="linear"))
        self.assertEqual(len(info["schedule"]), 3)
        self.assertTrue(close(info["gmacs_training"], float(rows[3][4]), 1e-3))

    def test_the_plot_falls_where_the_rate_does(self):
        out = self.info(epochs=4, lr=0.5, decay="step", milestones=[2], gamma=0.01)
        lines = out.split("learning rate\n")[1].split("\n\n")[0].splitlines()
        self.assertRegex(lines[0], r"^ +0\.5 \|\*{32} *$")
        self.assertRegex(lines[8], r"^ +0 \| {32}\*{32}$")
        self.assertRegex(lines[9], r"^ +0 +4 epochs$")
        self.assertTrue(all("*" not in line for line in lines[1:8]))

    def test_momentum_is_told_where_it_changes(self):
        self.assertNotIn("momentum", self.info(epochs=3).split("learning rate")[1])
        out = self.info(epochs=4, decay="one_cycle", warmup_epochs=2).split("learning rate")[1]
        self.assertRegex(out, r"\n  1 +0 +\S+ +0\.95 ")
        out = self.info(epochs=4, warmup_epochs=1, warmup_momentum=0.5)
        self.assertRegex(out, r"\n  2 .* own ")

    def test_a_rate_of_zero_and_many_epochs(self):
        out = self.info(epochs=100, lr=0, decay="constant")
        self.assertNotIn("learning rate", out)
        rows = out.split("GMACs trained\n")[1].splitlines()
        self.assertEqual(len(rows), 21)
        self.assertTrue(rows[0].startswith("  1-5 "))


if __name__ == "__main__":
    unittest.main()

"""A scaling study as it is shipped: arrays of jobs on 1, 2 and 4 nodes, and the report that
depends on them."""
import csv

import unittest

from cluster_case import JOBS, Job, LabCase, main
import browser  # of tests/cli, as cluster_case finds it
from page_case import read_page


class Study(LabCase):
    NODES = 4

    def study(self, *words):
        return self.lab("bash", JOBS / "scaling-study.sh", *words, cwd=self.folder)

    def rows(self):
        with open(self.folder / "study" / "report.csv") as file:
            return list(csv.DictReader(file))

    def columns(self, *names):
        return [tuple(row[name] for name in names) for row in self.rows()]

    def test_arrays_on_one_two_and_four_nodes_with_their_report(self):
        recipe = self.write_recipe()
        said = self.study(recipe, "--nodes", "1 2 4", "--repetitions", "2", "--steps", "8",
                          "-o", "study")
        number = said.partition("; job ")[2].split()[0]
        Job(self, number, self.folder / "study" / "report.log").wait_for_end()
        self.assertEqual(
            self.columns("table", "nodes", "ranks", "batch", "runs", "steps", "dropped"),
            [("strong", n, n, "24", "2", "6", "10") for n in "124"])
        text = (self.folder / "study" / "report.txt").read_text()
        self.assertIn("strong scaling", text)
        self.assertNotIn("Passed over", text)
        hashes = {self.hash(run) for run in (self.folder / "study").glob("nodes*-rep?")}
        self.assertEqual(len(hashes), 1)
        log = (self.folder / "study" / "nodes4-rep2.log").read_text()
        self.assertIn("\nnodes: 4\nranks: 4\n", log)
        self.look_at(self.folder / "study" / "report.html")

    def look_at(self, path):
        """The page as people see it: no plot is missing, blank, cut or too wide, on a
        screen, on a phone and on paper."""
        page = read_page(self, path)
        if "gnuplot was not found" in page.text:
            raise unittest.SkipTest("there is no gnuplot: the page was not looked at")
        self.assertEqual(page.figures, ["Speed-up", "Efficiency (dashed: 80 %)",
                                        "Where the time of a step goes",
                                        "Efficiency, taken apart"])
        self.assertIn("predicted by convoy plan", page.text)
        if not browser.find():
            raise unittest.SkipTest("there is no chromium: the page was not looked at")
        with browser.Browser() as chromium:
            for width in (1280, 400):
                seen = chromium.open(path, width)
                browser.check(self, page, seen, chromium.photograph(seen), width)
            chromium.print(self.folder / "report.pdf")
            self.assertEqual(chromium.errors, [])
        browser.check_print(self, page, self.folder / "report.pdf")

    def test_a_weak_chain_that_is_waited_for(self):
        recipe = self.write_recipe()
        said = self.study(recipe, "--nodes", "1 2", "--repetitions", "1", "--steps", "8", "-o",
                          "study", "--weak", "--chain", "--wait", "--", "--ntasks-per-node=2",
                          "--cpus-per-task=1")
        self.assertEqual(self.columns("table", "nodes", "ranks", "batch", "runs"),
                         [("weak", "1", "2", "24", "1"), ("weak", "2", "4", "48", "1")])
        self.assertTrue(said.endswith((self.folder / "study" / "report.txt").read_text()))


if __name__ == "__main__":
    main()

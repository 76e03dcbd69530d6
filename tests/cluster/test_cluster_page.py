"""docs/cluster.md, followed to the letter on a cluster of four nodes: the commands of its
section "Try it on a small data set", from packing to the table of 1, 2 and 4 nodes."""
import os
import pathlib
import re
import unittest

from cluster_case import CONVOY, JOBS, LabCase, main

PAGE = JOBS.parent / "docs" / "cluster.md"
DATA = pathlib.Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def commands(section):
    """The indented lines of a section, as one script."""
    text = re.search(rf"^## {section}\n(.*?)^## ", PAGE.read_text(), re.M | re.S)[1]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    return "\n".join(["set -euo pipefail", *lines])


@unittest.skipUnless(DATA.is_dir(), "no Fashion-MNIST here (Debian package "
                     "dataset-fashion-mnist)")
class Page(LabCase):
    NODES = 4

    def test_from_packing_to_the_table(self):
        (self.folder / "jobs").symlink_to(JOBS)
        script = commands("Try it on a small data set").replace(
            "data=/usr/share/datasets/fashion-mnist", f"data={DATA}")
        self.assertIn(f"data={DATA}", script)
        path = f"{pathlib.Path(CONVOY).parent}:{os.environ['PATH']}"
        said = self.lab("bash", "-c", script, cwd=self.folder, PATH=path)
        logs = [log.read_text() for log in sorted(self.folder.glob("slurm-*.out"))]
        rows = [line.split() for line in said.splitlines() if re.match(r" +\d+ +\d+ ", line)]
        # Of the tables of speeds, of what steps are made of, and of efficiency.
        self.assertEqual([row[0] for row in rows], 3 * ["1", "2", "4"], said)
        self.assertIn("top-1 ", "\n".join(logs))
        self.assertIn("2 lanes of 1 thread on 2 cores", "\n".join(
            re.findall(r"^OK +plan .*$", "\n".join(logs), re.M)))

        run = self.folder / "runs" / "try"
        self.assertEqual(self.steps_saved(run)[-1], 200)
        alone = self.folder / "alone"
        self.lab("convoy", "train", "jobs/recipes/fashion-mnist.yaml", "--out", alone, "--set",
                 "batch.microbatch=16", "--stop-after-steps", 200, cwd=self.folder, PATH=path)
        self.assertEqual(self.hash(run), self.hash(alone))


if __name__ == "__main__":
    main()

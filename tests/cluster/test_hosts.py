"""One training on any number of ranks and hosts, by every ordered algorithm and with buckets
of several sizes: the weights have the same bits. The hosts are namespaces with a network of
their own (mpi-lab.sh)."""
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE / "mpi-lab.sh"
sys.path.insert(0, str(HERE.parent / "cli"))
from convoy_case import CONVOY, Case  # noqa: E402

RANKS = (1, 2, 3, 4, 5, 6, 7, 8, 12)
# Sizes of buckets, in turn: in two levels the most is at stake where there are many.
BUCKETS = {"direct": ("3", "auto", "1"), "two-level": ("1", "3", "1", "auto")}
ALGORITHMS = tuple(BUCKETS)
STEPS = 2
# 24 microbatches, so that ranks have several each; weights of some MiB, so that there are
# several buckets of the smaller sizes.
RECIPE = """
model: {{name: lenet, width: 64, batch_norm: true}}
data: {{train: {pack}}}
batch: {{size: {size}, microbatch: 2}}
schedule: {{epochs: 3, lr: 0.01}}
"""


def launches():
    """A sample: every number of ranks with every algorithm, each with one size of buckets and
    one number of hosts, since a launch takes seconds. Over all numbers of ranks each
    algorithm has each size, and each number of hosts."""
    turns = itertools.count()
    for (i, ranks), algorithm in itertools.product(enumerate(RANKS), ALGORITHMS):
        turn = next(turns)
        sizes = BUCKETS[algorithm]
        hosts = min(ranks, 1 + (turn + turn // 3) % 3)
        yield ranks, algorithm, sizes[i % len(sizes)], hosts, turn // 2 % 2 == 0


class Hosts(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="lab-", dir="/tmp")
        cls.addClassCleanup(folder.cleanup)
        cls.environment = {**os.environ, "MPILAB_DIR": f"{folder.name}/lab",
                           "OMP_NUM_THREADS": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
                           "OMPI_MCA_btl_tcp_flags": "send,inplace"}
        cls.addClassCleanup(cls.lab, "stop")
        started = cls.lab("start", 3)
        if started.returncode:
            raise AssertionError(f"no lab: {started.stdout}")

    @classmethod
    def lab(cls, *words):
        return subprocess.run(["bash", LAB, *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=cls.environment, timeout=300, check=False)

    def train_on(self, recipe, ranks, algorithm, bucket, hosts, in_blocks):
        out = self.new_run()
        slots = ",".join(f"h{i + 1}:{-(-ranks // hosts)}" for i in range(hosts))
        done = self.lab("mpirun", "--host", slots, "-np", ranks,
                        "--map-by", "slot" if in_blocks else "node", "--bind-to", "none",
                        CONVOY, "train", recipe, "--out", out, "--quiet",
                        "--oversubscribe", "--stop-after-steps", STEPS,
                        "--set", f"exchange.algorithm={algorithm}",
                        "--set", f"exchange.bucket={bucket}", "--set", "lanes=1")
        self.assertEqual(done.returncode, 0, done.stdout)
        return self.hash(out)

    def test_weights_have_the_same_bits(self):
        pack = self.make_pack("several", 200, seed=5)
        recipe = self.folder / "recipe.yaml"
        recipe.write_text(RECIPE.format(pack=pack, size=48))
        expected = self.hash(self.train(recipe, "--stop-after-steps", STEPS))
        for launch in launches():
            with self.subTest(launch=launch):
                self.assertEqual(self.train_on(recipe, *launch), expected)

    def test_ranks_of_one_microbatch(self):
        """Their sums are made in memory that their backward passes still use."""
        pack = self.make_pack("few", 64, seed=5)
        recipe = self.folder / "recipe.yaml"
        recipe.write_text(RECIPE.format(pack=pack, size=8))
        expected = self.hash(self.train(recipe, "--stop-after-steps", STEPS))
        for algorithm in ALGORITHMS:
            with self.subTest(algorithm=algorithm):
                self.assertEqual(self.train_on(recipe, 4, algorithm, 1, 2, True), expected)


def main():
    check = subprocess.run(["bash", LAB, "check"], stderr=subprocess.PIPE, text=True,
                           check=False)
    if check.returncode:
        print(f"SKIPPED: no hosts can be made here: {check.stderr}")
        sys.exit(77)
    unittest.main()


if __name__ == "__main__":
    main()

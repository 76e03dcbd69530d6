"""convoy plan against trainings on hosts with slow links (mpi-lab.sh): from a run on two hosts
and a bench of the exchange on as many as are asked for, steps on two, three and four are
predicted and measured.

    python3 test_plan_lab.py                 a link, a size of buckets; two and three hosts
    python3 test_plan_lab.py all             two links, two sizes; two to four hosts

prints both. Hosts share the machine's cores, each with the same part of one where control
groups can be made, and with whatever else the machine does. So the comparison counts on a
quiet one; as a test it only asks for the order of magnitude."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE / "mpi-lab.sh"
sys.path.insert(0, str(HERE.parent / "cli"))
from convoy_case import CONVOY, Case  # noqa: E402

# A net whose gradients (17 MiB) take longer on such links than its computing.
RECIPE = """
model: {{name: mlp, width: 1300}}
data: {{train: {pack}}}
batch: {{size: 12, microbatch: 1}}
schedule: {{epochs: 20, lr: 0.001}}
metrics: {{every_steps: 1}}
lanes: 1
"""
STARTING_STEPS = 5
FACTOR = 5
# Links, MiB of buckets, hosts, the longest vector of a bench in KiB: one of several buckets,
# as in a training; steps, repetitions.
CASES = {"some": (("500mbit",), (4,), (2, 3), 16 << 10, 10, 1),
         "all": (("200mbit", "1gbit"), (2, 8), (2, 3, 4), 32 << 10, 16, 3)}
cases = CASES["some"]


class Lab(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="lab-", dir="/tmp")
        cls.addClassCleanup(folder.cleanup)
        cls.environment = {**os.environ, "MPILAB_DIR": f"{folder.name}/lab",
                           "OMP_NUM_THREADS": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
                           "OMPI_MCA_btl_tcp_flags": "send,inplace"}
        cls.addClassCleanup(cls.lab, "stop")
        cls.recipe = cls.shared / "lab.yaml"
        cls.recipe.write_text(RECIPE.format(pack=cls.make_pack("lab", 240, seed=5)))

    @classmethod
    def lab(cls, *words):
        return subprocess.run(["bash", LAB, *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=cls.environment, timeout=500, check=False)

    def on_hosts(self, hosts, *words):
        names = ",".join(f"h{i + 1}:1" for i in range(hosts))
        done = self.lab("mpirun", "--host", names, "-np", hosts, "--map-by", "node",
                        "--bind-to", "none", CONVOY, *words)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def start(self, hosts, rate):
        """On a core for each the lab needs no shares."""
        share = 90 * len(os.sched_getaffinity(0)) // hosts
        for cpu in ([str(share)] if share < 100 else []) + ["-"]:
            self.environment["MPILAB_CPU"] = cpu
            started = self.lab("start", hosts, rate)
            if started.returncode == 0:
                print(f"{rate}, processors of a host, percent: {cpu}", flush=True)
                return
        self.fail(started.stdout)

    def bench(self, hosts, rate, bucket_mib, most_kib):
        """The file of a bench; what else the lab prints is left out."""
        out = self.on_hosts(hosts, "bench", "exchange", "--from", 256, "--to", most_kib,
                            "--bucket", bucket_mib, "--rounds", 3, "--json")
        path = self.folder / f"bench-{hosts}-{rate}-{bucket_mib}.json"
        path.write_text(out[out.index("{"):out.rindex("}") + 1])
        return path

    def train_on(self, hosts, bucket_mib, steps):
        """The run directory, and the median of its steady steps."""
        out = self.new_run()
        self.on_hosts(hosts, "train", self.recipe, "--out", out, "--quiet",
                      "--oversubscribe", "--stop-after-steps", steps, "--set",
                      f"exchange.bucket={bucket_mib}")
        text = pathlib.Path(out, "metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        times = [line["step_s"] for line in lines if line["event"] == "step"]
        return out, statistics.median(times[STARTING_STEPS:])

    def predict(self, run, bench, hosts):
        done = self.expect("plan", run, "--nodes", hosts, "--bench", bench, "--json")
        plan = json.loads(done.out)
        return plan["rows"][0]["step_s"], plan["network"]

    def compare(self, rate, bucket_mib, all_hosts, most_kib, steps, repetitions):
        run, _ = self.train_on(2, bucket_mib, steps)
        for hosts in all_hosts:
            measured = statistics.median(self.train_on(hosts, bucket_mib, steps)[1]
                                         for _ in range(repetitions))
            bench = self.bench(hosts, rate, bucket_mib, most_kib)
            predicted, network = self.predict(run, bench, hosts)
            print(f"{rate}, buckets of {bucket_mib} MiB, {hosts} hosts: measured "
                  f"{measured:.4f} s, predicted {predicted:.4f} s, "
                  f"{100 * (predicted / measured - 1):+.1f} %  ({network})", flush=True)
            self.assertLess(predicted, FACTOR * measured)
            self.assertGreater(predicted, measured / FACTOR)

    def test_steps_take_about_what_is_predicted(self):
        rates, buckets, hosts, *others = cases
        for rate in rates:
            self.start(max(hosts), rate)
            for bucket_mib in buckets:
                with self.subTest(rate=rate, bucket_mib=bucket_mib):
                    self.compare(rate, bucket_mib, hosts, *others)


def main():
    global cases
    check = subprocess.run(["bash", LAB, "check"], stderr=subprocess.PIPE, text=True,
                           check=False)
    if check.returncode:
        print(f"SKIPPED: no hosts can be made here: {check.stderr}")
        sys.exit(77)
    if len(sys.argv) > 1 and sys.argv[1] in CASES:
        cases = CASES[sys.argv.pop(1)]
    unittest.main()


if __name__ == "__main__":
    main()

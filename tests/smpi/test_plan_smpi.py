"""convoy plan against SimGrid's SMPI: the messages of a step (step.c), played one by one on
fat trees of 64, 256 and 1,024 nodes with links of 100 Gbit/s that flows share. Simulated
times do not depend on the machine, so they are held to 5 %."""
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))
from convoy_case import CONVOY  # noqa: E402
from plan_run import write_run  # noqa: E402

MIB = 1 << 20
BYTES_PER_S = 0.95 * 12.5e9
LINK_S, OVERHEAD_S = 0.5e-6, 1e-6     # of each of the four links between two leaves
LATENCY_S = 4 * LINK_S
SUM_BYTES_PER_S = 8e9
OPTIMIZER_S = 1e-3
ALPHA_S = LATENCY_S + 2 * OVERHEAD_S
POINTS = 64
PLATFORM = """<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="c" prefix="n" suffix="" radical="0-{last}" speed="1Gf" core="4" bw="{bw}Bps"
           lat="{lat}s" sharing_policy="SPLITDUPLEX" loopback_bw="20GBps" loopback_lat="200ns"
           topology="FAT_TREE" topo_parameters="2;{k},{k};1,{k};1,1"/>
</platform>
"""
OPTIONS = ["-no-privatize", "--log=root.thres:critical", "--cfg=smpi/simulate-computation:no",
           "--cfg=contexts/stack-size:256", "--cfg=smpi/bw-factor:0:1",
           "--cfg=smpi/lat-factor:0:1", "--cfg=smpi/os:0:0:0", "--cfg=smpi/or:0:0:0",
           "--cfg=smpi/ois:0:0:0", "--cfg=network/crosstraffic:no",
           "--cfg=network/TCP-gamma:0", "--cfg=network/weight-S:0"]

# nodes, ranks a node, MiB of gradients, sizes of buckets, steps of a stage that are simulated
SIZES = ((64, 1, 8, (4, 2), 63), (64, 2, 8, (4,), 63), (256, 1, 32, (16, 8), 16),
         (1024, 1, 64, (64, 32), 8))
# Seconds of a microbatch: the exchange is hidden but for its end; or it takes longer.
MICROBATCH_S = {"compute": 0.2, "exchange": 0.004}


class Smpi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="convoy-smpi-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.step = cls.folder / "step"
        subprocess.run(["smpicc", "-O2", "-o", cls.step, HERE / "step.c"], check=True)

    def predict(self, name, nodes, ranks, mib, bucket_mib, microbatch_s):
        """From a run on two nodes, whose gradients were ready evenly over the last 60 % of a
        microbatch."""
        total = mib * MIB
        points = [(total / POINTS, 0.6 * microbatch_s * (1 - (i + 1) / POINTS))
                  for i in range(POINTS)]
        run = write_run(self.folder / name, nodes=2, node_ranks=ranks, batch=nodes * ranks,
                        microbatch=1, microbatch_s=microbatch_s, optimizer_s=OPTIMIZER_S,
                        parameters=total // 4, buckets=points)
        done = subprocess.run(
            [CONVOY, "plan", run, "--nodes", str(nodes), "--bucket", str(bucket_mib),
             "--network", f"100:{LATENCY_S * 1e6}:{OVERHEAD_S * 1e6}", "--json"],
            capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["rows"][0]["step_s"]

    def simulate(self, nodes, ranks, mib, bucket_mib, steps, microbatch_s):
        n = mib // bucket_mib
        ready = [microbatch_s * (1 - 0.6 * (1 - (i + 1) / n)) for i in range(n)]
        buckets = [f"{bucket_mib * MIB}:{at:.9f}" for at in ready]
        size = nodes * ranks
        from_s = microbatch_s / 3 + ALPHA_S * (math.log2(size) + size - 1) \
            + 56 * size / BYTES_PER_S
        scale = max(1, (nodes - 1) / steps)
        k = math.isqrt(nodes)
        platform, hosts = self.folder / "platform.xml", self.folder / "hosts"
        platform.write_text(PLATFORM.format(last=nodes - 1, k=k, bw=BYTES_PER_S,
                                            lat=f"{LINK_S * scale:.12f}"))
        hosts.write_text("".join(f"n{i // ranks}\n" for i in range(size)) * 2)
        done = subprocess.run(
            ["smpirun", "-np", str(2 * size), "-platform", platform, "-hostfile", hosts,
             *OPTIONS, self.step, "two-level" if ranks > 1 else "direct", str(nodes),
             str(ranks), str(min(n, 8)), str(steps), f"{OVERHEAD_S * scale:.12f}",
             f"{SUM_BYTES_PER_S:.0f}", f"{from_s:.9f}", f"{OPTIMIZER_S:.9f}", *buckets],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return float(done.stdout.split()[-1])

    def test_steps_take_what_is_predicted(self):
        for nodes, ranks, mib, buckets, steps in SIZES:
            for bucket_mib in buckets:
                for bound, microbatch_s in MICROBATCH_S.items():
                    name = f"{nodes}x{ranks}-{bucket_mib}-{bound}"
                    with self.subTest(case=name):
                        predicted = self.predict(name, nodes, ranks, mib, bucket_mib,
                                                 microbatch_s)
                        simulated = self.simulate(nodes, ranks, mib, bucket_mib, steps,
                                                  microbatch_s)
                        print(f"{name}: simulated {simulated:.6f} s, predicted "
                              f"{predicted:.6f} s, {100 * (predicted / simulated - 1):+.1f} %")
                        self.assertAlmostEqual(predicted / simulated, 1, delta=0.05)


if __name__ == "__main__":
    if not shutil.which("smpicc") or not shutil.which("smpirun"):
        print("SKIPPED: no SimGrid with SMPI here (Debian package libsimgrid-dev)")
        sys.exit(77)
    unittest.main()

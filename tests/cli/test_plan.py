"""convoy plan on run directories whose times were written by hand, so that its figures can
be worked out here."""
import csv
import io
import json
import pathlib
import tempfile
import unittest

from convoy_case import finish, start
from plan_run import write_resnet50_genoa, write_run

FAST = "1000000:0:0"  # a network on which nothing takes time
MIB = 1 << 20


class Plan(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def plan(self, *arguments, status=0):
        done = finish(start(["plan", *map(str, arguments)]))
        self.assertEqual(done.status, status, f"{done.out}\n{done.err}")
        return done

    def rows(self, run, nodes, *arguments):
        done = self.plan(run, "--nodes", nodes, "--json", *arguments)
        return json.loads(done.out)["rows"]

    def refused(self, *arguments, words, status):
        done = self.plan(*arguments, status=status)
        self.assertEqual(done.out, "")
        for word in words:
            self.assertIn(word, done.err)


class Figures(Plan):
    def test_without_messages_only_rounds_count(self):
        """8 microbatches of 0.1 s: 8, 4, 2 and 1 of them a rank, then 0.01 s."""
        run = write_run(self.folder / "run")
        rows = self.rows(run, "8,2,1,4,2", "--network", FAST)
        self.assertEqual([row["nodes"] for row in rows], [1, 2, 4, 8])
        for row, rounds in zip(rows, (8, 4, 2, 1)):
            self.assertEqual(row["rounds"], rounds)
            self.assertAlmostEqual(row["step_s"], 0.1 * rounds + 0.01, places=5)
        self.assertAlmostEqual(rows[3]["speedup"], 0.81 / 0.11, places=3)
        self.assertAlmostEqual(rows[3]["efficiency"], 0.81 / 0.11 / 8, places=4)
        self.assertAlmostEqual(rows[0]["epoch_s"], 81, places=4)
        self.assertAlmostEqual(rows[3]["node_hours"], 1000 * 0.11 * 8 / 3600, places=4)
        self.assertEqual(rows[0]["limit"], "compute")

    def test_the_run_itself_is_given_back(self):
        """Without messages: the most of a rank in each step, and what no rank tells."""
        run = write_run(self.folder / "run", nodes=2, buckets=[(4000, 0.05)])
        timeline = json.loads((run / "timeline.json").read_text())
        timeline.update(step_s=0.45, ideal_s=0.43)
        for rank, compute_s, exchange_s in ((0, 0.34, 0.09), (1, 0.42, 0.008)):
            timeline["ranks"][rank].update(compute_s=compute_s, exchange_s=exchange_s,
                                           busy_s=compute_s + 0.01)
        for bucket in timeline["buckets"]:
            bucket["ready_s"] = 0.37
        (run / "timeline.json").write_text(json.dumps(timeline))
        row, = self.rows(run, "2", "--network", FAST)
        self.assertAlmostEqual(row["compute_s"], 0.42, places=5)
        self.assertAlmostEqual(row["step_s"], 0.45 - 0.008, places=5)
        self.assertAlmostEqual(self.rows(run, "1", "--network", FAST)[0]["step_s"],
                               0.42 * 2 + 0.01 + 0.012, places=5)

    def test_microbatches_that_do_not_divide(self):
        """8 on 3 nodes: one has 3. On 16 nodes half of them have none."""
        run = write_run(self.folder / "run")
        three, sixteen = self.rows(run, "3,16", "--network", FAST)
        self.assertEqual((three["rounds"], three["limit"]), (3, "granularity"))
        self.assertAlmostEqual(three["limit_s"], 0.3 - 0.8 / 3, places=4)
        self.assertIn("16 ranks for 8 microbatches", sixteen["refused"])
        self.assertNotIn("step_s", sixteen)

    def test_weak_scaling_keeps_the_batch_of_a_node(self):
        run = write_run(self.folder / "run")
        one, many = self.rows(run, "1,16", "--weak", "--network", FAST)
        self.assertEqual((one["batch"], many["batch"]), (64, 1024))
        self.assertAlmostEqual(many["step_s"], one["step_s"], places=4)
        self.assertAlmostEqual(many["efficiency"], 1, places=3)

    def test_a_bucket_that_is_ready_last_is_exposed(self):
        """100 MB as one bucket on 2 nodes with 8 x 0.95 Gbit/s: each sends half of it twice,
        and adds two halves at 8 GB/s."""
        run = write_run(self.folder / "run", nodes=2, parameters=25_000_000,
                        buckets=[(100_000_000, 0.0)])
        row, = self.rows(run, "2", "--network", "8:0:0", "--bucket", "1024")
        self.assertAlmostEqual(row["exposed_s"], 0.1 / 0.95 + 0.1 / 8, places=3)
        self.assertEqual((row["buckets"], row["limit"]), (1, "bandwidth"))

    def test_early_buckets_are_hidden(self):
        """The first half is ready long before the end; what is left is 10 MB."""
        run = write_run(self.folder / "run", nodes=2, parameters=10 * MIB // 4 * 2,
                        microbatch_s=10, buckets=[(10 * MIB, 6.0), (10 * MIB, 0.0)])
        row, = self.rows(run, "2", "--network", "8:0:0", "--bucket", "10")
        self.assertEqual(row["buckets"], 2)
        self.assertAlmostEqual(row["exposed_s"], 10 * MIB * (1 / .95e9 + 1 / 8e9), places=4)

    def test_latency_limits_small_buckets(self):
        run = write_run(self.folder / "run", nodes=2, microbatch_s=1e-4,
                        optimizer_s=1e-5, buckets=[(4000, 0.0)])
        row, = self.rows(run, "8", "--network", "100:1000:0")
        self.assertEqual(row["limit"], "latency")
        # Of 7 steps 3 are under way at a time: 3 times a millisecond, there and back.
        self.assertAlmostEqual(row["exposed_s"], 2 * 3e-3, delta=0.011)
        self.assertGreater(row["exposed_s"], 2 * 3e-3)

    def test_reading_limits(self):
        """1 MB an image: 100 MB/s are 100 images/s."""
        run = write_run(self.folder / "run", nodes=2, buckets=[(4000, 0.0)],
                        read_bytes=64 * 20 * 1_000_000)
        row, = self.rows(run, "8", "--network", FAST, "--read", "100")
        self.assertAlmostEqual(row["images_per_s"], 100, places=6)
        self.assertEqual(row["limit"], "reading")

    def test_a_better_bucket_is_found(self):
        """One bucket of all gradients cannot be hidden, many small ones can."""
        run = write_run(self.folder / "run", nodes=2, parameters=16 * MIB, microbatch_s=0.1,
                        buckets=[(MIB, 0.066 * (1 - (i + 1) / 64)) for i in range(64)])
        row, = self.rows(run, "2", "--network", "10:10:1", "--bucket", "64")
        self.assertLess(row["advice"]["bucket_mib"], 64)
        self.assertLess(row["advice"]["step_s"], row["step_s"])
        text = self.plan(run, "--nodes", 2, "--network", "10:10:1", "--bucket", 64).out
        self.assertIn("buckets of", text)

    def test_text_and_csv_have_the_same_rows(self):
        run = write_run(self.folder / "run")
        text = self.plan(run, "--nodes", "1,2,64").out
        self.assertRegex(text, r"(?m)^ +2 +2 +64 +4 +0\.41")
        self.assertIn("cannot run: 64 ranks for 8 microbatches", text)
        self.assertIn("ready evenly", text)
        rows = list(csv.DictReader(io.StringIO(
            self.plan(run, "--nodes", "1,2,64", "--csv").out)))
        self.assertEqual([row["nodes"] for row in rows], ["1", "2", "64"])
        self.assertIn("64 ranks", rows[2]["refused"])


class Page(Plan):
    """docs/scaling.md's example is what convoy plan says of its figures."""
    NODES = "1,2,4,8,16,32,64,128,256,512,1024"

    def test_the_table_of_the_page(self):
        strong, weak = (
            self.rows(write_resnet50_genoa(self.folder / str(batch), 8.5 * 0.89 * 0.8, batch),
                      self.NODES, "--network", "hdr100", *more)
            for batch, more in ((32768, ()), (1536, ("--weak",))))
        page = (pathlib.Path(__file__).resolve().parents[2] / "docs/scaling.md").read_text()
        for a, b in zip(strong, weak):
            line = (f"| {a['nodes']} | {a['step_s']:.3g} | {a['efficiency']:.2f} | "
                    f"{a['epoch_s']:.0f} | {a['node_hours']:.0f} | {a['limit']} | "
                    f"{b['step_s']:.3g} | {1e3 * b['exposed_s']:.1f} | "
                    f"{b['efficiency']:.2f} |")
            self.assertIn(line + "\n", page)


class Measured(Plan):
    def bench(self, name, nodes, seconds, way="direct", **more):
        path = self.folder / name
        path.write_text(json.dumps({
            "ranks": nodes, "nodes": nodes, **more,
            "times": [{"way": way, "bytes": n, "seconds": s} for n, s in seconds]}))
        return path

    def test_a_network_is_found_again(self):
        """Two nodes at 100 MB/s and 50 us: half of a vector each way, twice; sums at 8 GB/s."""
        times = [(n, n / 100e6 + n / 8e9 + 2 * 50e-6)
                 for n in (1 << 16, 1 << 18, 1 << 20)]
        run = write_run(self.folder / "run", nodes=2, buckets=[(4000, 0.0)])
        bench = self.bench("bench.json", 2, times)
        found = json.loads(self.plan(run, "--nodes", 2, "--bench", bench, "--json").out)
        self.assertAlmostEqual(found["bytes_per_s"] / 100e6, 1, delta=0.03)
        self.assertIn("measured", found["network"])

    def test_what_is_no_bench_is_refused(self):
        run = write_run(self.folder / "run", nodes=2)
        alone = self.bench("alone.json", 1, [(1024, 1.0)])
        other = self.folder / "other.json"
        for text, words in (("{}", ["times"]), ("garbage", ["other.json"])):
            other.write_text(text)
            self.refused(run, "--nodes", 2, "--bench", other, words=words, status=1)
        self.refused(run, "--nodes", 2, "--bench", alone, words=["several nodes"], status=1)
        self.refused(run, "--nodes", 2, "--bench", self.folder / "no", words=["no"], status=1)
        self.refused(run, "--nodes", 2, "--network", "measured", words=["--bench"], status=2)


class BadInput(Plan):
    def test_wrong_usage(self):
        run = write_run(self.folder / "run")
        for nodes in ("0", "3000000", "-1", "1,", ",1", "1,,2", "", "two", "1.5", "1;2",
                      ",".join(["1"] * 300)):
            with self.subTest(nodes=nodes):
                self.refused(run, "--nodes", nodes, words=["convoy plan"], status=2)
        for words in ([run], ["--nodes", "1"], [run, run, "--nodes", "1"],
                      [run, "--nodes", "1", "--bucket", "0"],
                      [run, "--nodes", "1", "--read", "-1"],
                      [run, "--nodes", "1", "--read", "nan"],
                      [run, "--nodes", "1", "--foo"]):
            with self.subTest(words=words):
                self.plan(*words, status=2)

    def test_an_unknown_network_lists_the_known(self):
        run = write_run(self.folder / "run")
        for name in ("carrier-pigeon", "", "100", "100:", "100:1:2:3", "0:1", "-1:2", "nan:1",
                     "100:inf"):
            with self.subTest(name=name):
                self.refused(run, "--nodes", "1", "--network", name,
                             words=["hdr100", "1gbe", "measured"], status=2)

    def test_folders_that_are_no_run(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused(empty, "--nodes", 1, words=["metrics.jsonl"], status=1)
        self.refused(self.folder / "no", "--nodes", 1, words=["metrics.jsonl"], status=1)

    def test_damaged_runs(self):
        for i, (name, text, words) in enumerate((
                ("run.json", "{}", ["parameters"]),
                ("run.json", "{", ["run.json"]),
                ("timeline.json", "[1", ["timeline.json"]),
                ("metrics.jsonl", "", ["metrics.jsonl"]),
                ("metrics.jsonl", '{"event": "start", "step": 0}\n', ["metrics.jsonl"]))):
            with self.subTest(name=name, text=text):
                run = write_run(self.folder / f"run{i}", nodes=2, buckets=[(4000, 0.0)])
                (run / name).write_text(text)
                self.refused(run, "--nodes", 1, words=words, status=1)

    def test_runs_without_times(self):
        run = write_run(self.folder / "run")
        first = (run / "metrics.jsonl").read_text().splitlines()[0]
        (run / "metrics.jsonl").write_text(first + "\n")
        self.refused(run, "--nodes", 1, words=["steady"], status=1)

    def test_odd_timelines_are_survived(self):
        """Missing keys, null, wrong types and nonsense: what can be used is."""
        for i, text in enumerate(("{}", '{"step_s": null, "ranks": [], "buckets": null}',
                                  '{"step_s": 1, "ranks": [{}], "buckets": [{}]}',
                                  '{"step_s": "x", "ranks": 3, "buckets": 3}',
                                  '{"step_s": -1, "ranks": [null], "buckets": [null]}',
                                  '{"step_s": 0.5, "algorithm": 5, "ranks": '
                                  '[{"compute_s": 0.4}], "buckets": [{"bytes": 1e300, '
                                  '"ready_s": 1e300}]}')):
            with self.subTest(text=text):
                run = write_run(self.folder / f"run{i}")
                (run / "timeline.json").write_text(text)
                rows = self.rows(run, "1,4")
                self.assertGreater(rows[1]["step_s"], 0)


if __name__ == "__main__":
    unittest.main()

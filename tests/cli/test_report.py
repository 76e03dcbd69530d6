"""convoy report on run directories whose times were written by hand, so that every figure
of its tables is known."""
import csv
import io
import json
import pathlib
import shutil
import tempfile
import unittest

from convoy_case import finish, start

RUN = {"convoy": "0.2.0", "onednn": "3.7.2", "mpi": "Open MPI v4.1.4", "isa": "avx2",
       "onednn_isa": "avx2_vnni", "train_pack": "0123456789abcdef"}
NO_GNUPLOT = "PATH=/nowhere; export PATH"  # the page's plots are not looked at here
RECIPE = """model:
  name: "{model}"
network: []
data:
  train: "{folder}/train.h5"
  crop: 224
batch:
  size: {batch}
  microbatch: 8
schedule:
  lr: {lr}
precision: f32
"""
COLUMNS = ["table", "group", "model", "nodes", "cores", "ranks", "lanes", "threads", "batch",
           "microbatch", "runs", "steps", "dropped", "step_s", "step_s_q1", "step_s_q3",
           "step_s_least", "step_s_most", "images_per_s", "speedup", "ideal", "efficiency",
           "compute_s", "compute_s_least", "compute_s_most", "exchange_s", "hidden_s",
           "hidden_share", "input_s", "optimizer_s", "balance", "slowest_host", "working_s",
           "ideal_s", "pop_parallel", "pop_balance", "pop_communication",
           "pop_serialisation", "pop_transfer", "pop_scaling", "pop_global", "pop_threads",
           "pop_threads_balance", "pop_threads_communication", "pop_hybrid"]
REGION = """numCpus numOmpThreads numMpiRanks numNodes avgCpus numGpus cycles instructions
numMeasurements numMpiCalls numOmpParallels numOmpTasks numGpuRuntimeCalls elapsedTime
usefulTime mpiTime mpiWorkerIdleTime ompLoadImbalanceTime ompSchedulingTime
ompSerializationTime gpuRuntimeTime minMpiNormdProc minMpiNormdNode gpuUsefulTime
gpuCommunicationTime gpuInactiveTime maxGpuUsefulTime maxGpuActiveTime parallelEfficiency
mpiParallelEfficiency mpiCommunicationEfficiency mpiLoadBalance mpiLoadBalanceIn
mpiLoadBalanceOut ompParallelEfficiency ompLoadBalance ompSchedulingEfficiency
ompSerializationEfficiency deviceOffloadEfficiency gpuParallelEfficiency gpuLoadBalance
gpuCommunicationEfficiency gpuOrchestrationEfficiency""".split()


def life(nodes, times, step=0, batch=64, cores=4, every=1):
    """The lines of a life: its start, its first five steps, which are slow, then these."""
    at = {"nodes": nodes, "ranks": 2 * nodes, "lanes": cores * nodes, "cores": cores * nodes,
          "threads": 1, "batch": batch, "microbatch": 8}
    lines = [{"event": "start", "step": step, "time": 1, **at}]
    for time_s in [99.0] * (0 if every > 1 else 5) + times:
        step += every
        lines.append({"event": "step", "step": step, "steps": every, "step_s": time_s})
    return lines


def ranks(step, steps, host, **seconds):
    """A line of the ranks: 1 s of each part, but for these."""
    parts = ("compute_s", "compute_s_least", "compute_s_most", "exchange_s", "hidden_s",
             "input_s", "optimizer_s", "busy_s", "busy_s_most")
    return {"event": "ranks", "step": step, "steps": steps, "slowest_rank": 1,
            "slowest_host": host, **dict.fromkeys(parts, 1.0), **seconds}


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, lines, model="resnet50", lr=0.1, **run):
        """A run directory with these lines of metrics."""
        out = self.folder / name
        out.mkdir(parents=True)
        batch = next((line["batch"] for line in lines if "batch" in line), 64)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (out / "metrics.jsonl").write_text(text)
        (out / "run.json").write_text(json.dumps({**RUN, **run}))
        (out / "recipe.yaml").write_text(
            RECIPE.format(model=model, folder=out, batch=batch, lr=lr))
        return out

    def report(self, *arguments, status=0):
        done = finish(start(["report", *arguments], cwd=self.folder, shell=NO_GNUPLOT))
        self.assertEqual(done.status, status, f"{done.out}\n{done.err}")
        return done

    def rows(self, *arguments):
        """The rows of the CSV, numbers as numbers."""
        out = self.report(*arguments, "--csv").out
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(out.splitlines()[0].split(","), COLUMNS)
        words = ("table", "group", "model", "slowest_host")
        return [{key: value if key in words or not value else float(value) for key, value in row.items()}
                for row in rows]

    def assert_row(self, row, **expected):
        for key, value in expected.items():
            if isinstance(value, str):
                self.assertEqual(row[key], value, row)
            else:
                self.assertAlmostEqual(row[key], value, msg=f"{key} of {row}")

    def refused(self, *arguments, words, shows=False):
        done = self.report(*arguments, status=1)
        if not shows:
            self.assertEqual(done.out, "")
        self.assertEqual(len(done.err.splitlines()), 1, done.err)
        for word in words:
            self.assertIn(str(word), done.err)


class Scaling(Report):
    def test_strong_scaling_is_against_the_smallest_size(self):
        """Medians 4, 2.5 and 2 s: on four nodes half of the ideal speed-up."""
        self.write("nodes1-rep1", life(1, [3.0, 4.0, 5.0]))
        self.write("nodes2-rep1", life(2, [2.0, 2.4, 2.6, 3.0]))
        self.write("nodes4-rep1", life(4, [2.0]))
        one, two, four = self.rows(self.folder)
        self.assert_row(one, table="strong", group="1", model="resnet50", nodes=1, cores=4,
                        ranks=2, lanes=4, threads=1, batch=64, microbatch=8, runs=1, steps=3,
                        dropped=5, step_s=4, step_s_q1=3.5, step_s_q3=4.5, step_s_least=4,
                        step_s_most=4, images_per_s=16, speedup=1, ideal=1, efficiency=1)
        self.assert_row(two, step_s=2.5, step_s_q1=2.3, step_s_q3=2.7, images_per_s=25.6,
                        speedup=1.6, ideal=2, efficiency=0.8)
        self.assert_row(four, nodes=4, ranks=8, step_s=2, speedup=2, ideal=4,
                        efficiency=0.5)
        text = self.report(self.folder).out
        self.assertIn("strong scaling", text)
        self.assertNotIn("weak scaling", text)
        self.assertRegex(text, r"(?m)^ +2 +8 +4 x 2 x 1 +64  2.5 \(2.3 to 2.7\) +4 +25.6 +"
                               r"1.60 +2 +0.80  1 \(2.5 to 2.5\)$")
        self.assertIn("efficiency of 0.8 or more: 2 nodes, 8 cores (0.80).\n", text)
        self.assertIn("15 steps at the starts", text)

    def test_an_efficiency_above_1_is_doubted(self):
        self.write("a", life(1, [4.0] * 3))
        self.write("b", life(2, [1.0] * 3))
        self.assertRegex(self.report(self.folder).out,
                         r"(?m)\(2.00\).\nAn efficiency above 100 % \(200 % on 2 nodes\)")

    def test_weak_scaling_has_one_batch_a_core(self):
        """Twice the images in 4 s for 3.2: 1.6 times as many a second."""
        a = self.write("a", life(1, [3.2] * 3))
        b = self.write("b", life(2, [4.0] * 3, batch=128))
        rows = self.rows(a, b)
        self.assertEqual([row["table"] for row in rows], ["weak", "weak"])
        self.assert_row(rows[1], batch=128, images_per_s=32, speedup=1.6, ideal=2,
                        efficiency=0.8)

    def test_strong_and_weak_are_tables_apart(self):
        self.write("one", life(1, [4.0] * 3))
        self.write("strong2", life(2, [2.0] * 3))
        self.write("weak2", life(2, [5.0] * 3, batch=128))
        self.write("other", life(1, [5.0] * 3, batch=72))
        rows = [(row["table"], row["nodes"], row["batch"], row["efficiency"])
                for row in self.rows(self.folder)]
        self.assertEqual(rows, [("strong", 1, 64, 1), ("strong", 2, 64, 1),
                                ("weak", 1, 64, 1), ("weak", 2, 128, 0.8),
                                ("single", 1, 72, 1)])

    def test_where_only_the_smallest_is_efficient_the_sentence_says_so(self):
        self.write("a", life(1, [1.0] * 3))
        self.write("b", life(2, [1.0] * 3))
        self.assertIn("1 node, 4 cores, which is the smallest.\n",
                      self.report(self.folder).out)

    def test_repetitions_are_pooled_and_their_spread_told(self):
        """Medians of the runs 1, 3, 2; of all their steps 2."""
        for i, times in enumerate(([1.0, 1.0], [3.0] * 2, [2.0] * 3)):
            self.write(f"rep{i}", life(1, times))
        row, = self.rows(self.folder)
        self.assert_row(row, table="single", runs=3, steps=7, dropped=15, step_s=2,
                        step_s_least=1, step_s_most=3)
        self.assertRegex(self.report(self.folder).out, r"3 \(1 to 3\)\n")


class Steady(Report):
    def test_first_steps_of_lives_and_epochs_are_dropped(self):
        lines = life(1, [2.0] * 3)
        lines.append({"event": "epoch", "step": 8, "epoch": 1})
        lines += life(1, [50.0, 4.0, 4.0])[6:]
        for step, line in enumerate(lines[10:], 9):
            line["step"] = step
        lines += life(1, [4.0], step=11)
        row, = self.rows(self.write("a", lines))
        self.assert_row(row, runs=1, steps=6, dropped=5 + 1 + 5, step_s=3)

    def test_a_line_stands_for_its_steps(self):
        """The line of 1 s is ten steps, those of 2 s one each."""
        lines = life(1, [9.0, 1.0], every=10)
        lines += [{"event": "step", "step": 20 + i, "steps": 1, "step_s": 2.0}
                  for i in (1, 2, 3)]
        row, = self.rows(self.write("a", lines))
        self.assert_row(row, steps=13, dropped=10, step_s=1)

    def test_a_run_that_moved_counts_where_each_life_ran(self):
        moved = self.write("moved", life(1, [4.0] * 3) + life(2, [2.0] * 3, step=8))
        one, two = self.rows(moved)
        self.assert_row(one, nodes=1, step_s=4, runs=1, steps=3)
        self.assert_row(two, nodes=2, step_s=2, runs=1, steps=3, efficiency=1)

    def test_lines_that_make_no_sense_are_not_counted(self):
        lines = life(1, [4.0] * 3)
        lines += [{"event": "step", "step": 9, "steps": 12, "step_s": 1.0},
                  {"event": "step", "step": 10, "steps": 1, "step_s": None},
                  {"event": "step", "step": 11, "steps": 1, "step_s": -1.0},
                  {"event": "start", "step": 11, "ranks": 1},
                  *({"event": "step", "step": 12 + i, "steps": 1, "step_s": 1.0}
                    for i in range(9))]
        row, = self.rows(self.write("a", lines))
        self.assert_row(row, steps=3, step_s=4)


class Ranks(Report):
    def test_the_parts_of_a_step_are_means_by_steps(self):
        """Of 1 and 3 steps, in two runs."""
        self.write("a", life(1, [4.0]) + [ranks(6, 1, "node7", compute_s=6.0)])
        self.write("b", life(1, [4.0] * 3) + [
            ranks(8, 3, "node7", compute_s=2.0, compute_s_least=1.5, compute_s_most=2.5,
                  hidden_s=5.0, busy_s=2.0, busy_s_most=3.0)])
        row, = self.rows(self.folder)
        self.assert_row(row, compute_s=3, compute_s_least=1.375, compute_s_most=2.125,
                        exchange_s=1, hidden_s=4, hidden_share=0.8, input_s=1, optimizer_s=1,
                        balance=0.7, slowest_host="node7")
        text = self.report(self.folder).out
        self.assertIn("seconds of a step, mean over the ranks\n", text)
        self.assertRegex(text, r"(?m)^ +1 +4 +2  3 \(1.375 to 2.125\) +1 +4 +80 % +1 +1 +0.70 "
                               r" 1 on node7$")

    def test_a_slowest_rank_that_changes_has_no_name(self):
        out = self.write("a", life(1, [4.0] * 3) + [ranks(7, 2, "node7"),
                                                    ranks(8, 1, "node8")])
        self.assert_row(self.rows(out)[0], slowest_host="")
        self.assertIn("  not always the same\n", self.report(out).out)

    def test_runs_that_say_nothing_of_ranks_have_no_such_table(self):
        out = self.write("a", life(1, [4.0] * 3) + [
            {"event": "ranks", "step": 8, "steps": 3, "compute_s": 1.0}])
        self.assert_row(self.rows(out)[0], compute_s="", balance="", slowest_host="")
        self.assertNotIn("seconds of a step, mean", self.report(out).out)


class Efficiency(Report):
    """The example of docs/scaling.md, "Efficiency, taken apart"."""

    def study(self):
        one = ranks(8, 3, "a", busy_s=3.8, busy_s_most=3.9, working_s=3.42,
                    working_s_most=3.51, step_s=4.0, ideal_s=3.95)
        two = ranks(8, 3, "a", busy_s=2.0, busy_s_most=2.2, working_s=1.7,
                    working_s_most=1.9, step_s=2.5, ideal_s=2.3)
        return (self.write("one", life(1, [4.0] * 3) + [one]),
                self.write("two", life(2, [2.5] * 3) + [two]))

    def test_it_is_taken_apart_as_worked_out_by_hand(self):
        one, two = self.rows(*self.study())
        self.assert_row(one, pop_parallel=0.95, pop_scaling=1, pop_global=0.95,
                        pop_transfer=3.95 / 4)
        self.assert_row(two, efficiency=0.8, working_s=1.7, ideal_s=2.3, pop_parallel=0.8,
                        pop_balance=2 / 2.2, pop_communication=0.88,
                        pop_serialisation=2.2 / 2.3, pop_transfer=0.92, pop_scaling=0.95,
                        pop_global=0.76, pop_threads=0.85, pop_hybrid=0.68,
                        pop_threads_balance=(1.7 / 1.9) / (2 / 2.2),
                        pop_threads_communication=1.9 / 2.2)
        text = self.report(self.folder).out
        self.assertIn("efficiency, taken apart (POP)", text)
        self.assertRegex(text, r"(?m)^ +2 +8 +4 +0.800 +0.909 +0.880 +0.957 +0.920 +0.950 "
                               r"+0.760 +0.850 +0.680$")

    def test_runs_that_do_not_tell_have_none(self):
        """Of an older convoy: alone, and as the base of one that tells."""
        _, two = self.study()
        old = self.write("old", life(1, [4.0] * 3) + [ranks(8, 3, "a")])
        self.assertNotIn("taken apart", self.report(old).out)
        row, = self.rows(old)
        self.assert_row(row, balance=1, pop_parallel="", pop_hybrid="", ideal_s="")
        (self.folder / "one" / "metrics.jsonl").unlink()
        _, row = self.rows(old, two)
        self.assert_row(row, pop_parallel=0.8, pop_scaling="", pop_global="")

    def timeline(self, **changes):
        """Three ranks on two nodes, of 10 steps of 2 s: 4 lanes of 1.5 and 1.2 s of work,
        2 lanes."""
        rank = [{"node": 0, "lanes": 1, "busy_s": 1.6, "working_s": 1.5},
                {"node": 0, "lanes": 3, "busy_s": 1.4, "working_s": 1.2},
                {"node": 1, "lanes": 2, "busy_s": 1.8, "working_s": 0.9}]
        out = self.write("run", life(1, [4.0] * 3))
        (out / "timeline.json").write_text(json.dumps(
            {"steps": 10, "step_s": 2.0, "threads": 1, "nodes": 2, "ranks": rank, **changes}))
        return out

    def test_a_rank_alone_exchanges_nothing(self):
        """Of 4 s its lanes work for 3.2 s; two ranks of a lane take 2.5 s."""
        alone = ranks(8, 3, "a", busy_s=3.8, busy_s_most=3.8, working_s=3.2,
                      working_s_most=3.2, step_s=4.0, ideal_s=3.8)
        two = ranks(8, 3, "a", busy_s=2.0, busy_s_most=2.2, working_s=1.7,
                    working_s_most=1.9, step_s=2.5, ideal_s=2.3)
        lines = life(1, [4.0] * 3)
        lines[0]["ranks"] = 1
        self.write("alone", lines + [alone])
        self.write("two", life(2, [2.5] * 3) + [two])
        one, _ = self.rows(self.folder)
        factors = ("parallel", "balance", "communication", "serialisation", "transfer",
                   "scaling", "global", "threads_balance")
        self.assert_row(one, **{f"pop_{name}": 1 for name in factors}, pop_threads=0.8,
                        pop_hybrid=0.8, ideal_s=4.0)
        for row in self.rows(self.folder):
            self.assertAlmostEqual(row["pop_global"], row["efficiency"])
        self.assertIn("One rank exchanges nothing", self.report(self.folder).out)

    def test_talp_has_no_mpi_of_a_rank_alone(self):
        to = self.folder / "talp.json"
        self.report(self.timeline(ranks=[{"node": 0, "lanes": 2, "busy_s": 1.5,
                                          "working_s": 1.2}], nodes=1), "--talp", to)
        region = json.loads(to.read_text())["Application"]["training"]
        self.assertEqual([region[key] for key in ("mpiTime", "usefulTime",
                                                  "ompLoadImbalanceTime")],
                         [0, 24 * 10 ** 9, 16 * 10 ** 9])
        self.assertEqual(region["mpiParallelEfficiency"], 1)

    def test_talp_reads_the_same(self):
        """In seconds: useful 10 * (1.5 + 3 * 1.2 + 2 * 0.9) = 69; out of MPI
        10 * (1.6 + 3 * 1.4 + 2 * 1.8) = 94 of 6 * 20 = 120, so in it 26."""
        to = self.folder / "talp.json"
        self.report(self.timeline(), "--talp", to)
        told = json.loads(to.read_text())
        self.assertEqual(list(told), ["dlbVersion", "timestamp", "resources", "Application"])
        self.assertRegex(told["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")
        self.assertEqual(told["resources"], {"numCpus": 6, "numAvailableCpus": 6,
                                             "numNodes": 2, "numMpiRanks": 3, "numGpus": 0})
        region = told["Application"]["training"]
        self.assertEqual(list(region), REGION)
        seconds = {"elapsedTime": 20, "usefulTime": 69, "mpiTime": 26, "mpiWorkerIdleTime": 0,
                   "ompLoadImbalanceTime": 94 - 69, "minMpiNormdProc": 2,
                   "minMpiNormdNode": 2}
        self.assertEqual({key: region[key] for key in seconds},
                         {key: 10 ** 9 * value for key, value in seconds.items()})
        factors = {"parallelEfficiency": 69 / 120, "mpiParallelEfficiency": 94 / 120,
                   "mpiCommunicationEfficiency": 18 / 20, "mpiLoadBalance": 94 / 108,
                   "mpiLoadBalanceIn": 1, "mpiLoadBalanceOut": 94 / 108,
                   "ompParallelEfficiency": (69 + 26) / 120}
        for key, value in factors.items():
            self.assertAlmostEqual(region[key], value, msg=key)

    def test_talp_needs_one_run_with_a_timeline(self):
        one, two = self.study()
        to = self.folder / "talp.json"
        for arguments, status, words in (
                ((one, two), 2, "give one DIR"),
                ((one,), 1, "timeline.json: there is no such file"),
                ((self.folder,), 1, "is no run directory")):
            done = self.report(*arguments, "--talp", to, status=status)
            self.assertIn(words, done.err)
        for changes in ({"ranks": []}, {"step_s": None}, {"ranks": [{"node": 0}]},
                        {"threads": -1}, {"steps": 1e300}):
            out = self.timeline(**changes)
            self.assertIn("has no sound", self.report(out, "--talp", to, status=1).err)
            shutil.rmtree(out)
        self.assertFalse(to.exists())


class Energy(Report):
    def with_sacct(self, *arguments, script):
        """The text of a report where sacct is this script, of Bourne's shell."""
        sacct = self.folder / "bin" / "sacct"
        sacct.parent.mkdir(exist_ok=True)
        sacct.write_text(f"#!/bin/sh\n{script}\n")
        sacct.chmod(0o755)
        done = finish(start(["report", *arguments],
                            shell=f"PATH={sacct.parent}:$PATH; export PATH"))
        self.assertEqual(done.status, 0, done.err)
        return [line for line in done.out.splitlines() if line.startswith("energy")]

    def test_a_run_that_read_it_tells_it(self):
        out = self.write("a", life(1, [4.0] * 3), lives=[{"slurm_job": "7"}])
        (out / "timeline.json").write_text(json.dumps(
            {"energy": {"joules": 7.2e6, "seconds": 3600.4, "nodes_read": 2,
                        "source": "RAPL"}}))
        self.assertEqual(self.with_sacct(out, script="echo 1"),
                         [f"energy of {out}: 2 kWh (RAPL of 2 nodes, 3600 s)"])

    def test_else_sacct_tells_that_of_the_jobs_of_all_lives(self):
        lives = [{"slurm_job": job} for job in ("7", "7", "8")]
        out = self.write("a", life(1, [4.0] * 3), lives=lives)
        said = f'echo "$*" >> {self.folder}/asked; echo 3600000'
        self.assertEqual(self.with_sacct(out, script=said),
                         [f"energy of {out}: 2 kWh (sacct, job 7 and later)"])
        self.assertEqual(set((self.folder / "asked").read_text().splitlines()),
                         {f"-n -X -P -j {job} -o ConsumedEnergyRaw" for job in (7, 8)})
        self.assertIn("energy of the whole job (sacct, job 7 and later)",
                      (out / "report.html").read_text())

    def test_what_sacct_does_not_know_is_not_told(self):
        """A job may have any name in a file of anybody's."""
        lives = [{"slurm_job": "7"}]
        out = self.write("a", life(1, [4.0] * 3), lives=lives)
        for script in ("echo", "echo 0", "echo 18446744073709551614", "echo 5; exit 1"):
            self.assertEqual(self.with_sacct(out, script=script), [], script)
        for i, job in enumerate((f"7; touch {self.folder}/hacked", "", 7, None)):
            out = self.write(f"b{i}", life(1, [4.0] * 3), lives=[{"slurm_job": job}])
            self.assertEqual(self.with_sacct(out, script="echo 3600000"), [])
        self.assertFalse((self.folder / "hacked").exists())


class Comparable(Report):
    def test_what_computes_something_else_is_apart(self):
        self.write("a1", life(1, [4.0] * 3))
        self.write("a2", life(2, [2.0] * 3), lr=0.2)  # which costs no time
        self.write("b1", life(1, [1.0] * 3), model="resnet18")
        self.write("c1", life(1, [3.0] * 3), isa="avx512_core")
        self.write("d1", life(1, [3.0] * 3), onednn_isa="avx512_core_amx")
        rows = self.rows(self.folder)
        self.assertEqual([(row["table"], row["group"], row["model"], row["nodes"])
                          for row in rows],
                         [("strong", "1", "resnet50", 1), ("strong", "1", "resnet50", 2),
                          ("single", "2", "resnet18", 1), ("single", "3", "resnet50", 1),
                          ("single", "4", "resnet50", 1)])
        text = self.report(self.folder).out
        self.assertIn("group 1: resnet50, convoy 0.2.0, isa avx2, onednn 3.7.2, mpi Open MPI "
                      "v4.1.4, train_pack 0123456789abcdef\n", text)
        self.assertIn("group 2 differs from group 1: 'model.name: \"resnet18\"' in place of "
                      "'model.name: \"resnet50\"'\n", text)
        self.assertIn("group 3 differs from group 1: 'isa: avx512_core' in place of "
                      "'isa: avx2'\n", text)
        self.assertIn("group 4 differs from group 1: 'onednn_isa: avx512_core_amx' in place "
                      "of 'onednn_isa: avx2_vnni'\n", text)
        self.assertIn("\ngroup 1, strong scaling", text)

    def test_each_of_many_groups_has_its_number(self):
        for i in range(30):
            self.write(f"run{i:02}", life(1, [4.0] * 3), convoy=f"0.{i}")
        self.assertEqual([row["group"] for row in self.rows(self.folder)],
                         [str(i) for i in range(1, 31)])

    def test_a_name_with_quotes_and_commas_is_one_field(self):
        out = self.write("a", life(1, [4.0] * 3), model=r'a \"b\", c\\d')
        row, = self.rows(out)
        self.assert_row(row, model=r'a "b", c\d', nodes=1)
        self.assertIn(r'a "b", c\d, convoy', self.report(out).out)


class Refused(Report):
    def test_folders_that_are_no_runs(self):
        self.refused(self.folder / "none", words=["none", "No such"])
        self.refused(self.folder, words=[self.folder, "is no run directory"])
        (self.folder / "logs").mkdir()
        self.refused(self.folder, words=["logs: holds no metrics.jsonl"])

    def test_runs_without_steady_steps(self):
        short = self.write("short", life(1, []))
        self.refused(short, "--csv", words=[short, "no steady step", "metrics.every_steps=1"])
        empty = self.write("empty", [])
        self.refused(empty, "--csv", words=[empty, "no steady step"])
        older = self.write("older", [{"event": "step", "step": 20, "loss": 1}])
        self.refused(older, "--csv", words=[older, "an older convoy"])

    def test_runs_without_steady_steps_are_shown_as_far_as_they_came(self):
        short = self.write("short", life(1, []))
        lines = self.report(short).out.splitlines()
        self.assertEqual(lines[0], f"{short}: 5 steps")
        self.assertIn("Passed over: ", lines[1])
        self.assertEqual(lines[2:], [f"report: {short}/report.html"])

    def test_damaged_runs(self):
        for name in ("run.json", "recipe.yaml"):
            out = self.write(f"without-{name}", life(1, [1.0]))
            (out / name).unlink()
            self.refused(out, "--csv", words=[out / name])
            self.assertIn(f"Passed over: {out / name}", self.report(out).out)
        out = self.write("text", life(1, [1.0]))
        (out / "run.json").write_text("{")
        self.refused(out, "--csv", words=[out / "run.json"])

    def test_one_bad_run_of_a_study_is_passed_over_and_named(self):
        self.write("nodes1-rep1", life(1, [4.0] * 3))
        self.write("nodes2-rep1", life(2, []))
        (self.folder / "nodes4-rep1").mkdir()
        (self.folder / "report.txt").write_text("")
        done = self.report(self.folder)
        passed = [line for line in done.out.splitlines() if line.startswith("Passed over: ")]
        self.assertEqual(len(passed), 2, done.out)
        self.assertIn("nodes2-rep1/metrics.jsonl: has no steady step", passed[0])
        self.assertIn("nodes4-rep1: holds no metrics.jsonl", passed[1])
        self.assertEqual(len(self.rows(self.folder)), 1)

    def test_bad_runs_that_are_named_are_passed_over_too(self):
        good = self.write("good", life(1, [4.0] * 3))
        short = self.write("short", life(2, []))
        older = self.write("older", [{"event": "step", "step": 20, "loss": 1}])
        damaged = self.write("damaged", life(1, [1.0]))
        (damaged / "recipe.yaml").unlink()
        study = self.write("study/nodes1-rep1", life(1, [])).parent
        named = [short, older, good, damaged, study]
        text = self.report(*named).out
        csv_done = self.report(*named, "--csv")
        self.assertEqual(len(csv_done.out.splitlines()), 2)
        passed = csv_done.err.splitlines()
        self.assertEqual(len(passed), 4, csv_done.err)
        self.assertTrue(text.endswith(csv_done.err + "report: report.html\n"), text)
        for line, words in zip(passed, (
                "short/metrics.jsonl: has no steady step", "an older convoy",
                "damaged/recipe.yaml", "study/nodes1-rep1/metrics.jsonl: has no steady")):
            self.assertTrue(line.startswith("Passed over: "), line)
            self.assertIn(words, line)

    def test_where_all_runs_are_bad_it_fails_with_all_reasons(self):
        short = self.write("short", life(2, []))
        older = self.write("older", [{"event": "step", "step": 20, "loss": 1}])
        for named in ([short, older], [self.folder]):
            done = self.report(*named, "--csv", status=1)
            self.assertEqual(done.out, "")
            first, *reasons = done.err.splitlines()
            self.assertIn("no run to report on", first)
            self.assertEqual(len(reasons), 2, done.err)
            self.assertIn("short/metrics.jsonl: has no steady step", done.err)
            self.assertIn("older/metrics.jsonl: does not say where", done.err)

    def test_a_named_folder_that_is_no_run_is_an_error_among_good_ones_too(self):
        good = self.write("good", life(1, [4.0] * 3))
        (self.folder / "empty" / "logs").mkdir(parents=True)
        for name, words in (("none", "No such"), ("empty", "holds no run"),
                            ("empty/logs", "is no run directory")):
            self.refused(good, self.folder / name, words=[self.folder / name, words],
                         shows=True)

    def test_a_run_that_is_named_twice_counts_once(self):
        out = self.write("a", life(1, [4.0] * 3))
        row, = self.rows(self.folder, out, f"{out}/")
        self.assertEqual(row["runs"], 1)

    def test_wrong_usage(self):
        self.assertIn("which DIR?", self.report(status=2).err)
        self.assertIn("--cvs", self.report("x", "--cvs", status=2).err)


if __name__ == "__main__":
    unittest.main()

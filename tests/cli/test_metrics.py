"""What a run and eval say in JSON: strict JSON whatever the figures are, and times that add
up."""
import concurrent.futures
import json
import os
import struct
import threading
import time
import unittest

from convoy_case import Case

PHASES = ("compute_s", "exchange_s", "input_s", "optimizer_s")


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def strict(text):
    return json.loads(text, parse_constant=refuse)


def overwrite(path, values):
    """Sets every value of the tensors that values names, by the ends of their names."""
    with open(path, "r+b") as file:
        size, = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(size))
        tensors.pop("__metadata__", None)
        for name, entry in tensors.items():
            begin, end = entry["data_offsets"]
            for tail, value in values.items():
                if name.endswith(tail):
                    file.seek(8 + size + begin)
                    file.write(struct.pack("<f", value) * ((end - begin) // 4))


class Metrics(Case):
    def lines(self, out):
        """Those of saves are read, and left out: their place depends on the disk."""
        lines = [strict(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if line["event"] != "save"]

    def test_all_of_a_run_is_strict_json(self):
        out = self.train(self.write_recipe(), "--stop-after-steps", 20)
        self.assertEqual(len(self.lines(out)), 25)
        self.assertEqual(strict((out / "run.json").read_text())["total_steps"], 100)

    def test_the_times_of_steps_are_within_their_epoch(self):
        for ranks in (0, 2):
            lines = self.lines(self.train(self.write_recipe(), "--stop-after-steps", 20,
                                          ranks=ranks))
            spent = 0.0
            for line in lines[1:]:
                if line["event"] == "ranks":
                    continue
                if line["event"] == "epoch":
                    self.assertLessEqual(spent, line["seconds"] * 1.001)
                    spent = 0.0
                    continue
                spent += sum(line[phase] for phase in PHASES)
                self.assertGreater(line["compute_s"], 0)
                self.assertGreater(line["optimizer_s"], 0)
                self.assertGreaterEqual(line["input_s"], 0)
                self.assertGreater(line["exchange_s"], 0)
                # Both are of the same seconds, the one a step, the other a share.
                self.assertAlmostEqual(24 / line["images_per_s"], line["step_s"])
                self.assertAlmostEqual(line["input_s"] / line["step_s"], line["input_wait"])

    def test_a_line_has_the_means_of_its_steps(self):
        out = self.train(self.write_recipe(metrics={"every_steps": 5}),
                         "--stop-after-steps", 10)
        start, *steps, _, epoch = self.lines(out)
        self.assertEqual([line["steps"] for line in steps], [5, 5])
        spent = 5 * sum(line[phase] for line in steps for phase in PHASES)
        walls = 5 * sum(line["step_s"] for line in steps)
        self.assertLessEqual(spent, walls * 1.001)
        self.assertLessEqual(walls, epoch["seconds"] * 1.001)

    def test_every_life_begins_with_a_line_of_where_it_ran(self):
        recipe = self.write_recipe(metrics={"every_steps": 4}, lanes=2)
        before = int(time.time())
        out = self.train(recipe, "--stop-after-steps", 6, "--oversubscribe", ranks=2)
        self.train(recipe, "--stop-after-steps", 10, out=out)
        lines = self.lines(out)
        self.assertEqual([(line["event"], line["step"]) for line in lines],
                         [("start", 0), ("step", 4), ("ranks", 6), ("start", 6), ("step", 8),
                          ("epoch", 10)])  # the second life has no steady step
        self.assertEqual([line["steps"] for line in lines if line["event"] == "step"], [4, 2])
        first, second = lines[0], lines[3]
        self.assertTrue(before <= first.pop("time") <= second.pop("time"))
        self.assertGreaterEqual(first.pop("cores"), 2)
        self.assertGreaterEqual(second.pop("cores"), 1)
        same = {"event": "start", "nodes": 1, "threads": 1, "batch": 24, "microbatch": 2}
        self.assertEqual(first, {**same, "step": 0, "ranks": 2, "lanes": 4})
        self.assertEqual(second, {**same, "step": 6, "ranks": 1, "lanes": 2})

    def check_timeline(self, out, lines):
        """Of the same steps as the lines of ranks, in which each has its weight."""
        told = strict((out / "timeline.json").read_text())
        steps = sum(line["steps"] for line in lines)
        self.assertEqual((told["step"], told["steps"]), (lines[-1]["step"], steps))
        self.assertEqual((told["batch"], told["microbatch"], told["nodes"]), (24, 2, 1))
        self.assertEqual(told["algorithm"], "two-level")
        for name in ("step_s", "ideal_s"):
            mean = sum(line[name] * line["steps"] for line in lines) / steps
            self.assertAlmostEqual(told[name], mean)
        self.assertEqual([rank["rank"] for rank in told["ranks"]], [0, 1])
        for name in (*PHASES, "hidden_s", "busy_s", "working_s", "step_s"):
            mean = sum(line[name] * line["steps"] for line in lines) / steps
            self.assertAlmostEqual(sum(rank[name] for rank in told["ranks"]) / 2, mean)
        for rank in told["ranks"]:
            self.assertEqual((rank["host"], rank["node"]), (os.uname().nodename, 0))
            self.assertGreater(rank["peak_memory_bytes"], 1 << 20)
            self.assertEqual(rank["lanes"], 1)
            self.assertTrue(0 < rank["working_s"] <= rank["busy_s"] < rank["step_s"], rank)
            self.assertLessEqual(rank["busy_s"], told["ideal_s"] * (1 + 1e-9))
        buckets = told["buckets"]
        self.assertEqual(buckets[0]["bytes"], 1 << 20)
        self.assertGreater(len(buckets), 2)
        times = [bucket[name] for bucket in buckets for name in ("ready_s", "sent_s", "done_s")]
        self.assertTrue(0 < times[0] and times[-1] < told["step_s"], times)
        for column in range(3):  # they leave in order, and none before it is there
            self.assertEqual(times[column::3], sorted(times[column::3]))
            self.assertEqual(times[3 * column:3 * column + 3],
                             sorted(times[3 * column:3 * column + 3]))
        # At least the samples of 17 steps of 24, of a byte a pixel, were read by then.
        self.assertGreaterEqual(told["read"]["bytes"], 17 * 24 * 256)
        self.assertGreater(told["read"]["seconds"], 0)

    def test_a_timeline_that_cannot_be_written_does_not_end_a_run(self):
        recipe = self.write_recipe()
        out = self.train(recipe, "--stop-after-steps", 6)
        self.assertEqual(strict((out / "timeline.json").read_text())["steps"], 1)
        (out / "timeline.json").unlink()
        (out / "timeline.json").mkdir()
        done = self.expect("train", recipe, "--out", out, "--stop-after-steps", 22)
        self.assertEqual(done.out.count("training goes on without it"), 1, done.out)

    def test_the_ranks_are_compared_over_steady_steps(self):
        recipe = self.write_recipe(model={"width": 64}, exchange={"bucket": 1})
        out = self.train(recipe, "--stop-after-steps", 17, ranks=2)
        lines = self.lines(out)
        ranks = [line for line in lines if line["event"] == "ranks"]
        self.assertEqual([(line["step"], line["steps"]) for line in ranks], [(10, 5), (17, 6)])
        for line in ranks:
            steps = [step for step in lines if step["event"] == "step"
                     and line["step"] - line["steps"] < step["step"] <= line["step"]]
            self.assertEqual(len(steps), line["steps"])
            for part in ("compute_s", "exchange_s"):  # rank 0 is one of two
                mean = sum(step[part] for step in steps) / len(steps)
                self.assertLessEqual(line[f"{part}_least"], mean * 1.001)
                self.assertLessEqual(mean, line[f"{part}_most"] * 1.001)
                self.assertAlmostEqual(line[part], (line[f"{part}_least"]
                                                    + line[f"{part}_most"]) / 2)
            # Ranks end a step together, so it lasts as long on all.
            parts = sum(line[part] for part in PHASES)
            walls = sum(step["step_s"] for step in steps) / len(steps)
            self.assertTrue(0.5 * walls < parts < 1.1 * walls, line)
            self.assertTrue(line["compute_s"] < line["busy_s"] <= line["busy_s_most"])
            self.assertLessEqual(line["busy_s_most"], line["ideal_s"] * (1 + 1e-9))
            self.assertTrue(0 < line["working_s"] <= line["working_s_most"]
                            <= line["busy_s_most"], line)
            self.assertTrue(0.5 * walls < line["step_s"] < 1.5 * walls, line)
            travelled = line["hidden_s"] + line["exchange_s"]
            self.assertAlmostEqual(line["hidden_share"], line["hidden_s"] / travelled)
            self.assertIn(line["slowest_rank"], (0, 1))
            self.assertEqual(line["slowest_host"], os.uname().nodename)
        self.check_timeline(out, ranks)

    def test_what_is_right_in_a_step_is_what_evaluation_finds(self):
        pack = self.make_pack("ten", 60, classes=10)
        recipe = self.write_recipe(
            model={"batch_norm": False, "dropout": 0}, batch={"size": 60, "microbatch": 5},
            data={"train": str(pack), "val": "", "augment": {"pad": 0, "flip": False}})
        before = self.checkpoints(self.train(recipe, "--stop-after-steps", 0))[0]
        found = strict(self.expect("eval", "--weights", before, "--data", pack, "--quiet",
                                   "--json").out)
        _, step, _ = self.lines(self.train(recipe, "--stop-after-steps", 1))
        self.assertEqual((step["top1"], step["top5"]), (found["top1"], found["top5"]))
        self.assertTrue(found["top1"] < found["top5"] < 1, found)

    def test_the_memory_is_that_of_the_largest_rank(self):
        peaks = [line["peak_memory_bytes"] for line in
                 self.lines(self.train(self.write_recipe(), "--stop-after-steps", 20,
                                       ranks=2)) if line["event"] == "epoch"]
        self.assertEqual(peaks, sorted(peaks))
        self.assertGreater(peaks[0], 1 << 20)


class Energy(Case):
    def test_the_energy_of_nodes_that_tell_it(self):
        """A thread is the package, which takes a joule now and then."""
        zone = self.folder / "intel-rapl:0"
        zone.mkdir()
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text("9999999999\n")
        counter = zone / "energy_uj"
        counter.write_text("1000000000\n")
        stop = threading.Event()

        def take():
            with open(counter, "r+b", buffering=0) as file:
                joules = 1000
                while not stop.wait(0.002):
                    joules += 1
                    os.pwrite(file.fileno(), b"%d" % (joules * 10 ** 6), 0)
            return joules

        with concurrent.futures.ThreadPoolExecutor() as pool:
            package = pool.submit(take)
            out = self.new_run()
            done = self.run_convoy(
                "train", self.write_recipe(), "--out", out, "--quiet", "--stop-after-steps",
                20, shell=f"export CONVOY_POWERCAP={self.folder} SLURM_JOB_ID=4711")
            stop.set()
            self.assertEqual(done.status, 0, done.err)
        epochs = [line for line in self.metrics(out) if line["event"] == "epoch"]
        self.assertEqual([line["energy_nodes"] for line in epochs], [1, 1])
        self.assertTrue(all(line["energy_j"] >= 1 for line in epochs), epochs)
        energy = strict((out / "timeline.json").read_text())["energy"]
        self.assertEqual((energy["nodes_read"], energy["source"]), (1, "RAPL"))
        self.assertGreater(energy["seconds"], 0)
        told = sum(line["energy_j"] for line in epochs)
        self.assertTrue(told <= energy["joules"] <= package.result() - 1000, (told, energy))
        life, = strict((out / "run.json").read_text())["lives"]
        self.assertEqual(life["slurm_job"], "4711")


class NotFinite(Case):
    """Weights with which training goes well, since it normalises by the batch, but
    evaluation, which takes the running statistics, overflows."""

    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe(batch={"size": 240, "microbatch": 20})
        first = self.checkpoints(self.train(self.recipe, "--stop-after-steps", 0))[0]
        weights = self.folder / "in.safetensors"
        self.overflowing = self.folder / "overflowing.h5"
        self.expect("weights", "export", first, "-o", weights)
        overwrite(weights, {"running_mean": -3e38, "running_var": 1e-30})
        self.expect("weights", "import", weights, "-o", self.overflowing, "--recipe",
                    self.recipe)

    def test_eval_prints_null_and_fails(self):
        command = ("eval", "--weights", self.overflowing, "--data", self.val_pack, "--quiet")
        done = self.expect(*command, "--json", status=1)
        figures = strict(done.out)
        self.assertIsNone(figures["loss"])
        self.assertEqual(figures["samples"], 50)
        self.assert_one_message(done, self.overflowing, self.val_pack, "the loss")
        done = self.run_convoy(*command, ranks=2)
        self.assert_one_message(done, "the loss")
        self.assertIn("loss not finite", done.out)

    def test_a_validation_loss_that_is_not_finite_is_null(self):
        out = self.folder / "run"
        self.run_convoy("train", self.recipe, "--out", out, "--quiet", "--set",
                        f"init.weights={self.overflowing}", "--stop-after-steps", 1)
        lines = [strict(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        _, step, epoch = [line for line in lines if line["event"] != "save"]
        self.assertGreater(step["loss"], 0)
        self.assertIsNone(epoch["val_loss"])


if __name__ == "__main__":
    unittest.main()

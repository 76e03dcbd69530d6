"""convoy train --trace: a file of Chrome's Trace Event Format, with what lanes and exchange
do in a few steps."""
import itertools
import json
import os
import signal
import unittest

from convoy_case import Case, finish, start, wait_for, yaml_lines

MIB = 1 << 20
LANES = 2


class Trace(Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "trace.json"

    def wide_recipe(self):
        """A net of several buckets, whose backward pass takes a while."""
        path = self.folder / "recipe.yaml"
        recipe = {"model": {"name": "mlp", "width": 1024},
                  "data": {"train": str(self.train_pack)},
                  "batch": {"size": 240, "microbatch": 40}, "lanes": LANES,
                  "exchange": {"bucket": 1}, "schedule": {"epochs": 7, "lr": 0.01},
                  "metrics": {"every_steps": 1}}
        path.write_text("\n".join(yaml_lines(recipe)) + "\n")
        return path

    def events(self):
        trace = json.loads(self.file.read_text())
        self.assertEqual(trace["displayTimeUnit"], "ms")
        events = trace["traceEvents"]
        self.assertEqual({event["ph"] for event in events}, {"M", "X"})
        return trace["otherData"], [event for event in events if event["ph"] == "X"]

    def rows(self):
        """The names of rows by rank and number, and of processes by rank."""
        events = json.loads(self.file.read_text())["traceEvents"]
        named = {name: [event for event in events if event["name"] == name]
                 for name in ("thread_name", "process_name")}
        return ({(event["pid"], event["tid"]): event["args"]["name"]
                 for event in named["thread_name"]},
                {event["pid"]: event["args"]["name"] for event in named["process_name"]})

    def assert_ordered(self, events):
        """One after the other, as far as the digits go."""
        for a, b in itertools.pairwise(sorted(events, key=lambda event: event["ts"])):
            self.assertLessEqual(a["ts"] + a["dur"], b["ts"] + 0.01, f"{a}\n{b}")


class TwoRanks(Trace):
    def test_chosen_steps_are_there_and_all_that_lanes_do(self):
        out = self.train(self.wide_recipe(), "--trace", self.file,
                         "--trace-steps", "3-5", "--oversubscribe", ranks=2)
        about, events = self.events()
        self.assertEqual((about["ranks"], about["first_step"], about["last_step"],
                          about["lost_events"]), (2, 3, 5, 0))
        self.assertEqual({event["args"]["step"] for event in events}, {3, 4, 5})
        rows, ranks = self.rows()
        host = os.uname().nodename
        self.assertEqual(ranks, {0: f"rank 0 on {host}", 1: f"rank 1 on {host}"})
        self.assertEqual([rows[1, i] for i in range(LANES + 4)],
                         ["lane 0", "lane 1", "exchange", "under way 0", "under way 1",
                          "under way 2"])
        for rank, step in itertools.product((0, 1), (3, 4, 5)):
            self.check_step([event for event in events if event["pid"] == rank
                             and event["args"]["step"] == step])
        self.check_travel(events, about["clock_error_us"])
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         ["recipe.yaml", "run1", "trace.json"])
        self.assertEqual(len([line for line in self.metrics(out)
                              if line["event"] == "step"]), 7)

    def check_step(self, events):
        """All of a rank's step is within it, each row in order."""
        step, = (event for event in events if event["name"] == "step")
        rest = [event for event in events if event is not step]
        for event in rest:
            self.assertGreaterEqual(event["dur"], 0)
            self.assertGreaterEqual(event["ts"], step["ts"] - 0.01)
            self.assertLessEqual(event["ts"] + event["dur"], step["ts"] + step["dur"] + 0.01)
        for row in range(LANES + 4):
            self.assert_ordered([event for event in rest if event["tid"] == row])
        lanes = [event for event in rest if event["tid"] < LANES]
        for name in ("forward", "backward"):
            own = sorted(event["args"]["microbatch"] for event in lanes
                         if event["name"] == name)
            self.assertIn(own, ([0, 1, 2], [3, 4, 5]))
        self.assertEqual({event["name"] for event in rest if event["tid"] == LANES},
                         {"feed", "prepare weights", "wait for forward passes", "scores",
                          "exchange", "running statistics"})
        buckets = sorted(event["args"]["bucket"] for event in rest if event["tid"] > LANES)
        self.assertEqual(buckets, list(range(len(buckets))))
        self.assertGreater(len(buckets), 4)
        # Weights change when the last sum is there, and not before.
        for name, expected in (("wait for sum", buckets[-1:]), ("update", buckets)):
            self.assertEqual({event["args"]["bucket"] for event in lanes
                              if event["name"] == name}, set(expected))

    def check_travel(self, events, error_us):
        """A sum cannot be there before both ranks sent their parts, by one clock. Buckets
        travel while lanes compute."""
        buckets = [event for event in events if event["name"].startswith("bucket ")]
        posted = {(event["pid"], event["args"]["step"], event["args"]["bucket"]): event["ts"]
                  for event in buckets}
        for event in buckets:
            other = posted[1 - event["pid"], event["args"]["step"], event["args"]["bucket"]]
            self.assertGreaterEqual(event["ts"] + event["dur"] + 2 * error_us + 0.01, other)
            self.assertLessEqual(event["args"]["bytes"], MIB)
        self.assertTrue(any(
            first["ts"] < backward["ts"] + backward["dur"] and first["pid"] == backward["pid"]
            and first["args"]["step"] == backward["args"]["step"]
            for first in buckets for backward in events if backward["name"] == "backward"))

    def test_a_run_that_ends_early_has_its_steps_and_only_chosen_ranks(self):
        recipe = self.write_recipe(schedule={"epochs": 100000})
        out = self.new_run()
        process = start(["train", recipe, "--out", out, "--quiet", "--trace", self.file,
                         "--trace-steps", "2-100000", "--trace-ranks", "1"], 2)
        wait_for(process, out / "checkpoints/step-00000010.h5")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(finish(process).status, 75)
        about, events = self.events()
        steps = {event["args"]["step"] for event in events}
        self.assertEqual(steps, set(range(2, self.steps_saved(out)[-1] + 1)))
        self.assertEqual((about["first_step"], about["last_step"]), (2, max(steps)))
        self.assertEqual({event["pid"] for event in events}, {1})


class Alone(Trace):
    def test_without_a_choice_the_first_steady_steps_are_traced(self):
        self.train(self.write_recipe(), "--trace", self.file, "--stop-after-steps", 12)
        _, events = self.events()
        self.assertEqual({event["args"]["step"] for event in events}, {6, 7, 8})
        self.assertFalse([event for event in events if event["name"].startswith("bucket")])
        self.train(self.write_recipe(), "--trace", self.file, "--stop-after-steps", 2)
        self.assertEqual({event["args"]["step"] for event in self.events()[1]}, {1, 2})

    def test_a_run_that_goes_on_behind_the_steps_leaves_the_file(self):
        out = self.train(self.write_recipe(), "--stop-after-steps", 3)
        self.file.write_text("earlier")
        done = self.expect("train", self.write_recipe(), "--out", out, "--stop-after-steps", 4,
                           "--trace", self.file, "--trace-steps", 3)
        self.assertIn(f"{self.file} is left as it is", done.out)
        self.assertEqual(self.file.read_text(), "earlier")

    def test_what_cannot_be_traced_is_refused_before_training(self):
        recipe, out = self.write_recipe(), self.folder / "out"
        pipe, link = self.folder / "pipe", self.folder / "link"
        os.mkfifo(pipe)
        link.symlink_to(self.file)
        for options, status, words in (
                (["--trace-steps", "3"], 2, ["--trace FILE is missing"]),
                (["--trace-steps", "0-3"], 2, ["--trace-steps", "'0-3'"]),
                (["--trace-steps", "5-3"], 2, ["--trace-steps", "'5-3'"]),
                (["--trace-steps", "1-2-"], 2, ["--trace-steps", "'1-2-'"]),
                (["--trace-ranks", "0,"], 2, ["--trace-ranks", "'0,'"]),
                (["--trace-ranks", "99999999999999999999"], 2, ["--trace-ranks"]),
                (["--trace", self.file, "--trace-ranks", "0,2-3"], 1,
                 ["--trace-ranks", "rank 3", "rank 0"]),
                (["--trace", self.file, "--trace-steps", "101"], 1,
                 ["--trace-steps", "step 101", "ends with step 100"]),
                (["--trace", self.folder], 1, [self.folder, "is a folder"]),
                (["--trace", self.folder / "none" / "t.json"], 1, ["none/t.json"]),
                (["--trace", ""], 1, ["--trace", "is empty"]),
                (["--trace", pipe], 1, [pipe, "a pipe, socket or device"]),
                (["--trace", "/dev/null"], 1, ["/dev/null", "a pipe, socket or device"]),
                (["--trace", link], 1, [link, "a link"]),
                (["--trace", out / "metrics.jsonl"], 1, ["metrics.jsonl", "the run itself"]),
                (["--trace", out / "checkpoints" / ".." / "run.lock"], 1,
                 ["run.lock", "the run itself"]),
                (["--trace", out / "checkpoints" / "t.json"], 1, ["the run itself"])):
            with self.subTest(options=options):
                done = self.run_convoy("train", recipe, "--out", out, "--quiet", *options)
                self.assert_one_message(done, *words, status=status)
        self.assertFalse((out / "metrics.jsonl").exists())
        self.assertFalse(self.file.exists())

    def test_a_file_that_cannot_be_written_ends_no_run_but_fails_it(self):
        out, folder = self.new_run(), self.folder / "traces"
        folder.mkdir()
        process = start(["train", self.write_recipe(), "--out", out, "--trace",
                         folder / "t.json", "--trace-steps", "20-90"])
        wait_for(process, out / "metrics.jsonl")
        folder.rmdir()
        done = finish(process)
        self.assert_one_message(done, "traces/t.json")
        self.assertIn("training goes on without a trace", done.out)
        self.assertIn(self.hash(out), done.out)  # the closing lines
        self.assertEqual(self.steps_saved(out)[-1], 100)


if __name__ == "__main__":
    unittest.main()

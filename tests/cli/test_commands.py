"""What each command prints and writes when all goes well: the contract that scripts rely
on, and the run directory as docs/run-directory.md describes it."""
import json
import os
import pathlib
import pty
import re
import shutil
import unittest

from convoy_case import (Case, finish, start, wait_for, write_class_folders,
                         write_images)

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
OPTIONS = {
    "pack": ["-o", "--output", "--parts", "--max-side", "--quality", "--classes",
             "--max-per-class", "--devkit", "--inside", "--split", "--strict",
             "--allow-skipped", "--threads", "--quiet"],
    "verify": ["--quiet"],
    "info": ["--json", "--classes", "--input", "--size", "--compare", "--ranks", "--set", "recipe"],
    "doctor": ["--json", "--set"],
    "train": ["--out", "--set", "--resume", "--stop-after-steps", "--oversubscribe",
              "--quiet"],
    "eval": ["--weights", "--data", "--json", "--lanes", "--threads", "--microbatch",
             "--crop", "--resize", "--flip", "--quiet"],
    "landscape": ["--weights", "--data", "-o", "--out", "--points", "--range", "--1d",
                  "--seed", "--samples", "--ema", "--lanes", "--threads", "--microbatch",
                  "--precision", "--json", "--quiet"],
    "predict": ["--weights", "--top", "--json", "--lanes", "--threads"],
    "weights": ["hash", "diff", "import", "export", "-o", "--output", "--model", "--recipe",
                "--classes", "--crop", "--set", "--class-names", "--skip"],
    "report": ["--csv", "--talp"],
    "convolve": ["--kernel", "--correlate", "--pool", "--window", "--stride", "--pad",
                 "--dilation", "--grey", "--channel", "--explain", "--numbers", "-o",
                 "--output", "--scale", "--signal", "--with", "--demo"],
    "show": ["kernels", "activations", "cam", "saliency", "occlusion", "confusion",
             "samples", "-o", "--html", "--values", "--weights", "--ema", "--layer",
             "--class", "--data", "--record", "--augmented", "--n", "--window",
             "--stride", "--quiet"],
    "plan": ["--nodes", "--network", "--bench", "--weak", "--ranks-per-node",
             "--microbatch", "--bucket", "--read", "--csv", "--json"],
}
START_KEYS = {"event", "step", "time", "nodes", "ranks", "lanes", "cores", "threads", "batch",
              "microbatch"}
STEP_KEYS = {"event", "step", "epoch", "loss", "top1", "top5", "lr", "skipped",
             "skipped_steps", "images_per_s", "input_wait", "loader_threads", "steps", "step_s", "compute_s", "exchange_s",
             "hidden_s", "input_s", "optimizer_s"}
RANKS_KEYS = {"event", "step", "steps", "compute_s", "compute_s_least", "compute_s_most",
              "exchange_s", "exchange_s_least", "exchange_s_most", "hidden_s", "hidden_share",
              "input_s", "input_s_most", "optimizer_s", "optimizer_s_most", "busy_s",
              "busy_s_most", "working_s", "working_s_most", "step_s", "ideal_s",
              "slowest_rank", "slowest_host"}
SAVE_KEYS = {"event", "step", "seconds", "waited_s"}
EPOCH_KEYS = {"event", "step", "epoch", "seconds", "peak_memory_bytes"}
MACHINES_KEYS = {"energy_j", "energy_nodes"}  # where the machine tells its energy
VAL_KEYS = {"val_loss", "val_top1", "val_top5", "val_seconds", "val_samples"}
RUN_KEYS = {"started", "from_step", "convoy", "onednn", "mpi", "hdf5", "isa", "ranks",
            "nodes", "lanes", "threads", "cpus_allowed", "hosts", "train_pack", "val_pack",
            "parameters", "multiply_adds", "steps_per_epoch", "total_steps", "activation_bytes",
            "memory_bytes", "onednn_isa", "kernels", "lives"}


def keep_until_end(terminal):
    """What was written to a terminal whose other side is closed."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # what Linux says at its end
            part = b""
        if not part:
            os.close(terminal)
            return shown.decode()
        shown += part


class Help(Case):
    def test_help_lists_the_commands_and_each_lists_its_options(self):
        for word in ("--help", "-h"):
            out = self.expect(word).out
            for command in OPTIONS:
                self.assertRegex(out, rf"(?m)^  {command} +\w")
        for command, options in OPTIONS.items():
            for words in ((command, "--help"), (command, "x", "-h")):
                done = self.expect(*words)
                self.assertTrue(done.out.startswith(f"usage: convoy {command} "), done.out)
                self.assertEqual(done.err, "")
                for option in options:
                    self.assertIn(option, done.out)

    def test_the_readme_lists_every_command(self):
        commands = re.findall(r"(?m)^  (\w+) +\w", self.expect("--help").out.split("\n\n")[2])
        listed = re.findall(r"(?m)^\| `(\w+)` \|", README.read_text())
        self.assertEqual(sorted(listed), sorted(commands))

    def test_every_option_that_help_names_is_accepted(self):
        """A missing value or argument is noticed after the option itself was known."""
        for command in OPTIONS:
            too_many = ("a", "b") if command == "doctor" else ()  # which needs no argument
            for option in re.findall(r"--[a-z-]+", self.expect(command, "--help").out):
                done = self.expect(command, option, *too_many, status=2)
                self.assertNotIn("unknown option", done.err)

    def test_version(self):
        self.assertRegex(self.expect("--version").out, r"^convoy \d+\.\d+\.\d+\n$")

    def test_no_command_is_wrong_usage(self):
        done = self.expect(status=2)
        self.assertIn("usage: convoy COMMAND", done.err)


class Packs(Case):
    def test_packing_says_what_was_packed(self):
        pack = self.folder / "new.h5"
        for options, suffix in ((["-o", pack], ""), (["--output", pack, "-q"], ".gz")):
            images, _ = write_images(self.folder / f"idx{suffix}", 30, suffix=suffix)
            done = self.expect("pack", images, *options)
            match = re.fullmatch(rf"{pack}: 30 records, 4 classes, 7680 bytes, pack id "
                                 r"([0-9a-f]{32})\n", done.out)
            self.assertTrue(match, done.out)
            info = json.loads(self.expect("info", pack, "--json").out)
            self.assertEqual(info, {
                "kind": "pack", "file": str(pack), "version": 1, "id": match[1],
                "part": 0, "parts": 1, "records": 30, "bytes": 7680, "encoding": "raw",
                "shape": [1, 16, 16],
                "classes": [{"name": str(i), "records": 8 - i // 2} for i in range(4)]})

    def test_class_folders_become_classes(self):
        tree, pack = self.folder / "tree", self.folder / "tree.h5"
        names = ["a cat", 'b "dog"', "c \u00f6"]
        write_class_folders(tree, names)
        self.expect("pack", tree, "-o", pack)
        info = json.loads(self.expect("info", "--json", pack).out)
        self.assertEqual(info["encoding"], "png")
        self.assertNotIn("shape", info)
        self.assertEqual([c["name"] for c in info["classes"]], names)
        text = self.expect("info", pack).out
        for word in (str(pack), info["id"], "records   9", "png", *names):
            self.assertIn(word, text)
        self.assertEqual(self.expect("verify", pack).out,
                         f"{pack}: all 9 records are good\n")
        self.assertEqual(self.expect("verify", "--quiet", pack).out, "")

    def test_a_net_learns_from_image_files(self):
        tree, pack = self.folder / "tree", self.folder / "tree.h5"
        write_class_folders(tree, ["cat", "dog"], n=12)
        self.expect("pack", tree, "-o", pack)
        recipe = self.write_recipe(
            data={"train": str(pack), "val": str(pack), "crop": 16,
                  "augment": {"resized_crop": True, "pad": 0}})
        out = self.train(recipe, "--stop-after-steps", 2, ranks=2)
        self.assertEqual(self.hash(out),
                         self.hash(self.train(recipe, "--stop-after-steps", 2)))

    def test_the_same_images_have_the_same_pack_id(self):
        ids = set()
        for seed in (1, 1, 2):
            pack = self.make_pack(f"same{seed}", 20, seed=seed)
            ids.add(json.loads(self.expect("info", "--json", pack).out)["id"])
        self.assertEqual(len(ids), 2)


class Weights(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        cls.run_dir = case.train(case.write_recipe(), "--stop-after-steps", 13)
        cls.first, cls.last = case.checkpoints(cls.run_dir)

    def test_hash_prints_a_line_a_file(self):
        copy = self.folder / "copy.h5"
        shutil.copy(self.last, copy)
        files = [self.first, self.last, copy]
        lines = self.expect("weights", "hash", *files).out.splitlines()
        hashes, names = zip(*(line.split("  ") for line in lines))
        self.assertEqual(names, tuple(map(str, files)))
        self.assertEqual(hashes[1], hashes[2])
        self.assertNotEqual(hashes[0], hashes[1])

    def test_diff_says_which_tensors_differ(self):
        same = self.expect("weights", "diff", self.last, self.last).out.splitlines()
        total = int(re.fullmatch(r"(\d+) of \1 tensors are equal", same[-1])[1])
        self.assertEqual(len(same), total + 1)
        self.assertIn("params/conv1.weight: equal", same)
        self.assertIn("buffers/bn1.running_mean: equal", same)
        other = self.expect("weights", "diff", self.first, self.last, status=1).out
        self.assertRegex(other, r"(?m)^params/fc2.bias: largest difference \S+, relative ")
        self.assertIn(f"\n0 of {total} tensors are equal\n", other)

    def test_info_describes_a_checkpoint(self):
        text = self.expect("info", self.last).out
        for word in (str(self.last), "step: 13", "model: lenet", "params/fc1.weight [500, 10]",
                     "optimizer/momentum/fc1.weight [500, 10]", "label_smoothing",
                     "parameters: 8632"):
            self.assertIn(word, text)

    def test_eval_on_other_classes_is_refused(self):
        other = self.folder / "other.h5"
        images, _ = write_images(self.folder / "val", 50, seed=9)
        self.expect("pack", images, "-o", other, "--quiet", "--classes", "2-3")
        done = self.run_convoy("eval", "--weights", self.last, "--data", other)
        self.assert_one_message(done, "class 0 is '2' in", other, "'0'")

    def test_eval_prints_a_line_or_one_object(self):
        command = ("eval", "--weights", self.last, "--data", self.val_pack)
        done = self.expect(*command, "--json")
        found = json.loads(done.out)
        self.assertEqual(set(found), {"top1", "top5", "loss", "samples"})
        self.assertEqual((found["top5"], found["samples"]), (1, 50))
        self.assertEqual(found["top1"] * 50, round(found["top1"] * 50))
        self.assertEqual(self.expect(*command, "--quiet").out,
                         f"top-1 {100 * found['top1']:.2f} %  top-5 100.00 %  loss "
                         f"{found['loss']:.4f}  (50 samples)\n")
        last = [line for line in self.metrics(self.run_dir) if line["event"] == "epoch"][-1]
        first = json.loads(self.expect("eval", "--weights", self.first, *command[3:],
                                       "--json").out)
        self.assertEqual(
            (last["val_loss"], last["val_top1"], last["val_top5"], last["val_samples"]),
            (first["loss"], first["top1"], first["top5"], first["samples"]))
        other = json.loads(self.expect(*command, "--json", "--microbatch", 7, "--threads",
                                       2).out)
        self.assertEqual(other["top1"], found["top1"])
        self.assertAlmostEqual(other["loss"], found["loss"], places=5)


class RunDirectory(Case):
    def test_a_run_learns_and_says_so(self):
        out = self.new_run()
        done = self.expect("train", self.write_recipe(), "--out", out, ranks=2)
        lines = done.out.splitlines()
        self.assertRegex(lines[0], r"^lenet, 8632 parameters, 2 ranks, batch 12 x 2, "
                                   r"10 steps an epoch$")
        self.assertRegex(lines[1], r"^rank 0: \d+ lanes? of 1 thread on \d+ core")
        self.assertRegex(lines[2], r"^memory: \S+ MiB a rank: ")
        lines = lines[3:]
        self.assertEqual(lines[10], "steps: 100")
        for epoch, line in enumerate(lines[:10], 1):
            self.assertRegex(line, rf"^epoch {epoch}/10, step {epoch}0: loss \S+, "
                                   r"validation top-1 \S+ %, top-5 100.00 %, loss \S+$")
        self.assertGreater(self.metrics(out)[-1]["val_top1"], 0.9)
        self.assertEqual(self.steps_saved(out), list(range(10, 101, 10)))
        self.assertEqual({path.name for path in out.iterdir()},
                         {"recipe.yaml", "run.json", "metrics.jsonl", "timeline.json",
                          "checkpoints", "life-1"})
        self.assertEqual([path.name for path in (out / "life-1").iterdir()], ["run.lock"])
        self.assertEqual(len(list((out / "checkpoints").iterdir())), 12)  # and two links

    def test_every_line_of_metrics_holds_the_documented_keys(self):
        for val, more in ((self.val_pack, VAL_KEYS), ("", set())):
            out = self.train(self.write_recipe(data={"val": str(val)}),
                             "--stop-after-steps", 20)
            lines = self.metrics(out, saves=True)
            keys = {"start": START_KEYS, "step": STEP_KEYS, "ranks": RANKS_KEYS,
                    "save": SAVE_KEYS, "epoch": EPOCH_KEYS | more}
            for line in lines:
                self.assertEqual(set(line) - MACHINES_KEYS, keys[line["event"]])
            self.assertEqual([line["step"] for line in lines if line["event"] == "epoch"],
                             [10, 20])
            self.assertEqual(lines[5]["epoch"], 0.5)
            self.assertAlmostEqual(lines[5]["lr"], 0.02 * 5 / 10, places=3)

    def test_the_resolved_recipe_gives_the_same_run(self):
        out = self.train(self.write_recipe(), "--set", "seed=7", "--stop-after-steps", 13)
        text = (out / "recipe.yaml").read_text()
        for line in ("seed: 7", "  crop: 16", "  classes: 4", "threads: 1",
                     "  every_steps: 1"):
            self.assertIn(line, text.splitlines())
        again = self.train(out / "recipe.yaml", "--stop-after-steps", 13)
        self.assertEqual((again / "recipe.yaml").read_text(), text)
        self.assertEqual(self.hash(again), self.hash(out))

    def test_run_json_tells_what_ran(self):
        out = self.train(self.write_recipe(), "--stop-after-steps", 13, ranks=2)
        facts = json.loads((out / "run.json").read_text())
        self.assertEqual(set(facts), RUN_KEYS)
        self.assertRegex(facts["started"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        ids = [json.loads(self.expect("info", "--json", pack).out)["id"]
               for pack in (self.train_pack, self.val_pack)]
        expected = {"from_step": 0, "ranks": 2, "nodes": 1, "threads": 1,
                    "train_pack": ids[0], "val_pack": ids[1], "parameters": 8632,
                    "steps_per_epoch": 10, "total_steps": 100}
        self.assertEqual({key: facts[key] for key in expected}, expected)
        self.assertEqual([(row["layer"], row["pass"]) for row in facts["kernels"]],
                         [("conv1", "forward"), ("conv2", "forward"),
                          ("conv2", "backward weights"), ("conv2", "backward data"),
                          ("conv1", "backward weights")])
        self.assertTrue(facts["onednn_isa"])
        self.assertTrue(all(row["kernels"] for row in facts["kernels"]))
        self.train(self.write_recipe(), "--stop-after-steps", 20, out=out)
        facts = json.loads((out / "run.json").read_text())
        self.assertEqual((facts["from_step"], facts["ranks"]), (13, 1))

    def test_resume_auto_says_where_it_goes_on(self):
        out = self.train(self.write_recipe(), "--stop-after-steps", 13)
        done = self.expect("train", self.write_recipe(), "--out", out, "--resume", "auto",
                           "--stop-after-steps", 14)
        self.assertIn("going on from step 13", done.out)


ALWAYS = ("steps", "epochs", "steps_here", "seconds")
STEADY = ("step_s", "images_per_s", "step_parts", "loss")
VALIDATED = ("val_loss", "val_top1", "val_top5")
JOB = ("nodes", "ranks", "lanes", "cores", "threads", "batch", "microbatch",
       "peak_memory_bytes", "checkpoint", "hash")


class ClosingLines(Case):
    """What scripts find at the end of a log: keys and their order are promised."""

    def closing(self, done):
        """The lines from the first that is one of them on."""
        lines = done.out.splitlines()
        return dict(line.split(": ") for line in lines[lines.index(next(
            line for line in lines if line.startswith("steps: "))):])

    def run_until(self, steps, out, recipe, ranks=0):
        return self.closing(self.expect("train", recipe, "--out", out, "--stop-after-steps",
                                        steps, "--oversubscribe", ranks=ranks))

    def test_they_tell_what_the_run_came_to(self):
        out, recipe = self.new_run(), self.write_recipe(lanes=3)
        found = self.run_until(18, out, recipe, ranks=2)
        self.assertEqual(tuple(found), ALWAYS + STEADY + VALIDATED + JOB)
        lines = self.metrics(out)
        epoch = next(line for line in lines if line["event"] == "epoch")
        steps = [line["step_s"] for line in lines if line["event"] == "step"]
        self.assertEqual(
            {key: found[key] for key in ("steps", "epochs", "steps_here", "nodes", "ranks",
                                         "lanes", "threads", "batch", "microbatch")},
            {"steps": "18", "epochs": "1", "steps_here": "18", "nodes": "1", "ranks": "2",
             "lanes": "6", "threads": "1", "batch": "24", "microbatch": "2"})
        for key in VALIDATED:
            self.assertAlmostEqual(float(found[key]), epoch[key], places=5)
        last = [line for line in lines if line["event"] == "step"][-1]
        self.assertAlmostEqual(float(found["loss"]), last["loss"], places=5)
        self.assertRegex(
            found["step_parts"],
            r"^compute \S+ s \(\S+ to \S+\), exchange \S+ s exposed \(\S+ to \S+\), \S+ s "
            r"hidden \(\d+ %\), input \S+ s, optimizer \S+ s; slowest rank [01] on "
            rf"{os.uname().nodename}, busy \S+ s, all in the mean \S+ s$")
        self.assertTrue(min(steps) * 0.999 <= float(found["step_s"]) <= max(steps) * 1.001)
        self.assertAlmostEqual(float(found["images_per_s"]) * float(found["step_s"]), 24,
                               places=2)
        self.assertGreater(float(found["seconds"]), sum(steps) * 0.999)
        self.assertGreaterEqual(int(found["peak_memory_bytes"]), epoch["peak_memory_bytes"])
        checkpoint = self.checkpoints(out)[-1]
        self.assertEqual(found["checkpoint"], str(checkpoint))
        self.assertEqual(found["hash"], self.hash(checkpoint))

    def test_what_is_not_known_is_left_out(self):
        out, recipe = self.new_run(), self.write_recipe()
        found = self.run_until(5, out, recipe)  # all of them begin the life
        self.assertEqual(tuple(found), ALWAYS + ("loss",) + JOB)
        again = self.run_until(5, out, recipe)
        self.assertEqual(tuple(again), ALWAYS + JOB)
        self.assertEqual((again["steps"], again["steps_here"]), ("5", "0"))
        self.assertEqual((again["hash"], again["checkpoint"]),
                         (found["hash"], found["checkpoint"]))

    def test_a_stop_by_a_signal_has_them(self):
        out = self.new_run()
        process = start(["train", self.write_recipe(schedule={"epochs": 1000}), "--out", out])
        wait_for(process, out / "checkpoints/step-00000010.h5")
        process.terminate()
        done = finish(process)
        self.assertEqual(done.status, 75, done.err)
        found = self.closing(done)
        self.assertEqual(tuple(found), ALWAYS + STEADY + VALIDATED + JOB)
        self.assertEqual(found["hash"], self.hash(out))

    def test_quiet_leaves_them_out(self):
        self.assertEqual(self.expect("train", self.write_recipe(), "--out", self.new_run(),
                                     "--quiet", "--stop-after-steps", 7).out, "")


class Progress(Case):
    def on_terminal(self, *arguments):
        """What a command shows on a terminal of 80 columns."""
        ours, theirs = pty.openpty()
        process = start(arguments, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = keep_until_end(ours)
        self.assertEqual(finish(process).status, 0, shown)
        return shown

    def test_training_shows_a_bar_on_a_terminal(self):
        recipe = self.write_recipe(schedule={"epochs": 60}, checkpoint={"every_epochs": 0})
        shown = self.on_terminal("train", recipe, "--out", self.new_run())
        self.assertRegex(shown, r"\repoch \d+/60 \[=*> *\] \d+% \d+/600  loss \d+\.\d{4}, "
                                r"\d+ img/s  \d+:\d\d left")
        self.assertIn("epoch 60/60, step 600:", shown)
        self.assertNotRegex(shown, r"left\x1b\[K(?!\r)", "the bar was not cleared")

    def test_quiet_shows_nothing(self):
        out = self.new_run()
        recipe = self.write_recipe()
        self.assertEqual(self.on_terminal("train", recipe, "--out", out, "--quiet"), "")
        self.assertEqual(self.on_terminal("train", recipe, "--out", out, "-q"), "")
        self.assertEqual(self.on_terminal("verify", self.val_pack, "--quiet"), "")

    def test_elsewhere_there_is_no_bar(self):
        done = self.expect("train", self.write_recipe(), "--out", self.new_run())
        self.assertNotIn("\r", done.out + done.err)


if __name__ == "__main__":
    unittest.main()

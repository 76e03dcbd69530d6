"""run.json tells of all lives of a run, and convoy info of these and of the checkpoints."""
import json
import os
import pathlib
import random
import shutil
import signal
import unittest

from convoy_case import Case, finish, start, wait_for

COUNTED_READS = os.environ["CONVOY_COUNTED_READS"]  # tests/support/counted_reads.c


class Run(Case):
    def until(self, steps, out=None, *options, recipe=None, **more):
        return self.train(recipe or self.write_recipe(), "--stop-after-steps", steps, *options,
                          out=out, **more)

    def run_json(self, out):
        return json.loads((out / "run.json").read_text())

    def lives(self, out):
        return self.run_json(out)["lives"]

    def info(self, out):
        return json.loads(self.expect("info", "--json", out).out)

    def shown(self, out):
        return self.expect("info", out).out

    def damage(self, path, change):
        content = bytearray(path.read_bytes())
        path.write_bytes(change(content))


class Lives(Run):
    def test_each_life_is_added_with_its_end(self):
        out = self.until(7, ranks=2)
        self.until(13, out, "--set", "schedule.epochs=12")
        self.until(15, out, "--set", "schedule.epochs=12", "--set", "seed=2",
                   "--resume-anyway")
        lives = self.lives(out)
        numbers = [life["life"] for life in lives]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual([(life["from_step"], life["last_step"], life["ranks"])
                          for life in lives], [(0, 7, 2), (7, 13, 1), (13, 15, 1)])
        self.assertEqual([life["how"] for life in lives], ["--stop-after-steps"] * 3)
        self.assertIsNone(lives[0]["resumed_from"])
        self.assertEqual(lives[1]["resumed_from"],
                         str(out / "checkpoints" / "step-00000007.h5"))
        epochs = {"what": "schedule.epochs", "was": "10", "now": "12", "resume": "noted"}
        seed = {"what": "seed", "was": "1", "now": "2", "resume": "same"}
        self.assertEqual([life["changed"] for life in lives], [[], [epochs], [seed]])
        run = self.run_json(out)
        for key in ("started", "convoy", "onednn", "isa", "onednn_isa", "hosts", "threads"):
            self.assertEqual(run[key], lives[-1][key])
        for life in lives:
            self.assertRegex(life["started"] + life["ended"], r"^(\d{4}-\S+Z){2}$")
        text = self.shown(out)
        for words in ("changed: schedule.epochs: 12, was 10\n",
                      "changed, with other weights: seed: 2, was 1\n", "13 to 15",
                      "saved after 15 of 120 steps, 1.5 epochs",
                      "--resume auto goes on from step-00000015.h5"):
            self.assertIn(words, text)
        info = self.info(out)
        self.assertEqual(info["lives"], lives)
        self.assertEqual((info["kind"], info["model"], info["total_steps"], info["next"]),
                         ("run", "lenet", 120, "step-00000015.h5"))

    def test_ends_of_all_kinds(self):
        recipe = self.write_recipe(schedule={"epochs": 1000})
        out = self.new_run()
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = start(["train", recipe, "--out", out, "--quiet"])
            steps = (out / "metrics.jsonl").stat().st_size if self.n_lives(out) else 0
            wait_for(process, out / "metrics.jsonl", steps + 2000)
            if number == signal.SIGKILL:
                self.assertEqual(self.info(out)["holder_is"], "at work")
            process.send_signal(number)
            finish(process)
        first, second = self.lives(out)
        self.assertIn("stopped by a signal", first["how"])
        self.assertEqual(first["last_step"], second["from_step"])
        self.assertNotIn("ended", second)
        self.assertEqual(self.info(out)["holder_is"], "over")
        self.assertIn("ended without a word", self.shown(out))
        last = self.steps_saved(out)[-1] + 3
        self.until(last, out, recipe=recipe)
        self.assertIn("ended without a word", self.shown(out))
        self.assertIsNone(self.info(out)["holder"])
        whole = self.train(self.write_recipe(schedule={"epochs": 1}))
        self.assertEqual(self.lives(whole)[0]["how"], "done")

    def n_lives(self, out):
        return len(self.lives(out)) if (out / "run.json").exists() else 0

    def test_a_file_from_elsewhere_is_told_in_any_life(self):
        other = self.checkpoints(self.until(5))[-1]
        out = self.until(3)
        self.until(7, out, "--resume", other)
        self.until(8, out)
        text = self.shown(out)
        self.assertEqual(text.count("        from "), 1, text)
        self.assertIn(f"        from {other}\n", text)

    def test_a_failure_is_told(self):
        recipe = self.write_recipe(schedule={"lr": 1e30, "warmup_epochs": 0},
                                   model={"name": "mlp", "batch_norm": False, "dropout": -1},
                                   batch={"size": 240, "microbatch": 24})
        out = self.train(recipe, status=1)
        self.assertRegex(self.lives(out)[0]["how"], "^failed: .*diverged")
        self.assertRegex(self.shown(out), r"diverged-0+1\.h5 +\S+ KiB +diverged")

    def test_what_stands_there_is_no_trap(self):
        """An older run.json, and ones that are damaged or somebody else's."""
        out = self.until(3)
        older = self.run_json(out)
        del older["lives"]
        deep = '{"lives": [' + '{"a": [' * 50 + "1" + "]}" * 50 + "]}"
        for text, expected in ((json.dumps(older), 0), ("{", None), ("[]", None),
                               ('{"lives": [3, {"life": 7, "how": "x", "new": true}]}', 7),
                               (deep, 0)):
            (out / "run.json").write_text(text)
            done = self.expect("train", self.write_recipe(), "--out", out,
                               "--stop-after-steps", 3)
            lives = self.lives(out)
            self.assertEqual("list of lives begins anew" in done.out + done.err,
                             expected is None, text)
            self.assertEqual(len(lives), {None: 1, 7: 3}.get(expected, 2))
            self.assertEqual(lives[-1]["how"], "--stop-after-steps")
            self.assertEqual(self.info(out)["lives"], lives)
        (out / "run.json").write_text('{"lives": [{"life": 1, "how": "\\u001b[2J"}]}')
        self.assertIn("saved after 3 steps,", self.shown(out))
        self.assertNotIn("\x1b", self.shown(out))
        (out / "run.json").unlink()
        self.assertIn("no lives are known", self.shown(out))


class Checkpoints(Run):
    def test_flipped_bits_and_truncations_are_passed_over_by_name(self):
        out = self.until(13)
        newest = self.checkpoints(out)[-1]
        sound, draw = newest.read_bytes(), random.Random(7)
        weights = self.hash(newest)
        self.assertEqual([row["good"] for row in self.info(out)["checkpoints"]], [True, True])
        n_damaged = 0
        for i in range(40):
            at = draw.randrange(len(sound))
            content = bytearray(sound)
            content[at] ^= 1 << draw.randrange(8)
            newest.write_bytes(content if i < 20 else sound[:at])
            info = self.info(out)
            row, earlier = info["checkpoints"]
            self.assertTrue(earlier["good"])
            self.assertEqual((row["file"], row["bytes"]), (newest.name, newest.stat().st_size))
            if row["good"]:  # bytes of the file that mean nothing
                self.assertEqual(self.hash(newest), weights)
                continue
            self.assertIn(newest.name, row["why"])
            self.assertEqual(info["next"], earlier["file"])
            n_damaged += 1
        self.assertGreater(n_damaged, 30)
        done = self.expect("train", self.write_recipe(), "--out", out, "--stop-after-steps", 13)
        self.assertIn("passed over 1 damaged or diverged checkpoint: ", done.out)
        self.assertIn("going on from step 10", done.out)
        self.assertEqual(self.hash(out), weights)

    def test_files_that_are_no_checkpoints_of_this_run(self):
        recipe = self.write_recipe()
        out = self.until(13)
        foreign = out / "checkpoints" / "step-00000099.h5"
        shutil.copy(self.train_pack, foreign)  # HDF5, but a pack
        (out / "checkpoints" / "step-00000098.h5").write_text("no HDF5")
        info = self.info(out)
        self.assertEqual([row["good"] for row in info["checkpoints"]],
                         [False, False, True, True])
        self.assertIn("step-00000099.h5: is no convoy checkpoint", info["checkpoints"][0]["why"])
        self.assertEqual(info["next"], "step-00000013.h5")
        done = self.expect("train", recipe, "--out", out, "--stop-after-steps", 14)
        self.assertIn("passed over 2", done.out)
        self.assertIn("step-00000099.h5: is no convoy checkpoint", done.out)
        mlp = self.until(3, recipe=self.write_recipe(
            "mlp.yaml", model={"name": "mlp", "batch_norm": False}))
        shutil.copy(self.checkpoints(mlp)[0], foreign)
        for options, words in (((), ("'model.name: \"mlp\"'", foreign)),
                               (("--resume-anyway",), (foreign, "the model does not have"))):
            done = self.run_convoy("train", recipe, "--out", out, *options)
            self.assert_one_message(done, *words)

    def test_where_none_is_good_it_says_so(self):
        out = self.until(3)
        self.damage(self.checkpoints(out)[0], lambda content: content[:3000])
        info = self.info(out)
        self.assertIsNone(info["next"])
        self.assertEqual(info["why_none"], "none of them is good")
        self.assertIn("--resume auto refuses to go on", self.shown(out))
        self.checkpoints(out)[0].unlink()
        self.assertIn("--resume auto begins anew", self.shown(out))
        os.symlink("step-00000009.h5", out / "checkpoints" / "step-00000009.h5")  # a loop
        self.assertIn("cannot open", self.info(out)["why_none"])

    def test_folders_that_are_no_runs(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.assert_one_message(self.run_convoy("info", empty), empty)
        done = self.run_convoy("info", self.folder / "none" / "run")
        self.assert_one_message(done, "none/run")

    def test_files_that_a_run_removes_meanwhile_are_not_told(self):
        out = self.new_run()
        recipe = self.write_recipe(schedule={"epochs": 100000}, data={"val": ""},
                                   checkpoint={"keep": 1, "every_steps": 1})
        process = start(["train", recipe, "--out", out, "--quiet"])
        wait_for(process, out / "checkpoints" / "latest.h5")
        for _ in range(20):
            text = self.shown(out)
            self.assertNotIn("refuses", text)
            self.assertNotIn("not good", text)
            self.assertIn("goes on from step-", text)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(finish(process).status, 75)

    def test_links_are_told(self):
        out = self.until(13)
        folder = out / "checkpoints"
        for name in ("latest.h5", "best.h5"):
            (folder / name).unlink(missing_ok=True)
        os.symlink("step-00000013.h5", folder / "latest.h5")
        os.link(folder / "step-00000010.h5", folder / "best.h5")
        rows = {row["step"]: (row["latest"], row["best"])
                for row in self.info(out)["checkpoints"]}
        self.assertEqual(rows, {13: (True, False), 10: (False, True)})
        self.assertIn("whole, latest\n", self.shown(out))

    def test_the_file_is_read_once_on_four_ranks(self):
        out = self.until(13)
        size = self.checkpoints(out)[-1].stat().st_size
        log = self.folder / "reads"
        done = finish(start(
            ["train", self.write_recipe(), "--out", out, "--stop-after-steps", 13], 4,
            f"export LD_PRELOAD={COUNTED_READS} CONVOY_READS={log}"))
        self.assertEqual(done.status, 0, done.err)
        self.assertIn("going on from step 13", done.out)
        lines = [line.split() for line in log.read_text().splitlines()]
        self.assertEqual(len({process for process, _, _ in lines}), 1, lines)
        n_bytes = sum(int(n) for _, what, n in lines if what == "read")
        self.assertGreater(n_bytes, 0.75 * size)
        self.assertLess(n_bytes, 1.25 * size)


if __name__ == "__main__":
    unittest.main()

"""What has changed since a run was begun is refused, or told and noted, but never passed
over."""
import unittest

from convoy_case import Case, finish, start

ANYWAY = "--resume-anyway"


class Changes(Case):
    def setUp(self):
        super().setUp()
        self.recipe = self.write_recipe()

    def begun(self, steps=7, *options):
        return self.train(self.recipe, "--stop-after-steps", steps, *options)

    def go_on(self, out, *options, steps=13, ranks=0):
        """The notes of the run."""
        done = self.expect("train", self.recipe, "--out", out, "--stop-after-steps", steps,
                           *options, ranks=ranks)
        return done.out + done.err

    def refused(self, out, *options, words, ranks=0):
        before = self.contents(out)
        done = self.run_convoy("train", self.recipe, "--out", out, *options, ranks=ranks)
        self.assert_one_message(done, *words)
        after = self.contents(out)
        self.assertEqual(after, before)

    def changes(self, out):
        """Those that the newest checkpoint has in it."""
        text = self.expect("info", self.checkpoints(out)[-1]).out
        lines = text.splitlines()
        if "changes:" not in lines:
            return []
        first = lines.index("changes:") + 1
        return [line.strip() for line in lines[first:lines.index("recipe:")]]

    def test_nothing_is_told_where_nothing_has_changed(self):
        out = self.begun()
        for option in ((), (ANYWAY,)):
            self.assertNotIn("goes on with", self.go_on(out, *option, steps=9))
        self.assertEqual(self.changes(out), [])
        whole = self.train(self.recipe, "--stop-after-steps", 9)
        self.assertEqual(self.hash(out), self.hash(whole))

    def test_the_end_of_the_schedule_may_change_and_is_noted(self):
        out = self.begun(20)
        before = [line["lr"] for line in self.metrics(out) if line["event"] == "step"]
        told = self.go_on(out, "--set", "schedule.epochs=5", steps=22, ranks=2)
        self.assertIn("goes on with schedule.epochs: 5, which was 10", told)
        lines = [line for line in self.metrics(out) if line["event"] == "step"]
        self.assertEqual([line["lr"] for line in lines[:20]], before)
        straight = self.train(self.recipe, "--stop-after-steps", 21)
        without = [line["lr"] for line in self.metrics(straight)
                   if line["event"] == "step"][-1]
        self.assertLess(lines[20]["lr"], without)
        self.assertIn(f"learning rate of the next step is {lines[20]['lr']:.6g}; without the "
                      f"change it would be {without:.6g}", told)
        self.assertEqual(self.changes(out), ["step 20: schedule.epochs: 10 -> 5"])
        told = self.go_on(out, "--set", "schedule.epochs=5", "--set",
                          "schedule.milestones=[7]", steps=23)
        self.assertNotIn("schedule.epochs", told)
        self.assertNotIn("learning rate of the next step", told)  # that of a cosine
        self.assertEqual(self.changes(out)[1:],
                         ["step 22: schedule.milestones: [30, 60, 80] -> [7]"])

    def test_fewer_epochs_than_are_done_are_refused(self):
        self.refused(self.begun(13), "--set", "schedule.epochs=1",
                     words=("step 13", "10 steps only"))

    def test_what_gives_other_weights_needs_a_word_more(self):
        out = self.begun()
        change = ("--set", "seed=2", "--set", "optimizer.momentum=0.5", "--set",
                  "schedule.epochs=12")
        self.refused(out, *change, words=("'optimizer.momentum: 0.5'",
                                          "'optimizer.momentum: 0.9'", "as well: seed",
                                          ANYWAY), ranks=2)
        told = self.go_on(out, *change, ANYWAY, ranks=2)
        for words in ("optimizer.momentum: 0.5, which was 0.9; the run is no longer",
                      "seed: 2, which was 1; the run is no longer",
                      "schedule.epochs: 12, which was 10\n"):
            self.assertIn(words, told)
        self.assertEqual(self.changes(out), ["step 7: optimizer.momentum: 0.9 -> 0.5",
                                             "step 7: schedule.epochs: 10 -> 12",
                                             "step 7: seed: 1 -> 2"])
        self.assertEqual(self.steps_saved(out)[-1], 13)
        self.refused(out, words=("'optimizer.momentum: 0.9'", ANYWAY))  # the first recipe
        self.assertNotIn("goes on with", self.go_on(out, *change, steps=14))
        self.assertEqual(len(self.changes(out)), 3)

    def test_packs_microbatches_and_threads(self):
        out = self.begun()
        other = self.make_pack("other", 240, seed=9)
        for change, words in ((f"data.train={other}", ("train pack has id", "begun with")),
                              (f"data.val={other}", ("validation pack has id", "figures")),
                              ("batch.microbatch=4", ("microbatch: 4",)),
                              ("threads=2", ("threads: 2", "threads: 1"))):
            self.refused(out, "--set", change, words=(*words, ANYWAY))
        self.assertIn("goes on with train_pack: ",
                      self.go_on(out, "--set", f"data.train={other}", ANYWAY))

    def test_another_net_is_refused_by_its_tensor_even_then(self):
        out = self.begun()
        self.refused(out, "--set", "model.width=8", words=("model.width: 8", "model.width: 4"))
        self.refused(out, "--set", "model.width=8", ANYWAY,
                     words=(self.checkpoints(out)[-1], "has the shape", "expected"))

    def test_instruction_sets(self):
        out = self.begun()
        lower = "export DNNL_MAX_CPU_ISA=SSE41"
        arguments = ("train", self.recipe, "--out", out, "--stop-after-steps", 9)
        done = finish(start(arguments, ranks=2, shell=lower))
        self.assert_one_message(done, "oneDNN's instruction set is sse41", ANYWAY)
        done = finish(start((*arguments, ANYWAY), shell=lower))
        self.assertEqual(done.status, 0, done.err)
        self.assertIn("goes on with onednn_isa: sse41", done.out + done.err)
        self.assertRegex(self.changes(out)[0], r"^step 7: onednn_isa: \S.* -> sse41$")
        self.refused(out, words=("oneDNN's instruction set", "begun with sse41"))

    def test_a_named_file_needs_no_word_and_is_noted(self):
        first = self.begun()
        out = self.new_run()
        told = self.go_on(out, "--resume", self.checkpoints(first)[-1], "--set", "seed=2")
        self.assertIn("goes on with seed: 2, which was 1", told)
        self.assertEqual(self.changes(out), ["step 7: seed: 1 -> 2"])

    def test_of_many_changes_some_are_told(self):
        out = self.begun()
        change = [word for key in ("data.augment.flip=false", "data.augment.pad=0",
                                   "data.augment.hue=0.1", "data.augment.contrast=0.1",
                                   "data.augment.erasing=0.1", "optimizer.weight_decay=0",
                                   "optimizer.momentum=0.5", "schedule.lr=0.5", "seed=3",
                                   "model.dropout=0") for word in ("--set", key)]
        self.refused(out, *change, words=("changed as well", "and 3 more"))
        told = self.go_on(out, *change, ANYWAY)
        self.assertEqual(told.count("goes on with"), 8)
        self.assertIn("2 more have changed", told)
        self.assertIn("learning rate of the next step", told)
        self.assertEqual(len(self.changes(out)), 10)


if __name__ == "__main__":
    unittest.main()

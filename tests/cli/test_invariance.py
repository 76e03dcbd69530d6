"""The same bits on any number of ranks: weights and evaluations depend on neither ranks
nor loader threads, and on everything that they should depend on."""
import unittest

from convoy_case import Case

STEPS = 50


class Invariance(Case):
    def weights(self, *options, ranks=0, steps=STEPS, **changes):
        recipe = self.write_recipe(**changes)
        return self.hash(
            self.train(recipe, "--stop-after-steps", steps, *options, ranks=ranks))

    def check_ranks(self, counts, **options):
        first = self.weights(ranks=counts[0], **options)
        for ranks in counts[1:]:
            with self.subTest(ranks=ranks):
                self.assertEqual(self.weights(ranks=ranks, **options), first)


class FewRanks(Invariance):
    def test_weights_do_not_depend_on_loader_threads_or_mpirun(self):
        first = self.weights("--set", "data.threads=1")
        for threads in (1, 3):
            found = self.weights("--set", f"data.threads={threads}", ranks=2)
            self.assertEqual(found, first)

    def test_weights_depend_on_seed_and_steps_and_every_random_draw(self):
        hashes = {"as is": self.weights()}
        for change in ("seed=2", "model.dropout=0", "data.augment.flip=false",
                       "data.augment.pad=0", "data.shuffle=false", "schedule.lr=0.021"):
            hashes[change] = self.weights("--set", change)
        for steps in (0, STEPS - 1):
            hashes[f"{steps} steps"] = self.weights(steps=steps)
        self.assertEqual(len(set(hashes.values())), len(hashes), hashes)

    def test_native_exchange_of_one_rank_is_the_ordered_one(self):
        native = self.weights("--set", "exchange=native", ranks=1)
        self.assertEqual(native, self.weights(ranks=1))


class Augmented(Invariance):
    """Everything that changes samples, over a change of their size in step 11."""
    CHANGES = {
        "model": {"name": "resnet20", "width": 4, "batch_norm": False, "dropout": -1},
        "data": {"crop": [{"epoch": 0, "crop": 12}, {"epoch": 1, "crop": 16}],
                 "augment": {"trivial": True, "mixup": 0.4, "cutmix": 1, "repeats": 2,
                             "erasing": 0.3}}}

    def test_weights_are_the_same_on_1_2_3_and_5_ranks_and_after_a_resume(self):
        first = self.weights(steps=14, **self.CHANGES)
        for ranks in (2, 3, 5):
            with self.subTest(ranks=ranks):
                self.assertEqual(self.weights(ranks=ranks, steps=14, **self.CHANGES), first)
        recipe = self.write_recipe(**self.CHANGES)
        out = self.train(recipe, "--stop-after-steps", 8, ranks=3)
        self.train(recipe, "--stop-after-steps", 14, out=out, ranks=2)
        self.assertEqual(self.hash(out), first)

    def test_weights_depend_on_each_of_them(self):
        hashes = {"all": self.weights(steps=2, **self.CHANGES)}
        for change in ("trivial=false", "mixup=0", "cutmix=0", "repeats=1", "mixup=0.5",
                       "cutmix=0.5", "repeats=3"):
            hashes[change] = self.weights("--set", "data.augment." + change, steps=2,
                                          **self.CHANGES)
        self.assertEqual(len(set(hashes.values())), len(hashes), hashes)

    def test_what_does_not_fit_is_refused_with_the_key(self):
        recipe = self.write_recipe()
        for sets, words in (
                (("data.augment.mixup=0.2", "batch.microbatch=1"),
                 ("'batch.microbatch'", "data.augment.mixup", "2 or more")),
                (("data.augment.repeats=5",), ("'data.augment.repeats'", "divisor"))):
            options = [word for text in sets for word in ("--set", text)]
            done = self.run_convoy("train", recipe, "--out", self.new_run(), *options)
            self.assert_one_message(done, *words)


class ManyRanks(Invariance):
    def test_weights_are_the_same_on_up_to_12_ranks(self):
        self.check_ranks([1, 4, 5, 6, 7, 12])

    def test_resnet20_has_the_same_weights_on_1_5_and_7_ranks(self):
        model = {"name": "resnet20", "width": 8, "batch_norm": False, "dropout": -1}
        self.check_ranks([1, 5, 7], steps=10, model=model)

    def test_many_ranks_with_several_microbatches_go_on_after_an_epoch(self):
        # What 14 ranks and more tell each other then is longer than a microbatch's row.
        self.check_ranks([1, 14], steps=10, batch={"size": 28, "microbatch": 1})


if __name__ == "__main__":
    unittest.main()

"""Every optimizer, with clipping: the same weights on any number of ranks and lanes, in
whatever buckets gradients travel, and where it goes on, on other ranks; and what an
optimizer cannot be told is refused."""
import unittest

from convoy_case import Case, finish, start, wait_for

STEPS = 12  # an epoch has 10
# Name, options, and a rate at which each learns.
OPTIMIZERS = {
    "lars": ({"nesterov": True, "trust_coefficient": 0.02}, 0.5),
    "lars, unscaled": ({"momentum_form": "unscaled"}, 2.0),
    "adamw": ({"weight_decay": 0.1}, 0.003),
    "lamb": ({"weight_decay": 0.01}, 0.01),
}


class Optimizers(Case):
    def recipe_of(self, kind, clip_norm=1.5, **changes):
        options, lr = OPTIMIZERS[kind]
        return self.write_recipe(
            optimizer={"name": kind.split(",")[0], "clip_norm": clip_norm, **options},
            schedule={"lr": lr}, **changes)

    def weights(self, recipe, *options, ranks=0):
        return self.hash(self.train(recipe, "--stop-after-steps", STEPS, *options,
                                    ranks=ranks))


class SameWeights(Optimizers):
    # 290,000 parameters: two buckets, and a tensor of many pieces.
    MODEL = {"width": 32}
    WAYS = ((2, 3, 1), (3, 1, "auto"), (5, 2, 1))  # ranks, lanes, buckets of so many MiB

    def test_ranks_lanes_and_buckets_change_no_bit(self):
        found = {}
        for number, kind in enumerate(OPTIMIZERS):
            recipe = self.recipe_of(kind, model=self.MODEL)
            first = found[kind] = self.weights(recipe)
            for way in (number, number + 1):
                ranks, lanes, bucket = self.WAYS[way % len(self.WAYS)]
                with self.subTest(kind=kind, ranks=ranks, lanes=lanes):
                    self.assertEqual(
                        self.weights(recipe, "--oversubscribe", "--set", f"lanes={lanes}",
                                     "--set", f"exchange.bucket={bucket}", ranks=ranks),
                        first)
        self.assertEqual(len(set(found.values())), len(found), found)

    def test_a_killed_run_goes_on_with_other_ranks(self):
        for kind, ranks in (("lars", 3), ("lamb", 5)):
            recipe = self.recipe_of(kind, checkpoint={"every_steps": 3})
            whole = self.weights(recipe)
            out = self.new_run()
            process = start(["train", recipe, "--out", out, "--quiet"])
            wait_for(process, out / "checkpoints" / "step-00000006.h5")
            process.kill()
            finish(process)
            for path in self.checkpoints(out)[2:]:  # it may have been faster than this test
                path.unlink()
            self.train(recipe, "--stop-after-steps", STEPS, out=out, ranks=ranks)
            with self.subTest(kind=kind):
                self.assertEqual(self.hash(out), whole)


class Metrics(Optimizers):
    def test_clipping_tells_the_norm_of_the_gradient(self):
        out = self.train(self.recipe_of("lamb", clip_norm=1e-3), "--stop-after-steps", 2)
        loose = self.train(self.recipe_of("lamb", clip_norm=1e6), "--stop-after-steps", 2)
        without = self.train(self.recipe_of("lamb", clip_norm=0), "--stop-after-steps", 2)
        lines = [[line for line in self.metrics(run) if line["event"] == "step"]
                 for run in (out, loose, without)]
        self.assertEqual([line["clipped_steps"] for line in lines[0]], [1, 1])
        self.assertEqual([line["clipped_steps"] for line in lines[1]], [0, 0])
        self.assertEqual(lines[0][0]["grad_norm"], lines[1][0]["grad_norm"])
        self.assertGreater(lines[0][0]["grad_norm"], 1e-3)
        self.assertFalse({"grad_norm", "clipped_steps"} & set(lines[2][0]))
        # A clip that never bites changes no bit.
        self.assertEqual(self.hash(loose), self.hash(without))


class Told(Optimizers):
    def test_what_they_cannot_be_told_is_refused(self):
        for kind, option, words in (
                ("lars", {"nesterov": True, "momentum": 0}, ("optimizer.nesterov", "momentum")),
                ("lars", {"trust_coefficient": 0}, ("optimizer.trust_coefficient", "above 0")),
                ("lars", {"momentum_form": "intel"}, ("optimizer.momentum_form", "unscaled")),
                ("lars", {"epsilon": -1}, ("optimizer.epsilon", "at least 0")),
                ("adamw", {"epsilon": 0}, ("optimizer.epsilon", "1e-30")),
                ("adamw", {"beta2": 1}, ("optimizer.beta2", "below 1")),
                ("adamw", {"momentum": 0.9}, ("optimizer.momentum", "adamw has beta1")),
                ("lamb", {"trust_coefficient": 1}, ("option of lars", "lamb has beta1")),
                ("lamb", {"clip_norm": -1}, ("optimizer.clip_norm", "at least 0"))):
            recipe = self.write_recipe(optimizer={"name": kind, **option})
            done = self.run_convoy("info", recipe)
            with self.subTest(kind=kind, option=option):
                self.assert_one_message(done, *words)

    def test_norms_and_biases_do_not_decay_with_lars_and_lamb_by_default(self):
        for kind, decays in (("sgd", "true"), ("lars", "false"), ("adamw", "true"),
                             ("lamb", "false")):
            out = self.train(self.write_recipe(optimizer={"name": kind}),
                             "--stop-after-steps", 0)
            text = (out / "recipe.yaml").read_text()
            self.assertIn(f"decay_norm_and_bias: {decays}", text)

    def test_a_run_does_not_go_on_with_the_state_of_another_optimizer(self):
        recipe = self.write_recipe()
        out = self.train(recipe, "--stop-after-steps", 2)
        other = self.write_recipe(optimizer={"name": "adamw"})
        done = self.run_convoy("train", other, "--out", out)
        self.assert_one_message(done, "optimizer.name", "adamw", "sgd")
        done = self.run_convoy("train", other, "--out", out, "--resume-anyway")
        self.assert_one_message(done, "'optimizer.name'", "optimizer/exp_avg",
                                "another optimizer", "init.weights")

    def test_momentum_with_the_rate_in_it_is_not_taken_for_one_without(self):
        made = {"sgd": {"name": "sgd"}, "scaled": {"name": "lars"},
                "unscaled": {"name": "lars", "momentum_form": "unscaled"}}
        recipes = {what: self.write_recipe(f"{what}.yaml", optimizer=options)
                   for what, options in made.items()}
        runs = {what: self.train(recipe, "--stop-after-steps", 2)
                for what, recipe in recipes.items()}
        for first, then, slot in (("sgd", "scaled", "scaled_momentum"),
                                  ("unscaled", "scaled", "scaled_momentum"),
                                  ("scaled", "unscaled", "momentum"),
                                  ("scaled", "sgd", "momentum")):
            done = self.run_convoy("train", recipes[then], "--out", runs[first],
                                   "--resume-anyway")
            with self.subTest(first=first, then=then):
                self.assert_one_message(done, "'optimizer.name'", f"optimizer/{slot},",
                                        "init.weights")
        # The same sums of gradients.
        self.train(recipes["unscaled"], "--stop-after-steps", 3, "--resume-anyway",
                   out=runs["sgd"])


if __name__ == "__main__":
    unittest.main()

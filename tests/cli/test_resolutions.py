"""Images whose size depends on the epoch: the same bits on any ranks and across a resume,
figures of the size that is validated on, and what no net or pack can do is refused."""
import json
import unittest

from convoy_case import Case, write_class_folders

N = 14  # steps; an epoch has 10, so that the size changes after 10
NET = {"name": "resnet20", "width": 4, "batch_norm": False, "dropout": -1}
CROPS = [{"epoch": 0, "crop": 12}, {"epoch": 1, "crop": 16}]


class Resolutions(Case):
    def recipe(self, crop=None, **data):
        return self.write_recipe(model=NET, data={"crop": crop or CROPS, **data})

    def until(self, steps, recipe, *options, **more):
        return self.train(recipe, "--stop-after-steps", steps, *options, **more)


class Bits(Resolutions):
    def test_weights_do_not_depend_on_ranks_or_lanes(self):
        recipe = self.recipe()
        first = self.hash(self.until(N, recipe, ranks=1))
        for ranks, lanes in ((2, 1), (3, 2), (5, 1)):
            found = self.until(N, recipe, "--set", f"lanes={lanes}", ranks=ranks)
            self.assertEqual(self.hash(found), first, ranks)

    def test_a_run_goes_on_across_a_change_on_other_ranks(self):
        recipe = self.recipe(val_crop=16)
        whole, out = self.until(N, recipe), self.new_run()
        for steps, ranks in ((9, 2), (11, 0), (N, 3)):
            self.until(steps, recipe, out=out, ranks=ranks)
        self.assertEqual(self.hash(out), self.hash(whole))
        for run in (whole, out):
            steps = [line for line in self.metrics(run) if line["event"] == "step"]
            self.assertEqual([line["crop"] for line in steps], 10 * [12] + (N - 10) * [16])

    def test_each_size_counts(self):
        whole = self.hash(self.until(N, self.recipe()))
        for crop in (16, 12, [{"epoch": 0, "crop": 16}, {"epoch": 1, "crop": 12}]):
            self.assertNotEqual(self.hash(self.until(N, self.recipe(crop))), whole, crop)

    def test_the_written_recipe_trains_the_same(self):
        ramp = {"from": 8, "to": 16, "begin": 0, "end": 2, "round": 4}
        out = self.until(N, self.recipe(ramp))
        steps = [line for line in self.metrics(out) if line["event"] == "step"]
        self.assertEqual([line["crop"] for line in steps], 10 * [8] + (N - 10) * [12])
        self.assertEqual(self.hash(self.until(N, out / "recipe.yaml")), self.hash(out))


class Memory(Resolutions):
    def activations(self, crop, **data):
        recipe = self.recipe(crop, **data)
        info = json.loads(self.expect("info", "--json", recipe).out)
        return info["memory_bytes"]["activations_of_a_lane"]

    def test_all_sizes_share_that_of_the_largest(self):
        large, small = self.activations(16), self.activations(12)
        self.assertLess(small, large)
        self.assertEqual(self.activations(CROPS), large)
        # An evaluation on much larger images has more of its own.
        huge = self.activations(8, val_crop=64, augment={"pad": 32})
        self.assertGreater(huge, self.activations(8, augment={"pad": 32}))


class Evaluating(Resolutions):
    def test_the_figures_are_those_of_val_crop(self):
        figures = set()
        for val_crop, size in ((0, 16), (16, 16), (12, 12)):
            out = self.until(10, self.recipe(val_crop=val_crop))
            weights = self.checkpoints(out)[-1]
            found = json.loads(self.expect("eval", "--json", "--weights", weights,
                                           "--data", self.val_pack).out)
            epoch = [line for line in self.metrics(out) if line["event"] == "epoch"][-1]
            self.assertEqual(found["top1"], epoch["val_top1"])
            self.assertAlmostEqual(found["loss"], epoch["val_loss"], places=6)
            self.assertIn(f"input_height: {size}\n", self.expect("info", weights).out)
            figures.add(found["loss"])
        self.assertEqual(len(figures), 2)
        other = json.loads(self.expect("eval", "--json", "--weights", weights, "--data",
                                       self.val_pack, "--crop", 16).out)
        self.assertEqual({found["loss"], other["loss"]}, figures)
        done = self.run_convoy("eval", "--weights", weights, "--data", self.val_pack,
                               "--crop", 20)
        self.assert_one_message(done, "20 x 20", "smaller than the crop")


class Told(Resolutions):
    def test_images_that_are_all_smaller_than_the_crop(self):
        photos, pack = self.folder / "photos", self.folder / "photos.h5"
        write_class_folders(photos, ("a", "b"), n=12, width=16, height=12)
        self.expect("pack", photos, "-o", pack, "--quiet")
        for crop, is_told in ((20, True), (16, False)):
            recipe = self.recipe(crop, train=str(pack), val="")
            out = self.expect("train", recipe, "--out", self.new_run(),
                              "--stop-after-steps", 0).out
            self.assertEqual("images: data.crop is 20, but no image of the train pack is "
                             "longer than 16 pixels" in out, is_told, out)


class Refused(Resolutions):
    def refuse(self, *words, crop=None, model=None, settings=()):
        recipe = self.write_recipe(model=model or NET, data={"crop": crop or CROPS})
        options = [word for setting in settings for word in ("--set", setting)]
        done = self.run_convoy("train", recipe, "--out", self.new_run(), *options)
        self.assert_one_message(done, *words)

    def test_a_net_whose_parameters_would_change(self):
        self.refuse("'data.crop'", "12 x 12", "fc1.weight would be [4, 144], but is [4, 256]",
                    "adaptive_avg_pool", model={**NET, "name": "mlp"})

    def test_a_size_that_leaves_a_net_nothing(self):
        self.refuse("'data.crop'", "4 x 4", "'features.0'", "make the images larger",
                    model={"name": "alexnet", "width": 0, "batch_norm": False, "dropout": -1},
                    crop=[{"epoch": 0, "crop": 4}, {"epoch": 1, "crop": 64}],
                    settings=("data.augment.pad=0", "data.augment.resized_crop=true",
                              "data.val_crop=16"))

    def test_a_crop_larger_than_the_records(self):
        self.refuse("'data.crop'", "20 x 20", "smaller than the crop",
                    crop=[{"epoch": 0, "crop": 12}, {"epoch": 1, "crop": 20}])
        self.refuse("'data.val_crop'", "20 x 20", "smaller than the crop",
                    settings=("data.val_crop=20",))

    def test_a_size_after_the_last_epoch(self):
        self.refuse("'data.crop'", "16 from epoch 1", "schedule.epochs 1", "last epoch is 0",
                    settings=("schedule.epochs=1",))


if __name__ == "__main__":
    unittest.main()

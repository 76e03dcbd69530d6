"""Bad input ends with one clear line from one rank, the right exit status, and nothing
half-written under a final name; never with a hang."""
import os
import resource
import shutil
import signal
import unittest

from convoy_case import (CLASSES, Case, finish, flip_byte, start, wait_for,
                         write_class_folders, write_idx, write_images)

FULL_DISK = resource.RLIMIT_FSIZE, (20000, 20000)  # bytes that a file can grow to
ALONE = (0,)
BOTH = (0, 3)  # without mpirun and under it


def copy_with(pack, path, change):
    shutil.copy(pack, path)
    change(path)
    return path


def flip_record(pack, images, record):
    """Damages one record of a raw pack, wherever it lies."""
    flip_byte(pack, pack.read_bytes().index(images[record]) + 5)


def bear_limits():
    """Makes a write that is too long fail, as on a full disk, rather than end the process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def fill_disk():
    bear_limits()
    resource.setrlimit(*FULL_DISK)


class Train(Case):
    def refused(self, recipe, *options, words, ranks=ALONE):
        """Ends with these words, before or after some steps, on each number of ranks."""
        for n in ranks:
            with self.subTest(options=options, ranks=n):
                out = self.new_run()
                done = self.run_convoy("train", recipe, "--out", out, "--quiet", *options,
                                       ranks=n)
                self.assert_one_message(done, *words)
                for path in self.checkpoints(out):
                    self.hash(path)

    def refused_with(self, *changes, words, ranks=ALONE):
        options = [word for change in changes for word in ("--set", change)]
        self.refused(self.write_recipe(), *options, words=words, ranks=ranks)

    def test_the_recipe_is_known_good(self):
        self.train(self.write_recipe(), "--stop-after-steps", 1, ranks=3)

    def test_recipes_that_cannot_be_read(self):
        self.refused(self.folder / "none.yaml", words=("none.yaml", "cannot open"), ranks=BOTH)
        self.refused(self.folder, words=(self.folder, "not a regular file"))
        for text, words in (
                ("", ("is empty", "model.name")), ("- 1\n", ("list",)),
                ("model: {name\n", ("bad.yaml:", "not YAML")),
                ("model: {name: lenet}\n", ("data.train", "missing"))):
            path = self.folder / "bad.yaml"
            path.write_text(text)
            self.refused(path, words=("bad.yaml", *words))

    def test_unknown_keys_name_the_nearest_one(self):
        recipe = self.write_recipe(data={"augment": {"flop": True}})
        line = 1 + recipe.read_text().splitlines().index("    flop: true")
        self.refused(recipe, words=(f"recipe.yaml:{line}:", "data.augment.flop",
                                    "data.augment.flip"), ranks=BOTH)
        self.refused_with("batch.sise=3", words=("--set batch.sise", "batch.size"))

    def test_values_of_the_wrong_type_or_out_of_range(self):
        recipe = self.write_recipe(batch={"size": "many"})
        line = 1 + recipe.read_text().splitlines().index('  size: "many"')
        self.refused(recipe, words=(f"recipe.yaml:{line}:", "batch.size", "many",
                                    "integer"), ranks=BOTH)
        for change, words in (("schedule.lr=fast", ("schedule.lr", "fast", "number")),
                              ("schedule.epochs=0", ("schedule.epochs", "0", "1")),
                              ("data.shuffle=maybe", ("data.shuffle", "true or false")),
                              ("batch.size=25", ("batch.size 25", "batch.microbatch 2")),
                              ("optimizer.name=sdg", ("--set optimizer.name=sdg", "'sdg'",
                                                      "the nearest is 'sgd'")),
                              ("optimizer.beta=0.9", ("optimizer.beta",
                                                      "sgd has momentum, nesterov")),
                              ("exchange=natve", ("exchange.algorithm",
                                                  "the nearest is 'native'")),
                              ("precision=f16", ("precision", "f16", "bf16")),
                              ("batch", ("--set batch", "key.path=value"))):
            self.refused_with(change, words=words)

    def test_more_threads_than_work(self):
        self.refused_with("threads=99999", words=("threads", "99999", "at most 4096"))
        self.refused_with("data.threads=99999",
                          words=("data.threads", "99999", "at most 4096"))
        weights = self.checkpoints(
            self.train(self.write_recipe(), "--stop-after-steps", 0))[0]
        images, _ = write_images(self.folder / "images", 10)
        many = "export OMP_NUM_THREADS=99999"
        for shell, status, arguments in (
                (None, 2, ("eval", "--weights", weights, "--data", self.val_pack,
                           "--threads", 99999)),
                (None, 2, ("predict", "--weights", weights, images, "--threads", 99999)),
                (None, 2, ("bench", "model", "lenet", "--threads", 99999)),
                (None, 2, ("bench", "loader", self.val_pack, "--threads", 99999)),
                (None, 1, ("pack", images, "-o", self.folder / "x.h5", "--threads", 99999)),
                (many, 1, ("train", self.write_recipe(), "--out", self.new_run())),
                (many, 1, ("verify", self.val_pack)),
                (many, 1, ("pack", images, "-o", self.folder / "x.h5"))):
            with self.subTest(arguments=arguments):
                done = self.run_convoy(*arguments, shell=shell)
                self.assertEqual(done.status, status, done.err)
                self.assertIn("99999", done.err)
                self.assertRegex(done.err, "4096|1024")

    def test_packs_that_are_none(self):
        checkpoint = self.checkpoints(
            self.train(self.write_recipe(), "--stop-after-steps", 0))[0]
        cut = copy_with(self.train_pack, self.folder / "cut.h5",
                        lambda path: os.truncate(path, path.stat().st_size // 2))
        empty = self.folder / "empty.h5"
        empty.touch()
        for pack, word in ((self.folder / "none.h5", "No such file"),
                           (self.folder, "folder"), (empty, "empty"), (cut, "truncated"),
                           (self.write_recipe(), "HDF5"), (checkpoint, "not a pack")):
            self.refused_with(f"data.train={pack}", words=(pack, word), ranks=BOTH)
            self.refused_with(f"data.val={pack}", words=(pack, word))

    def test_a_damaged_record_is_named_when_its_turn_comes(self):
        for key, n, seed, record in (("train", 240, 1, 200), ("val", 50, 2, 30)):
            _, images = write_images(self.folder / key, n, seed=seed)
            bad = copy_with(self.train_pack if key == "train" else self.val_pack,
                            self.folder / f"{key}.h5",
                            lambda path: flip_record(path, images, record))
            self.refused_with(f"data.{key}={bad}", "data.shuffle=false",
                              words=(bad, f"record {record}", "checksum"),
                              ranks=BOTH)

    def test_more_ranks_than_microbatches(self):
        self.refused_with("batch.size=4", words=("2 microbatches", "3 ranks", "batch.size"),
                          ranks=(3,))

    def test_a_batch_larger_than_the_pack(self):
        self.refused_with("batch.size=242", words=("batch.size", "242", "240 records"),
                          ranks=BOTH)

    def test_models_that_cannot_be_built(self):
        self.refused_with("data.crop=3", words=("conv1", "[1, 3, 3]", "5"),
                          ranks=BOTH)
        self.refused_with("model.name=lenot", words=("key 'model.name'", "lenot", "lenet",
                                                      "resnet20"))
        self.refused_with("model.name=resnet20", words=("model.dropout", "resnet20"))
        self.refused_with("model.classes=3", words=("model.classes", "3", "4 classes"))
        self.refused_with("data.mean=[0.1, 0.2, 0.3]", words=("data.mean", "3", "1"))

    def test_validation_packs_that_do_not_fit(self):
        for name, options, words in (
                ("classes", {"classes": CLASSES + 1}, ("5 classes", "4")),
                ("channels", {"channels": 3}, ("3 channels", "1")),
                ("small", {"side": 10}, ("10 x 10", "16 x 16"))):
            pack = self.make_pack(name, 20, **options)
            self.refused_with(f"data.val={pack}", words=(pack, *words), ranks=BOTH)

    def test_a_diverging_loss(self):
        self.refused_with("schedule.lr=1e30", words=("the loss is", "at step 2", "No weight was changed",
                                                        "schedule.lr"),
                          ranks=BOTH)

    def test_places_that_cannot_be_written(self):
        file = self.folder / "file"
        file.write_text("kept")
        for out, word in ((file / "run", "file"), (file, "not a folder"),
                          ("/proc/convoy-test/run", "/proc/convoy-test")):
            for ranks in BOTH:
                with self.subTest(out=out, ranks=ranks):
                    done = self.run_convoy("train", self.write_recipe(), "--out", out,
                                           ranks=ranks)
                    self.assert_one_message(done, word)
        self.assertEqual(file.read_text(), "kept")

    def test_a_disk_that_becomes_full(self):
        out = self.new_run()
        recipe = self.write_recipe(schedule={"epochs": 100}, metrics={"every_steps": 100})
        process = start(["train", recipe, "--out", out, "--quiet"], preexec_fn=bear_limits)
        wait_for(process, out / "metrics.jsonl")  # until MPI has made its own files
        resource.prlimit(process.pid, *FULL_DISK)
        self.assert_one_message(finish(process), "the run ends without step",
                                out / "checkpoints")
        saved = self.checkpoints(out)
        self.assertEqual(sorted(os.listdir(out / "checkpoints")),
                         [path.name for path in saved])
        for path in saved:
            self.hash(path)

    def test_a_log_that_cannot_be_written_ends_the_run_after_saving(self):
        out = self.new_run()
        out.mkdir()
        log = out / "metrics.jsonl"
        log.write_text('{"event": "note", "step": 0}\n' * 10000)  # more than a checkpoint
        recipe = self.write_recipe(schedule={"epochs": 1000}, checkpoint={"every_epochs": 0})
        process = start(["train", recipe, "--out", out, "--quiet"], preexec_fn=bear_limits)
        wait_for(process, log, log.stat().st_size)
        size = log.stat().st_size + 2000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        self.assert_one_message(finish(process), log, "cannot write")
        self.assertEqual(len(self.steps_saved(out)), 1)


class Evaluate(Case):
    def refused(self, weights, data, *words):
        for ranks in BOTH:
            with self.subTest(weights=weights, data=data, ranks=ranks):
                done = self.run_convoy("eval", "--weights", weights, "--data", data,
                                       ranks=ranks)
                self.assert_one_message(done, *words)
                self.assertEqual(done.out, "")

    def test_weights_and_packs_that_do_not_serve(self):
        out = self.train(self.write_recipe(), "--stop-after-steps", 0)
        weights = self.checkpoints(out)[0]
        none = self.folder / "none.h5"
        self.refused(none, self.val_pack, none, "cannot open")
        self.refused(self.val_pack, self.val_pack, self.val_pack, "no convoy checkpoint")
        self.refused(self.write_recipe(), self.val_pack, "recipe.yaml", "HDF5")
        self.refused(weights, none, none, "No such file")
        self.refused(weights, weights, weights, "not a pack")
        classes = self.make_pack("classes", 20, classes=CLASSES + 1)
        self.refused(weights, classes, classes, "5 classes", "4")
        channels = self.make_pack("channels", 20, channels=3)
        self.refused(weights, channels, channels, "[3, 16, 16]", "[1, 16, 16]")
        damaged = copy_with(weights, self.folder / "damaged.h5",
                            lambda path: flip_byte(path, path.stat().st_size // 2))
        self.refused(damaged, self.val_pack, damaged, "damaged")


class Pack(Case):
    def refused(self, source, *words, out=None, options=(), **more):
        out = out or self.folder / "out" / "new.h5"
        os.makedirs(self.folder / "out", exist_ok=True)
        done = self.run_convoy("pack", source, "-o", out, *options, **more)
        self.assert_one_message(done, *words)
        self.assertEqual(os.listdir(self.folder / "out"), [])

    def test_folders_that_are_no_data_set(self):
        tree = self.folder / "tree"
        tree.mkdir()
        self.refused(tree, tree, "no class folders")
        (tree / "0.png").write_text("no picture")
        self.refused(tree, tree, "no class folders", "0.png")
        (tree / "0.png").unlink()
        (tree / "bird").mkdir()
        self.refused(tree, tree / "bird", "no class")
        (tree / "bird" / "notes.png").write_text("no picture")
        self.refused(tree, tree / "bird", "no class")
        write_class_folders(tree, ["cat", "dog"])
        image = (tree / "cat" / "0.png").read_bytes()
        (tree / "bird" / "notes.png").write_bytes(image[:-30])
        self.refused(tree, "notes.png", options=["--strict"])
        shutil.rmtree(tree / "bird")
        self.expect("pack", tree, "-o", self.folder / "good.h5")

    def test_idx_files_that_are_no_data_set(self):
        images, _ = write_images(self.folder / "idx", 20)
        labels = images.with_name("train-labels-idx1-ubyte")
        self.refused(self.folder / "none-images", "none-images")
        self.refused(labels, labels, "labels")
        write_idx(labels, (19,), bytes(19))
        self.refused(images, labels, "19 labels", "20 images")
        write_idx(labels, (20,), bytes(15))
        self.refused(images, labels)
        labels.unlink()
        self.refused(images, labels, "missing")
        write_idx(labels, (20,), bytes(20))
        os.truncate(images, 1000)
        self.refused(images, images)
        images.write_text("nothing of the kind")
        self.refused(images, images)
        write_idx(images, (0, 16, 16), b"")
        self.refused(images, images, "no images")
        images.write_bytes(b"")
        self.refused(images, images)

    def test_places_that_cannot_be_written(self):
        images, _ = write_images(self.folder / "idx", 20)
        (self.folder / "file").write_text("kept")
        self.refused(images, "file", out=self.folder / "file" / "new.h5")
        self.refused(images, self.folder / "idx", out=self.folder / "idx")
        self.refused(images, "/proc", out="/proc/new.h5")

    def test_a_disk_that_becomes_full(self):
        images, _ = write_images(self.folder / "idx", 200)
        self.refused(images, "new.h5", preexec_fn=fill_disk)

    def test_a_failed_pack_leaves_the_old_one(self):
        images, _ = write_images(self.folder / "idx", 20)
        pack = self.folder / "old.h5"
        self.expect("pack", images, "-o", pack)
        before = pack.read_bytes()
        os.truncate(images, 1000)
        self.assert_one_message(self.run_convoy("pack", images, "-o", pack), images)
        self.assertEqual(pack.read_bytes(), before)


class Look(Case):
    def test_verify_names_each_bad_record(self):
        _, images = write_images(self.folder / "val", 50, seed=2)
        bad = self.folder / "bad.h5"
        shutil.copy(self.val_pack, bad)
        for record in (3, 30):
            flip_record(bad, images, record)
        done = self.run_convoy("verify", bad)
        self.assert_one_message(done, bad, "2 of 50 records are bad")
        lines = done.out.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("record 3 ", lines[0])
        self.assertIn("record 30 ", lines[1])

    def test_files_that_hold_something_else(self):
        none, text = self.folder / "none.h5", self.write_recipe("recipe.txt")
        for command in (("verify",), ("info",), ("info", "--json"), ("weights", "hash"),
                        ("weights", "diff", self.val_pack)):
            for path in (none, text):
                done = self.run_convoy(*command, path)
                self.assert_one_message(
                    done, self.val_pack if "diff" in command else path)

    def test_one_bad_file_does_not_keep_others_from_their_hash(self):
        good = self.checkpoints(
            self.train(self.write_recipe(), "--stop-after-steps", 0))[0]
        done = self.run_convoy("weights", "hash", self.val_pack, good)
        self.assert_one_message(done, self.val_pack)
        self.assertEqual(done.out.split(), [self.hash(good), str(good)])

    def test_a_full_disk_is_no_success(self):
        with open("/dev/full", "w") as full:
            done = self.run_convoy("info", self.val_pack, stdout=full)
        self.assert_one_message(done, "standard output")


class Usage(Case):
    def refused(self, *arguments, words, ranks=(0,)):
        for n in ranks:
            with self.subTest(arguments=arguments, ranks=n):
                done = self.run_convoy(*arguments, ranks=n)
                self.assert_one_message(done, *words, status=2)
                self.assertEqual(done.out, "")

    def test_commands_and_options_that_do_not_exist(self):
        self.refused("trian", words=("trian", "train"))
        self.refused("paint", words=("paint",))
        for command in ("pack", "verify", "info", "train", "eval", "weights"):
            self.refused(command, "x", "--nope", words=(command, "--nope"))
            self.refused(command, words=(command,))

    def test_arguments_that_are_missing_or_too_many(self):
        recipe = self.write_recipe()
        self.refused("train", recipe, words=("--out",), ranks=BOTH)
        self.refused("train", "--out", "x", words=("recipe",), ranks=BOTH)
        self.refused("train", recipe, recipe, "--out", "x", words=("one recipe",))
        self.refused("train", recipe, "--out", words=("--out",))
        self.refused("train", recipe, "--out", "x", "--stop-after-steps", "many",
                     words=("--stop-after-steps", "many"))
        self.refused("eval", "--data", "x", words=("--weights",), ranks=BOTH)
        self.refused("eval", "--weights", "x", words=("--data",))
        self.refused("eval", "--weights", "x", "--data", "x", "--threads", "0",
                     words=("--threads", "0"))
        self.refused("pack", "x", words=("-o",))
        self.refused("weights", "mix", words=("mix", "hash", "diff"))
        self.refused("weights", "diff", "x", words=("two files",))
        self.assertFalse(os.path.exists("x"))


if __name__ == "__main__":
    unittest.main()

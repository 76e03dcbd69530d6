"""convoy landscape: its files are the same on any number of ranks and after an
interruption, its middle is the net, and what cannot be is refused."""
import json
import os
import shutil
import signal
import unittest
import xml.etree.ElementTree as xml

from convoy_case import (CLASSES, SIDE, Case, children, finish, start, wait_for, write_idx,
                         write_images)

HAS_GNUPLOT = shutil.which("gnuplot") is not None
FILES = ("surface.h5", "directions.h5")


class Landscape(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("trained")
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        out = case.train(case.write_recipe(), "--stop-after-steps", 20)
        cls.weights = cls.shared / "weights.h5"
        shutil.copy(case.checkpoints(out)[-1], cls.weights)

    def trained(self):
        """For setUpClass only."""

    def arguments(self, out, *more):
        return ["landscape", "--weights", self.weights, "--data", self.val_pack, "-o", out,
                "--json", "--quiet", *more]

    def landscape(self, out, *more, ranks=0):
        done = self.expect(*self.arguments(out, *more), ranks=ranks)
        return json.loads(done.out)

    def files(self, out):
        return [(out / name).read_bytes() for name in FILES]

    def test_its_files_do_not_depend_on_ranks_and_lanes(self):
        one, two, three = (self.folder / name for name in ("one", "two", "three"))
        first = self.landscape(one, "--points", 5, "--lanes", 1)
        self.assertEqual(self.landscape(two, "--points", 5, "--lanes", 2), first)
        self.assertEqual(self.landscape(three, "--points", 5, ranks=3), first)
        self.assertEqual(self.files(one), self.files(two))
        self.assertEqual(self.files(one), self.files(three))
        self.assertEqual((first["points"], first["samples"]), (25, 50))
        self.assertLess(first["least_loss"], first["most_loss"])

    def test_its_middle_is_the_net(self):
        shown = self.landscape(self.folder / "out", "--points", 3, "--range", "-0.5:0.5")
        done = self.expect("eval", "--weights", self.weights, "--data", self.val_pack, "--json")
        expected = json.loads(done.out)
        self.assertEqual(shown["centre_distance"], 0)
        self.assertEqual(shown["centre_loss"], expected["loss"])
        self.assertAlmostEqual(shown["centre_top1"], expected["top1"], places=12)

    def test_it_goes_on_after_a_kill_with_other_ranks(self):
        whole, cut = self.folder / "whole", self.folder / "cut"
        process = start(self.arguments(cut, "--points", 21), ranks=3)
        wait_for(process, cut / "surface.h5")
        os.kill(children(process.pid)[-1], signal.SIGKILL)
        self.assertNotEqual(finish(process).status, 0)
        shown = self.landscape(cut, "--points", 21, ranks=2)
        self.assertGreater(shown["points_before"], 0)
        self.assertLess(shown["points_before"], 21 * 21)
        self.landscape(whole, "--points", 21)
        self.assertEqual(self.files(cut), self.files(whole))
        shown = self.landscape(cut, "--points", 21)
        self.assertEqual(shown["points_before"], 21 * 21)
        self.assertEqual(self.files(cut), self.files(whole))

    def test_seeds_and_ranges_decide(self):
        base = self.landscape(self.folder / "a", "--points", 4)
        for i, more in enumerate((["--seed", 2], ["--range", "-1:0.75"])):
            other = self.landscape(self.folder / str(i), "--points", 4, *more)
            self.assertNotEqual(base["most_loss"], other["most_loss"], more)
            self.assertGreater(other["centre_distance"], 0)

    def test_a_line_has_as_many_points_as_it_says(self):
        shown = self.landscape(self.folder / "out", "--points", 7, "--1d")
        self.assertEqual(shown["points"], 7)
        self.assertFalse((self.folder / "out" / "contours.svg").exists())
        if HAS_GNUPLOT:
            self.assert_drawn(self.folder / "out" / "line.svg")

    def test_a_part_of_the_samples_is_whole_microbatches(self):
        """Of two samples each."""
        for wanted, taken in ((1, 2), (11, 12), (50, 50)):
            shown = self.landscape(self.folder / f"{wanted}", "--points", 2, "--1d",
                                   "--samples", wanted)
            self.assertEqual(shown["samples"], taken)

    def test_samples_are_evenly_from_all_of_the_pack(self):
        part = self.landscape(self.folder / "part", "--points", 3, "--1d", "--samples", 24)
        _, images = write_images(self.folder / "all", 50, seed=2)  # the pack's
        records = [k * 50 // 24 for k in range(24)]
        path = self.folder / "all" / "train-images-idx3-ubyte"
        write_idx(path, (24, SIDE, SIDE), b"".join(images[i] for i in records))
        write_idx(self.folder / "all" / "train-labels-idx1-ubyte", (24,),
                  [i % CLASSES for i in records])
        pack = self.folder / "chosen.h5"
        self.expect("pack", path, "-o", pack)
        done = self.expect("eval", "--weights", self.weights, "--data", pack, "--json")
        self.assertEqual(part["centre_loss"], json.loads(done.out)["loss"])

    def assert_drawn(self, path):
        root = xml.parse(path).getroot()
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        shapes = [e for e in root.iter() if e.tag.rpartition("}")[2] in ("path", "polygon")]
        self.assertGreater(len(shapes), 5, path)

    @unittest.skipUnless(HAS_GNUPLOT, "needs gnuplot")
    def test_it_is_drawn(self):
        out = self.folder / "out"
        done = self.expect("landscape", "--weights", self.weights, "--data", self.val_pack,
                           "--out", out, "--points", 9, "--quiet")
        self.assertNotIn("no pictures", done.err)
        self.assertIn("81 points, each a mean over 50 samples", done.out)
        self.assertIn(f"{out}/surface.h5", done.out)
        self.assertIn("contours.svg and surface.svg", done.out)
        self.assert_drawn(out / "contours.svg")
        self.assert_drawn(out / "surface.svg")

    @unittest.skipUnless(HAS_GNUPLOT, "needs gnuplot")
    def test_a_top_cuts_drawings_off_and_computes_nothing(self):
        out = self.folder / "out"
        self.landscape(out, "--points", 3)
        before = self.files(out), (out / "contours.svg").read_text()
        shown = self.landscape(out, "--points", 3, "--top", 1.75)
        self.assertEqual(shown["points_before"], 9)
        self.assertEqual(self.files(out), before[0])
        self.assertNotEqual((out / "contours.svg").read_text(), before[1])
        done = self.expect(*self.arguments(out, "--points", 3, "--top", 1e-9))
        self.assertIn("no pictures: the lowest loss, ", done.err)

    def test_without_gnuplot_the_numbers_stay(self):
        gnuplot = self.folder / "bin" / "gnuplot"
        gnuplot.parent.mkdir()
        gnuplot.write_text("#!/bin/sh\necho no display >&2\nexit 1\n")
        gnuplot.chmod(0o755)
        out = self.folder / "out"
        done = self.run_convoy(*self.arguments(out, "--points", 3),
                               shell=f"PATH={gnuplot.parent}{os.pathsep}$PATH; export PATH")
        self.assertEqual(done.status, 0, done.err)
        self.assertEqual(json.loads(done.out)["points"], 9)
        self.assertIn("convoy: no pictures: gnuplot failed: no display",
                      done.err.splitlines())
        self.assertTrue((out / "surface.h5").exists())
        self.assertEqual(list(out.glob("*.svg")), [])

    def test_another_landscape_is_not_mixed_in(self):
        out = self.folder / "out"
        self.landscape(out, "--points", 3)
        before = self.files(out)
        for ranks, more in ((2, ["--points", 5]), (0, ["--points", 3, "--seed", 1]),
                            (0, ["--points", 3, "--samples", 10]),
                            (0, ["--points", 3, "--range", "-2:2"])):
            done = self.run_convoy(*self.arguments(out, *more), ranks=ranks)
            self.assert_one_message(done, out / "surface.h5", "another landscape",
                                    f"'{more[-2].strip('-')} {more[-1]}'")
        self.assertEqual(self.files(out), before)

    def test_wrong_input_is_one_line(self):
        out = self.folder / "out"
        missing = self.folder / "missing.h5"
        done = self.run_convoy("landscape", "--weights", missing, "--data", self.val_pack,
                               "-o", out)
        self.assert_one_message(done, missing)
        done = self.run_convoy("landscape", "--weights", self.weights, "--data", missing,
                               "-o", out)
        self.assert_one_message(done, missing)
        done = self.run_convoy(*self.arguments(out, "--ema"))
        self.assert_one_message(done, self.weights, "averaged weights")
        done = self.run_convoy(*self.arguments(out, "--samples", 51))
        self.assert_one_message(done, "51 samples", self.val_pack, "50 records")
        done = self.run_convoy("landscape", "--weights", self.val_pack, "--data",
                               self.val_pack, "-o", out, ranks=2)
        self.assert_one_message(done, self.val_pack)
        colours = self.make_pack("colours", 12, channels=3)
        done = self.run_convoy("landscape", "--weights", self.weights, "--data", colours,
                               "-o", out, ranks=2)
        self.assert_one_message(done, colours, "[3, 16, 16]", "[1, 16, 16]")
        self.assertFalse(out.exists())

    def test_a_folder_that_cannot_be_is_one_line(self):
        out = self.folder / "file"
        out.write_text("no folder")
        done = self.run_convoy(*self.arguments(out, "--points", 3), ranks=2)
        self.assert_one_message(done, out)
        out = self.folder / "out"
        out.mkdir()
        (out / "surface.h5").write_text("no surface")
        done = self.run_convoy(*self.arguments(out, "--points", 3), ranks=2)
        self.assert_one_message(done, out / "surface.h5", "not an HDF5 file")
        self.assertEqual((out / "surface.h5").read_text(), "no surface")
        (out / "surface.h5").unlink()
        weights = out / "directions.h5"
        shutil.copy(self.weights, weights)
        done = self.run_convoy("landscape", "--weights", weights, "--data", self.val_pack,
                               "-o", out, "--points", 2)
        self.assert_one_message(done, weights, "no directions")
        self.assertEqual(weights.read_bytes(), self.weights.read_bytes())

    def test_wrong_options_are_told(self):
        out = self.folder / "out"
        for more, words in ((["--points", "1"], "--points takes"),
                            (["--range", "1:-1"], "--range takes"),
                            (["--range", "1"], "--range takes"),
                            (["--range", "0:nan"], "--range takes"),
                            (["--seed", "-1"], "--seed takes"),
                            (["--top", "0"], "--top takes"),
                            (["--top", "1x"], "--top takes"),
                            (["--samples", "0"], "--samples takes"),
                            (["extra"], "'extra' is no option")):
            done = self.expect(*self.arguments(out, *more), status=2)
            self.assertIn(words, done.err)
        done = self.expect("landscape", "--weights", self.weights, "--data", self.val_pack,
                           status=2)
        self.assertIn("-o FOLDER is missing", done.err)


if __name__ == "__main__":
    unittest.main()

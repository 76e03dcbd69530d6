"""The page of convoy report: what it shows of one run, of several, and of run directories
that are not as they should be."""
import json
import random
import shutil
import unittest

from convoy_case import Case, finish, start, write_png
from page_case import read_page
from plan_run import write_run
from test_report import RECIPE, RUN, Report, life, ranks

NO_GNUPLOT = "PATH=/nowhere; export PATH"
HAS_GNUPLOT = shutil.which("gnuplot") is not None


def timeline(n, **slow):
    """Ranks that are busy for a second of each step, but for slow={number: seconds}."""
    return {"step": 8, "steps": 3, "step_s": 2.0, "ranks": [
        {"rank": i, "host": f"node{i // 2}", "lanes": 2, "cores": 2, "compute_s": 1.0,
         "exchange_s": 0.5, "hidden_s": 0.25, "input_s": 0.25, "optimizer_s": 0.25,
         "busy_s": slow.get(f"r{i}", 1.0), "working_s": 0.9,
         "peak_memory_bytes": 2 ** 30} for i in range(n)]}


class Pages(Report):
    """Pages of hand-made runs; plots are drawn only where a test asks for them."""

    def page(self, *arguments, status=0, shell=NO_GNUPLOT, out=None):
        path = self.folder / "page.html"
        path.unlink(missing_ok=True)
        done = finish(start(["report", *arguments, "-o", path], shell=shell))
        self.assertEqual(done.status, status, f"{done.out}\n{done.err}")
        self.done = done
        return read_page(self, path)


class Study(Pages):
    def test_a_study_has_its_sentence_table_and_text_for_a_proposal(self):
        for n, time_s in ((1, 4.0), (2, 2.0), (4, 2.0)):
            self.write(f"nodes{n}", life(n, [time_s] * 3) + [
                ranks(8, 3, f"node{n}", exchange_s=1.0, compute_s=3.0, input_s=0.0)])
        page = self.page(self.folder)
        sentence = ("Efficiency stays above 80 % up to 2 nodes (100 %); on 4 nodes it is 50 %, "
                    "where 20 % of a step is exposed exchange.")
        self.assertEqual(page.text.count(sentence), 2)  # in the text for a proposal, too
        self.assertIn("Strong scaling of data-parallel training of resnet50", page.text)
        self.assertEqual(page.row("4", "16")[3:], ["64", "2.00 s", "2.00 s\u2009\u2013\u20092.00 s",
                                                   "3", "1", "32.0", "2.00", "4", "50.0 %"])
        self.assertIn("gnuplot was not found", page.text)
        self.assertEqual(page.figures, [])

    def test_no_line_of_the_text_for_a_proposal_begins_with_a_percent_sign(self):
        """'(94' ends in column 78 here, where lines break."""
        self.write("nodes1", life(1, [4.0] * 3))
        self.write("nodes2", life(2, [2.128] * 3))
        source = self.page(self.folder).source
        self.assertIn("measured, up to 2 nodes\n(94 %).\n", source)

    def test_the_sentence_has_a_case_for_every_outcome(self):
        for times, words in (
                ((4.0, 2.0), "stays above 80 % on all sizes that were measured, up to 2 nodes"),
                ((4.0, 4.0), "falls to 50 % already on 2 nodes, the next size after the"),
                ((4.0,), "Only one size was measured, 1 node, so there is no efficiency")):
            folder = self.folder / f"study{len(times)}{times[-1]}"
            for n, time_s in enumerate(times, 1):
                self.write(f"{folder}/nodes{n}", life(n, [time_s] * 3))
            done = finish(start(["report", folder, "--json"]))
            self.assertIn(words, json.loads(done.out)["tables"][0]["sentence"])

    def test_trainings_are_priced(self):
        """16 images a second on one node: 90 x 1,281,167 take 2,001.8 hours; this
        ResNet-50 is the recipe's. A LeNet has 2,589 times less multiply-adds: it would be
        no estimate."""
        out = self.write("a", life(1, [4.0] * 3), multiply_adds=4089184256)
        page = self.page(out, "--price", "2", "--currency", "<NOK>")
        self.assertEqual(page.row("1", "4", "16.0"),
                         ["1", "4", "16.0", "83.4 d", "2,002", "4,004 <NOK>"])
        self.assertEqual(page.row("imagenet-resnet50")[5], "measured")
        self.assertEqual(page.row("fashion-mnist")[5:],
                         ["not comparable: measure it"] + ["\u2013"] * 4)
        self.assertIn("time = images \u00d7 epochs / (images/s)", page.text)
        self.assertNotIn("cost =", self.page(out).text)

    def test_estimates_are_made_between_what_is_alike(self):
        """ResNet-20 on Fashion-MNIST at 16 images a second: DenseNet has 0.745 of its
        multiply-adds, LeNet and ResNet-50 are a tenth of them and 133 times as much."""
        out = self.write("a", life(1, [4.0] * 3), multiply_adds=30821248)
        page = self.page(out)
        self.assertEqual(page.row("fashion-mnist-resnet20")[5:7], ["measured", "16.0"])
        self.assertEqual(page.row("fashion-mnist-densenet")[5:7], ["estimate", "21.5"])
        for name in ("imagenet-resnet50", "fashion-mnist", "transfer-few"):
            self.assertEqual(page.row(name)[5:7], ["not comparable: measure it", "\u2013"])
        self.assertIn("one of its images has 133 times their multiply-adds", page.text)
        lenet = self.page(self.write("b", life(1, [4.0] * 3), multiply_adds=1576900))
        self.assertEqual(lenet.row("transfer-base")[5], "measured")
        self.assertEqual(lenet.row("transfer-few")[5:7],  # 20 images, steps have 64
                         ["not comparable: measure it", "\u2013"])

    def test_where_there_is_no_study_the_fastest_row_of_each_group_is_priced(self):
        self.write("slow", life(1, [8.0] * 3, cores=2), multiply_adds=4089184256)
        self.write("fast", life(1, [2.0] * 3, cores=2, batch=72), multiply_adds=4089184256)
        self.write("other", life(1, [4.0] * 3, cores=2), model="vgg16", multiply_adds=4089184256)
        page = self.page(self.folder, "--price", "2")
        self.assertIn(f"The fastest size, group 2: vgg16 ({self.folder}/other)", page.text)
        self.assertRegex(page.text, r"group 1: resnet50 \(\S+/(fast|slow) and 1 more\)")
        self.assertEqual([row[2] for row in page.rows if len(row) == 6 and row[:2] == ["1", "2"]],
                         ["36.0", "16.0"])

    def test_prices_that_are_none(self):
        for text in ("x", "-1", "0", "nan", "", ".", "1.2.3", "0x10", "1e-320", "1e3", "+2", " 2",
                     "0.0000001", "1000000000000"):
            done = finish(start(["report", self.folder, "--price", text]))
            self.assertEqual(done.status, 2, done.err)
            self.assertIn("--price", done.err)

    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    def test_a_study_is_drawn(self):
        for n, time_s in ((1, 4.0), (2, 2.0), (4, 2.0)):
            self.write(f"nodes{n}", life(n, [time_s] * 3) + [ranks(8, 3, f"node{n}")])
        self.assertEqual(self.page(self.folder, shell=None).figures,
                         ["Speed-up", "Efficiency (dashed: 80 %)",
                          "Where the time of a step goes"])


class Predicted(Pages):
    def write_planned(self, name, nodes, step_s):
        """A run that convoy plan can start from, with steps of its own."""
        out = self.folder / name
        write_run(out, nodes=nodes, lanes=2, buckets=[(4000, 0.05)])
        (out / "run.json").write_text(json.dumps({
            **RUN, "parameters": 1000, "steps_per_epoch": 100, "total_steps": 1000}))
        (out / "recipe.yaml").write_text(RECIPE.format(model="resnet50", folder=out, batch=64, lr=0.1))
        lines = (out / "metrics.jsonl").read_text().splitlines()
        steps = life(nodes, [step_s] * 3)[1:]
        (out / "metrics.jsonl").write_text(
            "\n".join([lines[0], *map(json.dumps, steps), lines[1]]) + "\n")
        return out

    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    def test_the_curve_starts_from_the_repetition_in_the_middle(self):
        """Of the first repetition, an outlier, no plan can be made."""
        for name, step_s in (("rep1", 2.0), ("rep2", 0.41), ("rep3", 0.41)):
            out = self.write_planned(f"nodes1-{name}", 1, step_s)
            if name == "rep1":
                (out / "timeline.json").write_text(json.dumps({"step_s": step_s}))
                lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
                (out / "metrics.jsonl").write_text("".join(lines[:-1]))
                self.assertEqual(finish(start(["plan", out, "--nodes", "1"])).status, 1)
        self.write_planned("nodes2-rep1", 2, 0.21)
        self.assertIn("predicted by convoy plan (hdr100)",
                      self.page(self.folder, shell=None).text)


class Compared(Pages):
    def test_recipes_that_differ_are_compared_key_by_key(self):
        for name, lr in (("a", 0.1), ("b", 0.5), ("c", 0.1)):
            self.write(name, life(1, [4.0] * 3), lr=lr)
        page = self.page(self.folder)
        self.assertIn("What differs between the recipes", page.text)
        self.assertEqual(page.row("schedule.lr"), ["schedule.lr", "0.1", "0.5", "0.1"])
        self.assertIsNone(page.row("data.train"))

    def test_runs_of_one_recipe_are_not(self):
        for name in "ab":
            self.write(name, life(1, [4.0] * 3))
        self.assertNotIn("What differs", self.page(self.folder).text)


class Lead(Pages):
    def test_speed_is_that_of_the_newest_life(self):
        """It went on with fewer nodes, so its row is not the last."""
        out = self.write("a", life(2, [2.0] * 3) + life(1, [4.0] * 3, step=8))
        text = self.page(out).text
        self.assertIn("on 1 node, 2 ranks with 4 cores", text)
        self.assertIn("It computed 16.0 images a second.", text)
        self.assertIn("4.00 sa step of 64 images", text)

    def test_a_long_reason_is_cut_at_a_word(self):
        out = self.write("a", life(1, [4.0] * 3), lives=[{"how": "failed: " + "words " * 60}])
        self.assertIn("words words \u2026", self.page(out).text)

    def test_a_run_that_was_to_stop_has_no_total(self):
        for how, words in (("--stop-after-steps", ", 8 steps (--stop-after-steps). It "
                                                  "computed 16.0 images a second."),
                           ("stopped by a signal", ", 8 of 23000000 steps. ")):
            page = self.page(self.write(how[:7], life(1, [4.0] * 3), total_steps=23000000,
                                        lives=[{"how": how}]))
            self.assertIn(words.strip(), page.text)
            is_stopped = how[0] == "-"
            self.assertEqual("ended before its last epoch" in page.text, not is_stopped)
            self.assertEqual(page.row("total_steps") is None, is_stopped)

    def test_a_run_without_steps_has_no_empty_sections(self):
        page = self.page(self.write("a", life(1, [])[:1]))
        self.assertIn("so there are no curves", page.text)
        for heading in ("Learning", "Speed"):
            self.assertNotIn(f"<h2>{heading}</h2>", page.source)


class Ranked(Pages):
    def test_stragglers_have_names(self):
        out = self.write("a", life(1, [4.0] * 3))
        (out / "timeline.json").write_text(json.dumps(timeline(20, r13=1.5)))
        page = self.page(out)
        self.assertIn("Stragglers: rank 13 on node6, busy for 46.3 % longer than the mean of "
                      "the ranks.", page.text)
        self.assertIn("compute: 1.00 s (50.0 %)", page.text)
        self.assertEqual(page.row("13", "node6")[-1], "1.00 GiB")
        self.assertIn("The 16 ranks that are busy for longest, of 20", page.text)

    def test_a_rank_alone_exchanges_nothing(self):
        lines = life(1, [4.0] * 3) + [ranks(8, 3, "node7")]
        lines[0]["ranks"] = 1
        out = self.write("a", lines)
        told = self.page(out).text
        (out / "timeline.json").write_text(json.dumps(timeline(1)))
        for text in (told, self.page(out).text):
            self.assertIn("of a step lanes wait for each other", text)
            self.assertRegex(text, r"lanes wait for each other: \S+ m?s \(25.0 %\)")
            for word in ("exposed exchange", "of all exchange", "hidden behind"):
                self.assertNotIn(word, text)

    def test_where_there_is_none_it_says_so(self):
        out = self.write("a", life(1, [4.0] * 3))
        (out / "timeline.json").write_text(json.dumps(timeline(4)))
        self.assertIn("There is no straggler", self.page(out).text)

    def test_without_a_timeline_the_ends_are_told(self):
        out = self.write("a", life(1, [4.0] * 3) + [ranks(8, 3, "node7", compute_s_most=1.5)])
        text = self.page(out).text
        self.assertIn("Compute takes 1.00 s to 1.50 s by rank.", text)
        self.assertIn("The slowest is always rank 1 on node7.", text)

    def test_what_evaluations_took_is_told(self):
        epochs = [{"event": "epoch", "step": 8, "epoch": 1, "seconds": 9.0},  # of an older one
                  {"event": "epoch", "step": 8, "epoch": 2, "val_seconds": 1.25},
                  {"event": "epoch", "step": 8, "epoch": 3, "val_seconds": 2.0}]
        page = self.page(self.write("a", life(1, [4.0] * 3) + epochs))
        self.assertIn("Between epochs 2 evaluations took 3.25 s", page.text)


class Needs(Pages):
    """What a node needs, of runs whose eight steps take 507 s: five of 99, three of 4."""

    def write_needy(self, name, nodes):
        epoch = {"event": "epoch", "step": 8, "epoch": 1, "peak_memory_bytes": 2 ** 30,
                 "energy_j": 1.8e6, "energy_nodes": nodes}
        out = self.write(name, life(nodes, [4.0] * 3) + [epoch, epoch], steps_per_epoch=10,
                         lives=[{"from_step": 0}])
        (out / "timeline.json").write_text(json.dumps({
            **timeline(2), "read": {"bytes": 507e6 * nodes * 3, "seconds": 1.0, "threads": 2},
            "energy": {"joules": 3.6e6, "seconds": 1000, "nodes_read": nodes,
                       "source": "RAPL"}}))
        return out

    def test_of_one_run(self):
        text = self.page(self.write_needy("a", 2)).text
        self.assertIn("3,600 Wprocessors' power, of 2 nodes", text)
        self.assertIn("1.00 kWhprocessors' energy, of 2 nodes", text)
        self.assertIn("1.00 GiBmemory, of the rank with most", text)

    def test_of_a_study(self):
        """Two ranks of 1 GiB a node, 3 MB a second, and 40 s an epoch with 3,600 W."""
        for nodes in (1, 2):
            self.write_needy(f"nodes{nodes}", nodes)
        page = self.page(self.folder)
        self.assertIn(["nodes", "cores", "ranks", "compute a step", "exposed exchange",
                       "hidden, of all exchange", "wait for input", "memory a node",
                       "read a node, MB/s", "energy an epoch, kWh"], page.rows)
        for nodes in "12":
            row = next(row for row in page.rows if row[0] == nodes and len(row) == 10)
            self.assertEqual(row[-3:], ["2.00\u00a0GiB", "3.00", "0.0400"])


class Long(Pages):
    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    def test_a_hundred_thousand_steps_make_a_small_page(self):
        draw = random.Random(1)
        lines = [json.dumps(line) for line in life(1, [])]
        lines += ['{"event":"step","step":%d,"steps":1,"step_s":0.1,"epoch":%.3f,"loss":%.3f,'
                  '"top1":0.5,"lr":0.1,"images_per_s":640,"input_wait":0.01}'
                  % (step, step / 1000, draw.random()) for step in range(6, 100001)]
        out = self.write("a", life(1, [1.0]))
        (out / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        page = self.page(out, shell=None)
        self.assertIn("Loss", page.figures)
        self.assertIn("bands go from the least to the most of them", page.text)
        self.assertLess(len(page.source), 300000)


    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    def test_a_thousand_ranks_have_bars_of_means_with_round_marks(self):
        out = self.write("a", life(1, [4.0] * 3))
        (out / "timeline.json").write_text(json.dumps(timeline(1000)))
        page = self.page(out, shell=None)
        self.assertIn("Bars are means of neighbours.", page.text)
        self.assertNotIn("Lines are means", page.text)
        for mark in (200, 400, 600, 800):
            self.assertRegex(page.source, rf">\s*{mark}\s*</")

    def test_columns_that_not_every_convoy_writes_are_drawn(self):
        lines = [{**line, "epoch": line["step"] / 4, "crop": 160 + line["step"]}
                 for line in life(1, [4.0] * 3)]
        lines.append({"event": "epoch", "step": 8, "epoch": 2, "val_ema_top1": 0.5})
        page = self.page(self.write("a", lines), shell=None)
        self.assertIn("Side of the images", page.figures)
        self.assertIn("Right answers", page.figures)


class Gnuplot(Pages):
    def fake(self, text):
        path = self.folder / "bin" / "gnuplot"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return f"PATH={path.parent}:$PATH; export PATH"

    def test_one_that_fails_leaves_the_tables_and_a_sentence(self):
        out = self.write("a", life(1, [4.0] * 3))
        lines = [{**line, "loss": 1.0, "epoch": 0.1} for line in life(1, [4.0] * 3)]
        (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        for text, words in (("echo 'no <terminal>' >&2; exit 1", "failed: no <terminal>."),
                            ("cat >/dev/null", "gnuplot drew nothing"),
                            ("kill -9 $$", "gnuplot failed")):
            with self.subTest(text=text):
                shutil.rmtree(self.folder / "bin", ignore_errors=True)
                page = self.page(out, shell=self.fake(text))
                self.assertIn("of the plots could not be drawn", page.text)
                self.assertIn(words, page.text)
                self.assertEqual(page.figures, [])
                self.assertIsNotNone(page.row("1", "4"))


class Places(Pages):
    def test_the_page_lies_where_the_last_line_says(self):
        out = self.write("study/a", life(1, [4.0] * 3))
        for words, place in (([out], f"{out}/report.html"), ([f"{out}/"], f"{out}/report.html"),
                             ([out.parent], f"{out.parent}/report.html"),
                             ([out, out.parent], "report.html"),
                             ([out, "-o", "x.html"], "x.html")):
            done = self.report(*words)
            self.assertEqual(done.out.splitlines()[-1], f"report: {place}")
            read_page(self, self.folder / place)

    def test_programs_get_no_page(self):
        out = self.write("a", life(1, [4.0] * 3))
        for option in ("--csv", "--json"):
            self.report(out, option)
        self.assertFalse((out / "report.html").exists())
        self.assertIn("either", self.report(out, "--csv", "--json", status=2).err)

    def test_json_has_the_rows_of_the_csv(self):
        told = ranks(8, 3, "node7", working_s=0.5, working_s_most=0.6, step_s=2.0, ideal_s=1.5)
        self.write("a", life(1, [4.0] * 3) + [told])
        self.write("b", life(2, [2.0] * 3))
        read = json.loads(self.report(self.folder, "--json").out)
        self.assertEqual([run["model"] for run in read["runs"]], ["resnet50"] * 2)
        table, = read["tables"]
        for from_csv, row in zip(self.rows(self.folder), table["rows"], strict=True):
            for key, value in row.items():
                self.assertAlmostEqual(from_csv[key], value, msg=key)
            self.assertEqual({key for key, value in from_csv.items() if value != ""} - set(row),
                             {"table", "group", "model"})

    def test_what_is_no_report_is_not_replaced(self):
        out = self.write("a", life(1, [4.0] * 3))
        (self.folder / "link.html").symlink_to("elsewhere")
        for option in ("-o", "--talp"):
            for name in ("a/metrics.jsonl", "a/run.json", "a/recipe.yaml", "link.html", "a"):
                before = {path: path.read_bytes() for path in out.iterdir()}
                done = self.report(out, "--csv", option, self.folder / name, status=1)
                self.assertIn(name, done.err)
                self.assertEqual({path: path.read_bytes() for path in out.iterdir()}, before)
            self.assertIn(f"{option} needs a name", self.report(out, option, "", status=2).err)
        self.assertTrue((self.folder / "link.html").is_symlink())
        for _ in range(2):
            self.report(out, "-o", "x.html")

    def test_a_page_that_cannot_be_written_is_an_error(self):
        out = self.write("a", life(1, [4.0] * 3))
        done = self.report(out, "-o", self.folder / "none" / "x.html", status=1)
        self.assertIn("none/x.html", done.err)


GARBAGE = random.Random(7).randbytes(3000)
MARKUP = "<script>alert(1)</script>'\"&</style></pre><img src=x onerror=y>"


class Damaged(Case):
    """A real run, of which one file after another is not as it should be."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("damage")
        case.setUp()
        cls.addClassCleanup(case.doCleanups)
        recipe = case.write_recipe(schedule={"epochs": 2})
        cls.run_folder = case.train(recipe)

    def damage(self):
        """Name of a damage, what does it to a folder, and what the page then says."""
        def write(name, data):
            return lambda out: (out / name).write_bytes(data)

        def edit(name, change):
            return lambda out: (out / name).write_bytes(change((out / name).read_bytes()))

        def folder(name):
            def make(out):
                (out / name).unlink(missing_ok=True)
                (out / name).mkdir()
            return make

        def loop(name):
            """What nobody may open: of a file without permission root would know none."""
            def make(out):
                (out / name).unlink(missing_ok=True)
                (out / name).symlink_to(name)
            return make

        def numbers(text):
            def change(data):
                lines = [json.loads(line) for line in data.splitlines()]
                for line in lines:
                    for key in line:
                        if isinstance(line[key], float):
                            line[key] = "NUMBER"
                return "".join(json.dumps(line).replace('"NUMBER"', text) + "\n"
                               for line in lines).encode()
            return edit("metrics.jsonl", change)

        def nasty(out):
            run = json.loads((out / "run.json").read_text())
            run["hosts"] = run["lives"][0]["how"] = run["convoy"] = MARKUP
            (out / "run.json").write_text(json.dumps(run))
            (out / "recipe.yaml").write_text(
                f"# {MARKUP}\n" + (out / "recipe.yaml").read_text().replace("lenet", MARKUP))
            (out / "timeline.json").write_text(json.dumps(timeline(2)).replace("node0", "<b>&"))

        for name in ("metrics.jsonl", "run.json", "recipe.yaml", "timeline.json"):
            if name != "timeline.json":
                yield f"no {name}", lambda out, name=name: (out / name).unlink(), name
                yield f"empty {name}", write(name, b""), name
            yield f"garbage as {name}", write(name, GARBAGE), name
            yield f"a folder as {name}", folder(name), name
            yield f"a loop of links as {name}", loop(name), name
        yield "half a line", edit("metrics.jsonl", lambda data: data[:len(data) // 2]), \
            "are no lines of metrics"
        yield "half of recipe.yaml", edit("recipe.yaml", lambda data: data[:700].rstrip()), \
            "recipe.yaml: ends in the middle of a line"
        yield "half of run.json", edit("run.json", lambda data: data[:len(data) // 2]), "run.json"
        yield "a list as run.json", write("run.json", b"[1, 2]"), "is no JSON object"
        yield "garbage within the lines", edit(
            "metrics.jsonl", lambda data: data[:900] + GARBAGE + data[900:]), "are no lines"
        yield "nulls", numbers("null"), None
        yield "huge numbers", numbers("1e308"), None
        yield "negative numbers", numbers("-3.5"), None
        yield "other types", edit("run.json", lambda data: json.dumps(
            {key: [value] for key, value in json.loads(data).items()}).encode()), None
        yield "a timeline of nulls", write("timeline.json", json.dumps(
            {"ranks": [None, {}, {"rank": "x", "compute_s": None, "busy_s": -1e308}],
             "step_s": None, "energy": {"joules": "x"}}).encode()), None
        yield "a picture that is none", write("samples.png", b"GIF89a"), "samples.png: is no PNG"
        yield "markup", nasty, None

    def test_whatever_is_left_is_shown_and_the_rest_is_named(self):
        for name, do, words in self.damage():
            with self.subTest(damage=name):
                out = self.folder / "runs" / "run"
                shutil.rmtree(out.parent, ignore_errors=True)
                shutil.copytree(self.run_folder, out, symlinks=True)
                do(out)
                shutil.copytree(self.run_folder, out.parent / "good", symlinks=True)
                self.assertEqual(self.run_convoy("report", out.parent, shell=NO_GNUPLOT).status,
                                 0)
                page = read_page(self, out.parent / "report.html")
                self.assertIn(words or "2 runs", page.text)
                self.assertNotIn("<b>", page.source)
                done = self.run_convoy("report", out, shell=NO_GNUPLOT)
                self.assertEqual(done.status, 0, f"{done.out}\n{done.err}")
                self.assertEqual(done.out.splitlines()[-1], f"report: {out}/report.html")
                page = read_page(self, out / "report.html")
                self.assertNotIn("<script", page.source)
                self.assertNotIn("<b>", page.source)
                if words:
                    self.assertIn("What could not be read", page.text)
                    self.assertIn(words, page.text)
                if "metrics.jsonl" not in name:
                    self.assertIn("top-1", page.text)
                if not name.endswith("recipe.yaml"):
                    self.assertIn("The recipe, with every key", page.text)

    def test_a_run_of_which_nothing_is_left(self):
        out = self.folder / "run"
        out.mkdir()
        (out / "metrics.jsonl").write_bytes(b"")
        done = self.run_convoy("report", out)
        self.assertEqual((done.status, done.out), (1, ""))
        self.assertIn("metrics.jsonl", done.err)
        page = read_page(self, out / "report.html")
        self.assertIn("There is nothing to show", page.text)
        self.assertIn("metrics.jsonl: has no line of metrics", page.text)

    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    def test_plots_of_what_no_plot_can_show(self):
        """Values that are no numbers, all the same, or huge."""
        for name, do, _ in self.damage():
            if name not in ("nulls", "huge numbers", "negative numbers", "a timeline of nulls"):
                continue
            with self.subTest(damage=name):
                out = self.folder / "run"
                shutil.rmtree(out, ignore_errors=True)
                shutil.copytree(self.run_folder, out, symlinks=True)
                do(out)
                self.expect("report", out)
                self.assertNotIn("could not be drawn",
                                 read_page(self, out / "report.html").text)

    @unittest.skipUnless(HAS_GNUPLOT, "gnuplot is not here")
    def test_a_run_is_drawn_with_its_pictures(self):
        out = self.folder / "run"
        shutil.copytree(self.run_folder, out, symlinks=True)
        write_png(out / "confusion.png", 2, 2, bytes(range(12)))
        self.expect("report", out)
        page = read_page(self, out / "report.html")
        self.assertEqual(page.figures, ["Loss", "Right answers", "Learning rate", "Speed",
                                        "Wait for input"])
        self.assertEqual(len(page.images), 1)
        self.assertTrue(page.images[0].startswith("data:image/png;base64,iVBOR"))
        self.assertNotIn("What could not be read", page.text)
        for words in ("20 of 20 steps", "top-5, validation", "It is done.", "Environment",
                      "Lives of the run"):
            self.assertIn(words, page.text)


if __name__ == "__main__":
    unittest.main()

"""convoy bench model --limit holds a step against its primitives alone."""
import json
import unittest

from convoy_case import Case

# Work that is not a primitive that counts, whatever the net.
LEFT_OUT = {"reorder", "sum of gradients", "softmax_cross_entropy", "pad_channels", "sgd"}


class Limit(Case):
    OPTIONS = {"lenet": ("--microbatch", 3, "--lanes", 2, "--microbatches", 3, "--steps", 3),
               "resnet20": ("--microbatch", 2, "--size", 16, "--lanes", 1, "--steps", 2)}

    def bench(self, model, *options):
        return self.expect("bench", "model", model, *self.OPTIONS[model], *options).out

    def test_every_kind_of_work_has_its_share(self):
        for model in self.OPTIONS:
            with self.subTest(model=model):
                found = json.loads(self.bench(model, "--limit", "--json"))
                limit = found["limit"]
                self.assertEqual({(row["kind"], row["pass"]) for row in limit["work"]},
                                 {(cost["kind"], cost["pass"]) for cost in found["costs"]
                                  if cost["kind"] not in LEFT_OUT})
                for row in limit["work"]:
                    self.assertGreater(row["limit_cpu_seconds"], 0, row)
                    self.assertAlmostEqual(
                        row["share"], row["limit_cpu_seconds"] / row["cpu_seconds"])
                self.assertAlmostEqual(limit["cpu_seconds"], sum(
                    row["limit_cpu_seconds"] for row in limit["work"]))
                samples = found["microbatch"] * found["microbatches"]
                for seconds, share, speed in (
                        ("seconds", "share", "images_per_s"),
                        ("cpu_seconds", "cpu_share", "images_per_cpu_s")):
                    self.assertAlmostEqual(
                        limit[share], limit[seconds] * found[speed] / samples)

    def test_text_says_the_same(self):
        out = self.bench("resnet20", "--limit")
        line, *table = out.splitlines()
        self.assertRegex(line, r"[\d.]+ % of the primitive limit \(by CPU time [\d.]+\)$")
        self.assertEqual(table[0].split(), ["work", "pass", "limit", "ms", "ours", "ms", "share"])
        for kind in ("conv", "batch_norm", "add", "inner_product"):
            for way in ("forward", "backward"):
                self.assertTrue(any(row.split()[:2] == [kind, way] for row in table), out)
        self.assertEqual(table[-1].split()[0], "step")
        self.assertEqual(table[-1].split()[-1],
                         line.split("by CPU time ")[-1].rstrip(")") + "%")

    def test_it_is_measured_only_when_asked_for(self):
        self.assertNotIn("limit", self.bench("lenet"))
        self.assertNotIn("limit", json.loads(self.bench("lenet", "--json")))

    def test_recomputing_takes_less_memory_and_tells_its_time(self):
        kept, recomputed = (json.loads(self.bench("resnet20", "--json", *told))
                            for told in ((), ("--recompute",)))
        self.assertLess(recomputed["planned_bytes"], kept["planned_bytes"])
        self.assertIn("recompute", {cost["kind"] for cost in recomputed["costs"]})
        self.assertNotIn("recompute", {cost["kind"] for cost in kept["costs"]})

    def test_it_is_of_models(self):
        for what in ("loader", "exchange"):
            done = self.run_convoy("bench", what, "x", "--limit")
            self.assertEqual(done.status, 2)
            self.assertIn("--limit", done.err)


if __name__ == "__main__":
    unittest.main()

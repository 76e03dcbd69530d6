"""Training in bf16: refused where it would be emulated; elsewhere the same bits on any
number of ranks, what f32 learns, and files in f32."""
import json
import pathlib
import socket
import unittest

from convoy_case import Case

ONLY_AVX2 = "export DNNL_MAX_CPU_ISA=AVX2"
BF16 = ("--set", "precision=bf16")
STEPS = 20
RESNET = {"name": "resnet20", "width": 8, "batch_norm": False, "dropout": -1}


def has_bf16():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return bool({"avx512_bf16", "amx_bf16"} & set(line.split()))
    return False


class Refused(Case):
    def test_a_training_where_bf16_would_be_emulated(self):
        recipe = self.write_recipe(precision="bf16")
        for ranks in (0, 3):
            with self.subTest(ranks=ranks):
                out = self.new_run()
                done = self.run_convoy("train", recipe, "--out", out, "--quiet",
                                       ranks=ranks, shell=ONLY_AVX2)
                self.assert_one_message(done, recipe, "precision", "AVX512_BF16 or AMX",
                                        f"avx2 on {socket.gethostname()}; use f32")
                self.assertEqual(self.checkpoints(out), [])

    def test_a_bench(self):
        done = self.run_convoy("bench", "model", "lenet", "--precision", "bf16",
                               shell=ONLY_AVX2)
        self.assert_one_message(done, "AVX512_BF16 or AMX", "use f32")

    def test_an_evaluation(self):
        run = self.train(self.write_recipe(), "--stop-after-steps", 1)
        weights = self.checkpoints(run)[-1]
        for ranks in (0, 2):
            done = self.run_convoy("eval", "--weights", weights, "--data", self.val_pack,
                                   "--precision", "bf16", ranks=ranks, shell=ONLY_AVX2)
            self.assert_one_message(done, "AVX512_BF16 or AMX", "use f32")
        done = self.run_convoy("eval", "--weights", weights, "--data", self.val_pack,
                               "--precision", "half")
        self.assertEqual(done.status, 2)
        self.assertIn("f32 or bf16, not 'half'", done.err)


@unittest.skipUnless(has_bf16(), "this processor does not multiply bf16")
class Trained(Case):
    def run_of(self, *options, ranks=0, steps=STEPS, **changes):
        return self.train(self.write_recipe(precision="bf16", **changes),
                          "--stop-after-steps", steps, *options, ranks=ranks)

    def check_ranks(self, **changes):
        first = self.hash(self.run_of(ranks=1, **changes))
        for ranks in (2, 3, 5):
            with self.subTest(ranks=ranks):
                self.assertEqual(self.hash(self.run_of(ranks=ranks, **changes)), first)
        return first

    def test_weights_are_the_same_on_any_number_of_ranks(self):
        self.assertNotEqual(self.check_ranks(),
                            self.hash(self.train(self.write_recipe(), "--stop-after-steps",
                                                 STEPS)))
        self.check_ranks(model=RESNET, steps=6)

    def test_lanes_and_a_resume_change_nothing(self):
        whole = self.hash(self.run_of())
        self.assertEqual(self.hash(self.run_of("--set", "lanes=3")), whole)
        begun = self.run_of(steps=7)
        recipe = self.write_recipe(precision="bf16")
        self.expect("train", recipe, "--out", begun, "--quiet", "--stop-after-steps", STEPS)
        self.assertEqual(self.hash(begun), whole)

    def test_it_learns_what_f32_learns(self):
        accuracy = {}
        for precision in ("f32", "bf16"):
            run = self.train(self.write_recipe(precision=precision))
            last = [line for line in self.metrics(run) if line["event"] == "epoch"][-1]
            accuracy[precision] = last["val_top1"]
            weights = self.checkpoints(run)[-1]
            for told in ((), ("--precision", "f32")):
                done = self.expect("eval", "--weights", weights, "--data", self.val_pack,
                                   "--json", *told)
                self.assertIn('"top1"', done.out)
        self.assertAlmostEqual(accuracy["f32"], accuracy["bf16"], delta=0.05)

    def test_the_middle_of_a_landscape_is_the_net(self):
        weights = self.checkpoints(self.run_of(steps=2))[-1]
        options = ["--weights", weights, "--data", self.val_pack, "--json", "--quiet"]
        evaluated = json.loads(self.expect("eval", *options).out)
        for ranks in (0, 3):
            out = self.folder / f"landscape-{ranks}"
            done = self.expect("landscape", *options, "-o", out, "--points", 3, "--1d",
                               ranks=ranks)
            self.assertEqual(json.loads(done.out)["centre_loss"], evaluated["loss"])


if __name__ == "__main__":
    unittest.main()

"""convoy bench exchange measures every algorithm and the MPI library, under mpirun."""
import json
import os
import unittest

import convoy_case
from convoy_case import Case

LIBRARY = ["MPI_Allreduce", "MPI_Iallreduce"]


class Bench(Case):
    @classmethod
    def setUpClass(cls):
        pass  # no packs

    def test_json_has_every_way_at_every_length(self):
        done = self.expect("bench", "exchange", "--json", "--from", 4, "--to", 40,
                           "--rounds", 2, ranks=2)
        found = json.loads(done.out)
        self.assertEqual((found["ranks"], found["nodes"]), (2, 1))
        self.assertEqual(found["left_out_bytes"], 0)
        self.assertIn("library's choice", found["allreduce"])
        lengths = {}
        for time in found["times"]:
            lengths.setdefault(time["bytes"], []).append(time["way"])
            self.assertEqual(time["rounds"], 2)
            self.assertGreaterEqual(time["seconds"], time["least_seconds"])
            self.assertGreater(time["least_seconds"], 0)
            self.assertAlmostEqual(
                time["bus_bytes_per_s"] * time["seconds"] / time["bytes"], 1)
        self.assertEqual(list(lengths), [4096, 16384, 40960])
        for ways in lengths.values():
            self.assertEqual(ways[0], "direct")
            self.assertIn("native", ways)
            self.assertEqual(ways[-2:], LIBRARY)

    def test_text_is_a_line_a_length(self):
        environment = {"OMPI_MCA_coll_tuned_use_dynamic_rules": "1",
                       "OMPI_MCA_coll_tuned_allreduce_algorithm": "4"}
        os.environ.update(environment)
        for name in environment:
            self.addCleanup(os.environ.pop, name)
        lines = self.expect("bench", "exchange", "--to", 16, "--rounds", 1,
                            ranks=3).out.splitlines()
        self.assertEqual(lines[0].split()[-2:], LIBRARY)
        self.assertEqual([line.split()[:2] for line in lines[2:4]],
                         [["4", "KiB"], ["16", "KiB"]])
        n_ways = len(lines[0].split())
        self.assertEqual(len(lines[2].split()), 2 + 2 * n_ways)
        self.assertIn("3 ranks on 1 node", lines[4])
        self.assertIn("coll_tuned_allreduce_algorithm 4", lines[4])
        self.assertEqual(len(lines), 5)

    def test_what_is_wrong_is_said(self):
        for options, ranks, status, word in (([], 0, 1, "mpirun -np 2"),
                                             (["--to", 3], 2, 1, "4 KiB to 3 KiB long"),
                                             (["--from", 1 << 20], 2, 1,
                                              "1048576 KiB to 524288 KiB (the last length"),
                                             (["x"], 0, 2, "'x'"),
                                             (["--rounds", 201], 0, 2, "200")):
            done = convoy_case.finish(convoy_case.start(["bench", "exchange", *options],
                                                        ranks))
            self.assertEqual(done.status, status, done.err)
            self.assertIn(word, done.err)
            self.assertEqual(done.err.count("convoy"), 1 if status == 1 else 3, done.err)


if __name__ == "__main__":
    unittest.main()

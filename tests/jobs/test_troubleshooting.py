"""docs/troubleshooting.md quotes what convoy prints: each message in its tables' first
column is in the source, or is listed here as another program's."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Of Open MPI, PMIx, Slurm, the shell, the loader and the C library.
FOREIGN = (
    "OMPI was not built", "PMIX ERROR", "Address already in use", "Failed to modify UD QP",
    "convoy: command not found", "error while loading shared libraries",
    "There are not enough slots", "mpirun", "node.domain", "slurmstepd", "srun",
    "Disk quota exceeded", "Segmentation fault", "No such file or directory",
    "Too many open files",
)


def literals():
    """The texts of all C strings, neighbours joined, with '…' for each value."""
    texts = []
    for path in sorted((ROOT / "src").rglob("*.c")):
        source = re.sub(r"PRI[a-z]\d+", '"d"', path.read_text())
        joined = re.sub(r'"\s*"', "", source)
        texts += re.findall(r'"((?:[^"\\]|\\.)*)"', joined)
    value = r"(%%)|%[-+#0]*[\d.*]*(?:ll|z|h)?[a-zA-Z]"
    return [re.sub(value, lambda found: "%" if found[1] else "…", text) for text in texts]


def messages():
    """(what a table's row quotes, the row)"""
    for line in (ROOT / "docs/troubleshooting.md").read_text().splitlines():
        if line.startswith("| `"):
            for quoted in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                yield quoted, line


class Troubleshooting(unittest.TestCase):
    def test_quotes_what_the_source_says(self):
        texts = "\n".join(literals())
        found = 0
        for quoted, line in messages():
            if any(word in quoted for word in FOREIGN):
                continue
            for piece in quoted.split("…"):
                piece = piece.strip(" ,:.'")
                if len(piece) > 5:
                    found += 1
                    with self.subTest(piece):
                        self.assertTrue(piece in texts, f"no longer in src/: {line}")
        self.assertGreater(found, 20)


if __name__ == "__main__":
    unittest.main()

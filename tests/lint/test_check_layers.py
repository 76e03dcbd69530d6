"""check_layers.py finds each kind of fault in small trees that have it."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_layers  # noqa: E402

TABLE = """| folder | holds | may include | third party |
|---|---|---|---|
| `base` | basics | | `xxhash.h` |
| `net` | the net | `base` | |
| `cli` | the program | `public` | |
"""
GOOD = {
    "docs/architecture.md": TABLE,
    "include/convoy/net.h": "#include <convoy/status.h>\n#include <stdint.h>\n",
    "src/base/hash.h": "",
    "src/base/hash.c": '#include "base/hash.h"\n#include <xxhash.h>\n'
                       "struct own {\n};\nstatic int take(void)\n{\n    return 0;\n}\n",
    "src/net/net.c": '#include <convoy/net.h>\n#include "base/hash.h"\n',
    "src/net/CMakeLists.txt": "convoy_folder(net SOURCES net.c DEPS base LIBS m)\n",
    "src/cli/main.c": '#include "cli/cli.h"\n#include <convoy/net.h>\n'
                      "struct own {\n};\nstatic int take(void)\n{\n    return 1;\n}\n",
}
# (what is wrong, the files that make it so, the line that must be printed)
FAULTS = [
    ("a lower folder includes a higher one",
     {"src/base/hash.c": '#include <stdio.h>\n#include "net/net.h"\n'},
     'src/base/hash.c:2: base must not include "net/net.h"'),
    ("another folder's library", {"src/net/net.c": "#  include <xxhash.h>\n"},
     "src/net/net.c:1: net must not include <xxhash.h>"),
    ("a library that nobody has", {"src/net/net.c": "#include <mpi.h>\n"},
     "src/net/net.c:1: net must not include <mpi.h>"),
    ("the program looks inside", {"src/cli/main.c": '#include "base/hash.h"\n'},
     'src/cli/main.c:1: cli must not include "base/hash.h"'),
    ("an include without its folder", {"src/net/net.c": '#include "net.h"\n'},
     'src/net/net.c:1: "net.h" must name its folder: "net/net.h"'),
    ("a public header with a library", {"include/convoy/net.h": "#include <mpi.h>\n"},
     "include/convoy/net.h:1: a public header must not include mpi.h"),
    ("a public header with a private one",
     {"include/convoy/net.h": '#include "base/hash.h"\n'},
     "include/convoy/net.h:1: a public header must not include base/hash.h"),
    ("a folder links what it may not include",
     {"src/base/CMakeLists.txt": "convoy_folder(base\n    SOURCES a.c\n    DEPS net)\n"},
     "src/base/CMakeLists.txt: base must not link net"),
    ("a failure that is not recorded",
     {"src/net/net.c": "int f(void)\n{\n    return CONVOY_ERROR_IO;\n}\n"},
     "src/net/net.c: CONVOY_ERROR_IO without FAIL"),
    ("one name in two folders", {"src/net/hash.c": ""},
     "src/net/hash.c: the name is taken by src/base/hash.c"),
    ("one tag in two headers",
     {"src/base/hash.h": "struct slot {\n    int n;\n};\n",
      "src/net/net.h": "/* struct other { */\nstruct slot\n{\n    char c;\n};\n"},
     "src/net/net.h: the tag slot is taken by src/base/hash.h"),
    ("a header's tag in another file",
     {"src/net/net.h": "enum slot { EMPTY };\n", "src/base/a.c": "struct slot {\n"},
     "src/base/a.c: the tag slot is taken by src/net/net.h"),
    ("one function in two folders",
     {"src/base/a.c": "int f(int (*g)(void))\n{\n    return g();\n}\n",
      "src/net/b.c": "void\nf(void) {\n}\n"},
     "src/net/b.c: the function f is taken by src/base/a.c"),
    ("a static function with an external one's name",
     {"src/base/a.c": "__attribute__((format(printf, 1, 2))) static void\n"
                      "f(const char *format, ...)\n{\n}\n",
      "src/net/b.c": "int f(void)\n{\n    return 1;\n}\n"},
     "src/base/a.c: the function f is taken by src/net/b.c"),
    ("a folder outside the table", {"src/extra/extra.c": ""},
     "src/extra/extra.c: folder extra is not in the table"),
    ("a table with a cycle",
     {"docs/architecture.md": TABLE.replace("basics | |", "basics | `net` |")},
     "table: base may include net, which is not above it"),
    ("a library with two owners",
     {"docs/architecture.md": TABLE.replace("`base` | |", "`base` | `xxhash.h` |")},
     "table: xxhash.h belongs to base and net; one library, one folder"),
]


def check(files):
    """Exit status and printed lines for a tree of these files."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = check_layers.main(root)
        return status, printed.getvalue().splitlines()


class CheckLayers(unittest.TestCase):
    def test_a_good_tree_passes(self):
        self.assertEqual(check(GOOD), (0, ["3 layers hold"]))

    def test_each_fault_is_found_and_nothing_else(self):
        for what, files, line in FAULTS:
            with self.subTest(what):
                self.assertEqual(check({**GOOD, **files}), (1, [line]))

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(check({"docs/architecture.md": TABLE})[0], 1)

    def test_a_page_without_the_table_is_an_error(self):
        with self.assertRaises(SystemExit):
            check({"docs/architecture.md": "nothing here\n"})


if __name__ == "__main__":
    unittest.main()

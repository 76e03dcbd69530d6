"""check_layers.py ROOT: the layers of docs/architecture.md hold in the source below ROOT,
names have one meaning in it (of files, of tags in headers, of external functions), and no
failure is made without FAIL.

Reads the table there whose first column is "folder", then every #include line of src/ and
include/ and the DEPS of every src/*/CMakeLists.txt. Prints one line for each fault and
ends with status 1 if there is any.
"""

import pathlib
import re
import sys

C17 = """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp
    signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string
    tgmath threads time uchar wchar wctype"""
# POSIX, the kernel's interface, and OpenMP's header, which comes with the compiler.
SYSTEM = """dirent dlfcn endian execinfo fcntl ftw getopt glob ifaddrs libgen link
    linux/futex malloc net/if netdb netinet/in netinet/tcp omp poll pthread pwd sched semaphore spawn
    strings sys/eventfd sys/ioctl sys/mman sys/param sys/random sys/resource sys/socket sys/stat
    sys/statfs sys/statvfs sys/syscall sys/time sys/types sys/uio sys/un sys/utsname sys/wait syslog termios unistd"""
LIBC = {name + ".h" for name in (C17 + " " + SYSTEM).split()}
PUBLIC = "public"  # in a row's "may include": the public headers and nothing of src/
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)\s*")
TAG = re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*\{")
FUNCTION = re.compile(r"^([A-Za-z_][^;{}()#:=]*?)\b(\w+)\([^;{}]*\)\s*\{", re.MULTILINE)
BARE_STATUS = re.compile(r"(?:\breturn|[^=!<>]=)\s*(CONVOY_ERROR_\w+)\s*;")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


class Layer:
    def __init__(self, folder, may_include, third_party):
        self.folder = folder
        self.may_include = may_include
        self.third_party = third_party


def words(cell):
    return re.findall(r"[\w./-]+", cell.replace("`", " "))


def read_table(path):
    """The rows below the header "| folder | … |", in order."""
    lines = path.read_text().splitlines()
    start = next((i for i, s in enumerate(lines) if s.startswith("| folder |")), None)
    if start is None:
        raise SystemExit(f"{path}: no table that starts with the column 'folder'")
    header = [cell.strip() for cell in lines[start].strip("|").split("|")]
    layers = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        row = dict(zip(header, line.strip("|").split("|")))
        layers.append(Layer(words(row["folder"])[0], words(row["may include"]),
                            words(row["third party"])))
    return layers


def table_faults(layers):
    above, owner = set(), {}
    for layer in layers:
        for name in layer.may_include:
            if name not in above and name != PUBLIC:
                yield f"table: {layer.folder} may include {name}, which is not above it"
        for header in layer.third_party:
            if header in owner:
                yield (f"table: {header} belongs to {owner[header]} and "
                       f"{layer.folder}; one library, one folder")
            owner[header] = layer.folder
        above.add(layer.folder)


def include_fault(layer, mark, name):
    """What is wrong with an include line in layer's folder, or None."""
    if mark == "<":
        if name in LIBC or name in layer.third_party or name.startswith("convoy/"):
            return None
        return f"{layer.folder} must not include <{name}>"
    folder = name.split("/")[0]
    if "/" not in name:
        return f'"{name}" must name its folder: "{layer.folder}/{name}"'
    if folder == layer.folder or folder in layer.may_include and folder != PUBLIC:
        return None
    return f'{layer.folder} must not include "{name}"'


def includes(path):
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(1)) + 1
        yield line, match.group(1), match.group(2)


def source_faults(root, layers):
    by_name = {layer.folder: layer for layer in layers}
    for path in sorted((root / "src").rglob("*.[ch]")):
        where = path.relative_to(root)
        layer = by_name.get(where.parts[1])
        if layer is None:
            yield f"{where}: folder {where.parts[1]} is not in the table"
            continue
        for line, mark, name in includes(path):
            fault = include_fault(layer, mark, name)
            if fault:
                yield f"{where}:{line}: {fault}"


def public_faults(root):
    for path in sorted((root / "include").rglob("*.h")):
        for line, mark, name in includes(path):
            if mark == '"' or not (name in LIBC or name.startswith("convoy/")):
                yield (f"{path.relative_to(root)}:{line}: a public header must not "
                       f"include {name}")


def link_faults(root, layers):
    for layer in layers:
        path = root / "src" / layer.folder / "CMakeLists.txt"
        if not path.exists():
            continue
        deps = re.search(r"\bDEPS\s+([\w\s]+?)(?=\b[A-Z]{2,}\b|$|\))", path.read_text())
        for name in deps.group(1).split() if deps else []:
            if name not in layer.may_include:
                yield f"{path.relative_to(root)}: {layer.folder} must not link {name}"


def file_name_faults(root):
    """Two files of one name are the same .c and .h, in one folder."""
    seen = {}
    for path in sorted((root / "src").rglob("*.[ch]")):
        where = path.relative_to(root)
        first = seen.setdefault(path.stem, where)
        if first.parent != where.parent:
            yield f"{where}: the name is taken by {first}"


def code_of(path):
    return ATTRIBUTE.sub("", COMMENT.sub("", path.read_text()))


def tag_faults(root, code):
    """A tag that a header defines is defined nowhere else."""
    owner = {}
    for headers in (True, False):
        for path, text in code.items():
            for name in TAG.findall(text) if (path.suffix == ".h") == headers else ():
                first = owner.setdefault(name, path) if headers else owner.get(name, path)
                if first != path:
                    yield (f"{path.relative_to(root)}: the tag {name} is taken by "
                           f"{first.relative_to(root)}")


def function_faults(root, code):
    """An external function's name is no other function's, static ones included."""
    found = [(path, name, "static" in before.split())
             for path, text in code.items() if path.suffix == ".c"
             for before, name in FUNCTION.findall(text)]
    owner = {}
    for path, name, is_static in sorted(found, key=lambda function: function[2]):
        first = owner.get(name, path) if is_static else owner.setdefault(name, path)
        if first != path:
            yield (f"{path.relative_to(root)}: the function {name} is taken by "
                   f"{first.relative_to(root)}")


def status_faults(root, code):
    """A failure is recorded where it is made: what was recorded before may be one that ranks
    have agreed on, and this one would pass for that (docs/architecture.md, Errors)."""
    for path, text in code.items():
        if path.relative_to(root).parts[1] != "cli":
            for name in BARE_STATUS.findall(text):
                yield f"{path.relative_to(root)}: {name} without FAIL"


def name_faults(root):
    code = {path: code_of(path) for path in sorted((root / "src").rglob("*.[ch]"))}
    yield from file_name_faults(root)
    yield from tag_faults(root, code)
    yield from function_faults(root, code)
    yield from status_faults(root, code)


def main(root):
    layers = read_table(root / "docs" / "architecture.md")
    faults = [*table_faults(layers), *source_faults(root, layers), *public_faults(root),
              *link_faults(root, layers), *name_faults(root)]
    if not any((root / "src").rglob("*.c")):
        faults.append(f"{root}: no source files to check")
    print("\n".join(faults) if faults else f"{len(layers)} layers hold")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))

"""What the tests of the program share: small data sets, recipes, and runs of convoy that
fail where they hang. The environment variable CONVOY names the program."""
import collections
import gzip
import json
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zlib

CONVOY = os.environ["CONVOY"]
MPIRUN = pathlib.Path(__file__).resolve().parent.parent / "support" / "mpirun.sh"
TIMEOUT_S = 120


def count_cores():
    """Cores, of which hardware threads are parts, that this process may use."""
    def name(cpu):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        return path.read_text() if path.exists() else str(cpu)
    return len({name(cpu) for cpu in os.sched_getaffinity(0)})


CORES = count_cores()
SIDE = 16
CLASSES = 4

# M = 12; everything that draws random numbers or keeps running averages is on.
RECIPE = {
    "model": {"name": "lenet", "width": 4, "batch_norm": True, "dropout": 0.25},
    "data": {"augment": {"pad": 1, "flip": True}},
    "batch": {"size": 24, "microbatch": 2},
    "schedule": {"epochs": 10, "lr": 0.02, "warmup_epochs": 1},
    "metrics": {"every_steps": 1},
    "checkpoint": {"keep": 100},
}

Done = collections.namedtuple("Done", "status out err")


def write_idx(path, shape, elements):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as file:
        file.write(bytes([0, 0, 8, len(shape)]))
        file.write(struct.pack(f">{len(shape)}I", *shape) + bytes(elements))


def picture(draw, label, side=SIDE):
    """Noise with a bright row whose place tells the class, so that it can be learnt."""
    pixels = bytearray(value // 2 for value in draw.randbytes(side * side))
    row = (4 * label + 2) % side
    pixels[row * side:(row + 1) * side] = b"\xf0" * side
    return bytes(pixels)


def write_images(folder, n, side=SIDE, classes=CLASSES, seed=1, channels=1, suffix=""):
    """An IDX set of n images; the path of its images and their bytes, one an image."""
    draw = random.Random(seed)
    labels = [i % classes for i in range(n)]
    images = [b"".join(picture(draw, label, side) for _ in range(channels))
              for label in labels]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"train-images-idx3-ubyte{suffix}"
    shape = (n, side, side) if channels == 1 else (n, channels, side, side)
    write_idx(path, shape, b"".join(images))
    write_idx(folder / f"train-labels-idx1-ubyte{suffix}", (n,), labels)
    return path, images


def write_fashion_mnist(folder, side=SIDE, n_train=600):
    """Fashion-MNIST's files by name, classes and form, with few and small images."""
    for kind, n in (("t10k", 100), ("train", n_train)):
        write_images(folder, n, side, classes=10, seed=n, suffix=".gz")
        for path in folder.glob("train-*"):
            path.rename(path.with_name(path.name.replace("train", kind)))


def write_png(path, width, height, rgb):
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))
    rows = b"".join(b"\0" + rgb[3 * width * y:3 * width * (y + 1)] for y in range(height))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n"
                     + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_class_folders(folder, names, n=3, width=12, height=10, seed=2):
    draw = random.Random(seed)
    for name in names:
        for i in range(n):
            write_png(folder / name / f"{i}.png", width, height,
                      draw.randbytes(3 * width * height))


def yaml_lines(value, indent=""):
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield f"{indent}{key}:"
            yield from yaml_lines(inner, indent + "  ")
        else:
            yield f"{indent}{key}: {json.dumps(inner)}"


def merged(base, changes):
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) else value
    return result


def command(arguments, ranks=0, shell=None):
    """The command line; 0 ranks: without mpirun. shell: what each rank does before. More
    ranks than cores are meant so."""
    words = [CONVOY, *map(str, arguments)]
    if words[1:2] == ["train"] and ranks > CORES:
        words.append("--oversubscribe")
    if shell:
        words = ["/bin/sh", "-c", shell + '; exec "$0" "$@"', *words]
    return [str(MPIRUN), str(ranks), *words] if ranks else words


def start(arguments, ranks=0, shell=None, **options):
    # Where a rank fails, Open MPI need not wait a second before it ends the others.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C",
                   "OMPI_MCA_odls_base_sigkill_timeout": "0"}
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command(arguments, ranks, shell), env=environment, text=True,
                            errors="replace", **options)


def end(process):
    """Ends a process that hangs; mpirun takes its ranks with it when asked politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.communicate(timeout=10)
            return
        except subprocess.TimeoutExpired:
            pass


def finish(process, timeout_s=TIMEOUT_S):
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        end(process)
        raise AssertionError(f"{process.args} hangs: no end after {timeout_s} s") from late
    return Done(process.returncode, out, err)


def wait_for(process, path, size=0):
    """Waits until the process has written to path, so that it is longer than size."""
    until_s = time.monotonic() + TIMEOUT_S
    while not (path.exists() and path.stat().st_size > size):
        if process.poll() is not None or time.monotonic() > until_s:
            end(process)
            raise AssertionError(f"{process.args} wrote nothing to {path}")
        time.sleep(0.01)


def children(pid):
    """Processes that pid started."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def flip_byte(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0xff]))


class Case(unittest.TestCase):
    """A test with a folder of its own, and packs that all tests of its class share."""

    @classmethod
    def setUpClass(cls):
        shared = tempfile.TemporaryDirectory(prefix="convoy-test-")
        cls.addClassCleanup(shared.cleanup)
        cls.shared = pathlib.Path(shared.name)
        cls.train_pack = cls.make_pack("train", 240, seed=1)
        cls.val_pack = cls.make_pack("val", 50, seed=2)

    @classmethod
    def make_pack(cls, name, n, **options):
        images, _ = write_images(cls.shared / name, n, **options)
        pack = cls.shared / f"{name}.h5"
        done = finish(start(["pack", images, "-o", pack]))
        if done.status:
            raise AssertionError(f"cannot pack: {done.err}")
        return pack

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convoy-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.n_runs = 0

    def run_convoy(self, *arguments, ranks=0, **options):
        return finish(start(arguments, ranks, **options))

    def expect(self, *arguments, ranks=0, status=0):
        """The outcome of a command that must end with this status."""
        done = self.run_convoy(*arguments, ranks=ranks)
        self.assertEqual(done.status, status, f"{arguments}\n{done.out}\n{done.err}")
        return done

    def write_recipe(self, name="recipe.yaml", **changes):
        data = {"train": str(self.train_pack), "val": str(self.val_pack)}
        recipe = merged(merged(RECIPE, {"data": data}), changes)
        path = self.folder / name
        path.write_text("\n".join(yaml_lines(recipe)) + "\n")
        return path

    def new_run(self):
        self.n_runs += 1
        return self.folder / f"run{self.n_runs}"

    def train(self, recipe, *options, out=None, ranks=0, status=0):
        """Trains into out or a new run directory, which it returns."""
        out = out or self.new_run()
        self.expect("train", recipe, "--out", out, "--quiet", *options, ranks=ranks,
                    status=status)
        return out

    def checkpoints(self, out):
        return sorted((out / "checkpoints").glob("step-*.h5"))

    def contents(self, out):
        """All files of a run directory, but what a refused start leaves: its life's."""
        return {path: path.read_bytes() for path in out.rglob("*")
                if path.is_file() and not path.parent.name.startswith("life-")}

    def steps_saved(self, out):
        return [int(path.stem.split("-")[1]) for path in self.checkpoints(out)]

    def hash(self, path):
        """The hash of a weight file, or of the newest checkpoint of a run directory."""
        path = self.checkpoints(path)[-1] if path.is_dir() else path
        line = self.expect("weights", "hash", path).out
        match = re.fullmatch(r"([0-9a-f]{32})  (.*)\n", line)
        self.assertTrue(match, line)
        self.assertEqual(match[2], str(path))
        return match[1]

    def metrics(self, out, saves=False):
        """The lines of metrics.jsonl; without those of saves, whose place is a matter of
        the disk's speed."""
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if saves or line["event"] != "save"]

    def assert_one_message(self, done, *words, status=1):
        """One line from one rank, with these words, beside what mpirun itself says."""
        everything = f"\n{done.out}\n{done.err}"
        lines = [line for line in done.err.splitlines() if line.startswith("convoy")]
        self.assertEqual(len(lines), 1, everything)
        for word in words:
            self.assertIn(str(word), lines[0], everything)
        self.assertEqual(done.status, status, everything)

"""Small data sets as they are distributed, for the tests of packing: trees and archives of
images, ImageNet's files, CIFAR's. Needs Pillow."""
import io
import random
import struct
import tarfile
import zlib

from PIL import Image

WNIDS = ("n01440764", "n02100735", "n02119789")
# ILSVRC2012_ID 1, 2, … as the development kit numbers them, not in the order of the names.
IDS = ("n02119789", "n02100735", "n01440764")
KIT = "ILSVRC2012_devkit_t12"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
SIDE = 32  # of CIFAR


def picture(draw, width, height, mode="RGB"):
    """A smooth random image: few bytes, and decoders agree on it."""
    small = Image.frombytes("RGB", (4, 4), draw.randbytes(48))
    return small.resize((width, height), Image.BICUBIC).convert(mode)


def jpeg(draw, width=24, height=18, **options):
    out = io.BytesIO()
    picture(draw, width, height, options.pop("mode", "RGB")).save(out, "JPEG", **options)
    return out.getvalue()


def write_files(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tar_bytes(files, mode="w", prefix="", **options):
    """An archive of the files, in this order; with the folders, as tar(1) writes them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, **options) as archive:
        seen = set()
        for name, data in files.items():
            parts = (prefix + name).split("/")[:-1]
            for i in range(len(parts)):
                folder = "/".join(parts[:i + 1])
                if folder not in seen and folder != ".":
                    seen.add(folder)
                    entry = tarfile.TarInfo(folder)
                    entry.type = tarfile.DIRTYPE
                    archive.addfile(entry)
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def class_files(classes=WNIDS, n=4, seed=1):
    """Name below the root to bytes, in the order of a pack."""
    draw = random.Random(seed)
    return {f"{c}/{c}_{i}.JPEG": jpeg(draw, 20 + i, 30) for c in sorted(classes)
            for i in range(n)}


def train_tar(files):
    """As ILSVRC2012_img_train.tar: a tar of one tar a class, neither of them in order."""
    classes = {}
    for name in reversed(files):
        folder, image = name.split("/")
        classes.setdefault(folder, {})[image] = files[name]
    return tar_bytes({f"{c}.tar": tar_bytes(classes[c]) for c in classes})


def validation(n=9, seed=3):
    """Names, bytes and the true ILSVRC2012_ID of n validation images."""
    draw = random.Random(seed)
    names = [f"ILSVRC2012_val_{i + 1:08d}.JPEG" for i in range(n)]
    files = {name: jpeg(draw, 30, 20 + i) for i, name in enumerate(names)}
    return files, [draw.randrange(len(IDS)) + 1 for _ in names]


def element(kind, data):
    """A data element of a MATLAB file; short ones within the tag, as MATLAB writes them."""
    if len(data) <= 4 and kind != 14:
        return struct.pack("<HH4s", kind, len(data), data)
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, dims, name, *content):
    return element(14, element(6, struct.pack("<II", kind, 0))
                   + element(5, struct.pack(f"<{len(dims)}i", *dims))
                   + element(1, name.encode()) + b"".join(content))


def number(value):
    if isinstance(value, int) and value < 256:
        return matrix(6, (1, 1), "", element(2, bytes([value])))
    return matrix(6, (1, 1), "", element(9, struct.pack("<d", value)))


def text(value):
    return matrix(4, (1, len(value)), "", element(4, value.encode("utf-16-le")))


def meta_mat(pack=True, change=lambda rows: rows):
    """meta.mat with the three classes, two inner synsets, and fields of no interest.
    change: what makes other rows of (ILSVRC2012_ID, WNID, words, number of children)."""
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "children")
    rows = [(i + 1, wnid, f"word \u00e9 {i}", 0) for i, wnid in enumerate(IDS)]
    rows += [(1001, "n00001740", "entity", 2), (1860, "n00002137", "", 1)]
    rows = change(rows)
    values = []
    for id_, wnid, words, n in rows:
        children = (matrix(6, (1, n), "", element(2, bytes(range(n)))) if n in (1, 2)
                    else element(14, b""))
        values += [number(id_), text(wnid), text(words), number(n), children]
    field_names = b"".join(name.encode().ljust(32, b"\0") for name in names)
    synsets = matrix(2, (len(rows), 1), "synsets", element(5, struct.pack("<i", 32)),
                     element(1, field_names), *values)
    other = matrix(6, (1, 1), "version", element(2, b"\1"))
    if pack:
        other, synsets = (struct.pack("<II", 15, len(z)) + z
                          for z in map(zlib.compress, (other, synsets)))
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + other + synsets


def devkit_files(truth, meta=None):
    return {f"{KIT}/readme.txt": b"hello",
            f"{KIT}/data/meta.mat": meta or meta_mat(),
            f"{KIT}/data/{TRUTH}": "".join(f"{i}\n" for i in truth).encode()}


def cifar10_files(n=20, seed=5):
    """The files of CIFAR-10 in binary form with n records each; labels and pixels in order of
    train, and of test."""
    draw = random.Random(seed)
    names = [f"data_batch_{i + 1}.bin" for i in range(5)] + ["test_batch.bin"]
    records = {name: [(draw.randrange(10), draw.randbytes(3 * SIDE * SIDE))
                      for _ in range(n)] for name in names}
    files = {name: b"".join(bytes([label]) + pixels for label, pixels in records[name])
             for name in names}
    classes = [f"class {i}" for i in range(10)]
    files["batches.meta.txt"] = ("\n".join(classes) + "\n\n").encode()
    train = [record for name in names[:5] for record in records[name]]
    return files, train, records[names[5]], classes

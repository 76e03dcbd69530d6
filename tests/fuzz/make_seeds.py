"""make_seeds.py FOLDER: seeds for the fuzz targets, FOLDER/<target>/*, and dictionaries,
FOLDER/<target>.dict. What only convoy can make is left to the program seeds."""
import io
import json
import pathlib
import random
import re
import struct
import sys

from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
import pack_sources  # noqa: E402

WORDS = {
    "image": [b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4",
              b"\xff\xdb", b"\xff\xdd", b"\xff\xd0", b"\xff\xe0", b"\xff\xee", b"Adobe",
              b"JFIF\0", b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"sBIT", b"gAMA",
              b"\x89PNG\r\n\x1a\n"],
    "safetensors": [b'"dtype"', b'"shape"', b'"data_offsets"', b'"__metadata__"', b'"F32"',
                    b'"F16"', b'"BF16"', b'"F64"', b'"I64"', b'"BOOL"', b"null", b"[]",
                    b"{}", b"18446744073709551615", b"1e308", b"-1", b'\\u0000'],
    "pack": [b"\x89HDF\r\n\x1a\n", b"TREE", b"HEAP", b"SNOD", b"GCOL", b"OHDR", b"FRHP",
             b"BTHD", b"bytes", b"offsets", b"labels", b"checksums", b"class_names",
             b"\xff\xff\xff\xff\xff\xff\xff\xff"],
    "tar": [b"ustar\0" + b"00", b"ustar  \0", b"././@LongLink", b"path=", b"linkpath=",
            b"GNU.sparse.major=1", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd", b".tar", b".JPEG", b"PK\x03\x04"],
    "matlab": [b"synsets", b"WNID", b"ILSVRC2012_ID", b"num_children", b"MATLAB 5.0",
               b"\x00\x01IM", b"\x01\x00MI", struct.pack("<I", 14), struct.pack("<I", 15)],
}
SHARED_WORDS = {"prover": "image", "checkpoint": "pack", "source": "tar", "devkit": "matlab"}


def images(draw):
    for name, mode, options in [
            ("grey", "L", {}), ("rgb", "RGB", {}), ("cmyk", "CMYK", {}),
            ("progressive", "RGB", {"progressive": True}),
            ("whole", "RGB", {"subsampling": 0, "quality": 95})]:
        yield f"{name}.jpg", pack_sources.jpeg(draw, 24, 18, mode=mode, **options)
    for name, mode in [("grey", "L"), ("rgb", "RGB"), ("rgba", "RGBA"), ("palette", "P"),
                       ("bits", "1"), ("deep", "I;16")]:
        out = io.BytesIO()
        if mode == "I;16":
            picture = Image.frombytes(mode, (9, 7), draw.randbytes(126))
        else:
            picture = pack_sources.picture(draw, 9, 7).convert(mode)
        picture.save(out, "PNG")
        yield f"{name}.png", out.getvalue()


def safetensors():
    def one(entries, n):
        header = json.dumps(entries).encode()
        return struct.pack("<Q", len(header)) + header + bytes(n)
    yield "two", one({"__metadata__": {"format": "pt"},
                      "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                      "b": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]}}, 26)
    yield "types", one({t: {"dtype": t, "shape": [1], "data_offsets": [8 * i, 8 * i + 8]}
                        for i, t in enumerate(["F64", "I64", "U64"])}, 24)
    yield "empty", one({}, 0)


def recipes():
    for path in sorted((ROOT / "jobs" / "recipes").glob("*.yaml")):
        yield path.name, path.read_bytes()
    yield "overrides", b"data: {train: a.h5}\n\0schedule.lr=0.2\0init.freeze=[\"a.\"]"


def networks():
    """The lists of the recipes and of the manual."""
    yield "densenet", re.split(rb"(?m)^network:.*\n", (
        ROOT / "jobs/recipes/fashion-mnist-densenet.yaml").read_bytes())[1]
    manual = (ROOT / "docs" / "custom-network.md").read_text()
    for i, block in enumerate(re.findall(r"```yaml\n(.*?)```", manual, re.S)):
        yield f"manual-{i}", block.split("network:\n")[-1].encode()
    yield "small", (b"- {conv: {out: 4, kernel: 3}, as: a}\n- relu\n"
                    b"- {add: {}, from: [a, relu1]}\n- {repeat: 2, as: b, layers: ["
                    b"{conv: {out: 4, kernel: 1}}]}\n- flatten\n"
                    b"- {inner_product: {out: classes}}\n")


def sources(draw):
    tar = pack_sources.tar_bytes(pack_sources.class_files(n=1))
    idx = (b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 3) + bytes(18),
           b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\0\1")
    yield "idx", b"\0\0" + struct.pack("<H", len(idx[0])) + b"".join(idx)
    yield "idx-classes", b"\0\1" + b"1" + struct.pack("<H", len(idx[0])) + b"".join(idx)
    yield "cifar", b"\1\0" + b"\3" + draw.randbytes(3072)
    yield "cifar-tar", b"\2\0" + pack_sources.tar_bytes(
        {"cifar-10-batches-bin/test_batch.bin": b"\3" + bytes(3072),
         "cifar-10-batches-bin/batches.meta.txt": b"cat\ndog\n"}, "w:gz")
    yield "tar", b"\3\0" + tar
    yield "tar-of-tars", b"\3\0" + pack_sources.train_tar(pack_sources.class_files(n=1))


def tars():
    files = {"a/b.txt": b"hello", "a/" + "c" * 120: b"x" * 600}
    for mode in "w", "w:gz", "w:bz2", "w:xz":
        yield mode.replace(":", "-"), pack_sources.tar_bytes(files, mode)


def devkits():
    meta = pack_sources.meta_mat()
    yield "meta", b"\0" + meta
    yield "meta-plain", b"\0" + pack_sources.meta_mat(pack=False)
    yield "truth", b"\1" + b"1\n2\n3\n"
    yield "archive", b"\2" + pack_sources.tar_bytes(pack_sources.devkit_files([1, 2]))


def edits(draw):
    """Of packs and checkpoints (h5_edit.c): one object or attribute at a time."""
    for what in range(6):
        for which in range(12):
            yield f"edit-{what}-{which}", bytes([0, what, which]) + draw.randbytes(12)


def dictionary(words):
    def escape(word):
        return "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\x{c:02x}"
                       for c in word)
    return "".join(f'"{escape(word)}"\n' for word in words)


def recipe_words():
    """What stands in backticks in the manuals: keys, kinds and values."""
    text = "".join((ROOT / "docs" / name).read_text()
                   for name in ("recipe.md", "custom-network.md", "models.md"))
    words = set(re.findall(r"[A-Za-z_][A-Za-z_0-9]+", " ".join(re.findall(r"`[^`\n]+`", text))))
    return [w.encode() for w in sorted(words)] + [b": ", b"- ", b"[", b"{", b"&a", b"*a", b"!!"]


def write(folder, seeds):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds:
        (folder / name).write_bytes(data)


def main(folder):
    draw = random.Random(1)
    write(folder / "image", images(draw))
    write(folder / "prover", images(draw))
    write(folder / "safetensors", safetensors())
    write(folder / "recipe", recipes())
    write(folder / "network", networks())
    write(folder / "matlab", [("packed", pack_sources.meta_mat()),
                              ("plain", pack_sources.meta_mat(pack=False))])
    write(folder / "devkit", devkits())
    write(folder / "tar", tars())
    write(folder / "source", sources(draw))
    write(folder / "folder", [("two", b"cat/i1.jpg\ndog/i2.jpg\ndog/.x\ncat/readme"),
                              ("deep", b"a/b/i1\na/c/i2\nb/i3"), ("split", b"train/a/i\nval/a/i")])
    for name in "pack", "checkpoint":
        write(folder / name, edits(draw))
    write(folder / "listing", [])
    write(folder / "numbers", [("commas", b"1,2,3\n4,-5,6.5e-1\n"),
                               ("blanks", b"\xef\xbb\xbf# two rows\n 1 ;2\r\n\n3\t4")])
    write(folder / "event", [("start", b"\x10\x01\x3a\x02\x08\x01"),
                             ("scalar", b"\x10\xe8\x07\x2a\x08\x0a\x06\x0a\x01a\x15" + bytes(4))])
    for target, words in WORDS.items():
        (folder / f"{target}.dict").write_text(dictionary(words))
    for target, other in SHARED_WORDS.items():
        (folder / f"{target}.dict").write_text(dictionary(WORDS[other]))
    for target in "recipe", "network":
        (folder / f"{target}.dict").write_text(dictionary(recipe_words()))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

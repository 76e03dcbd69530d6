"""test_pack_h5py.py CONVOY: h5py and plain reads find in a pack what went into it."""
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy
    from PIL import Image
except ImportError as missing:
    print("SKIPPED:", missing)
    sys.exit(77)

CONVOY = sys.argv.pop(1)
DTYPES = {"bytes": "u1", "offsets": "u8", "labels": "i4", "checksums": "u8",
          "width": "u2", "height": "u2"}


def write_idx(path, array, opener=open):
    with opener(path, "wb") as file:
        file.write(bytes([0, 0, 8, array.ndim]))
        file.write(struct.pack(f">{array.ndim}I", *array.shape))
        file.write(array.tobytes())


class Pack(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.pack = self.path("out.h5")
        self.draw = numpy.random.default_rng(7)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def create(self, source):
        subprocess.run([CONVOY, "pack", source, "-o", self.pack, "--quiet"], check=True,
                       capture_output=True)

    def check(self, records, labels, classes, attributes):
        """The pack holds exactly this, by h5py and by reading at the bytes' offset."""
        with h5py.File(self.pack, "r") as file:
            for name, dtype in DTYPES.items():
                self.assertEqual(file[name].dtype, numpy.dtype(dtype), name)
                self.assertIsNone(file[name].chunks, name)
            offsets = file["offsets"][:]
            start = file["bytes"].id.get_offset()
            if offsets[-1] >= 4096:
                self.assertEqual(start % 4096, 0)
            self.assertEqual(file["bytes"].shape, (offsets[-1],))
            self.assertEqual(file["labels"][:].tolist(), labels)
            self.assertEqual([name.decode() for name in file["class_names"][:]], classes)
            self.assertEqual(len(set(file["checksums"][:])), len(set(records)))
            for name, value in attributes.items():
                found = file.attrs[name]
                found = found.decode() if isinstance(found, bytes) else found
                self.assertEqual(found, value, name)
            pack_id = file.attrs["pack_id"]
        with open(self.pack, "rb") as file:
            for i, record in enumerate(records):
                file.seek(start + int(offsets[i]))
                self.assertEqual(file.read(int(offsets[i + 1] - offsets[i])), record)
        self.check_info(len(records), labels, classes, pack_id)

    def check_info(self, n_records, labels, classes, pack_id):
        done = subprocess.run([CONVOY, "info", "--json", self.pack], check=True,
                              capture_output=True)
        info = json.loads(done.stdout)
        self.assertEqual(info["records"], n_records)
        self.assertEqual(info["id"].encode(), pack_id)
        counts = [{"name": name, "records": labels.count(i)}
                  for i, name in enumerate(classes)]
        self.assertEqual(info["classes"], counts)
        subprocess.run([CONVOY, "verify", self.pack], check=True, capture_output=True)

    def test_idx(self):
        for shape, opener, suffix in (((100, 9, 7), open, ""),
                                      ((20, 3, 8, 8), gzip.open, ".gz")):
            images = self.draw.integers(0, 256, shape, numpy.uint8)
            labels = self.draw.integers(0, 5, shape[0]).astype(numpy.uint8)
            labels[0] = 4
            write_idx(self.path("train-images-idx3-ubyte" + suffix), images, opener)
            write_idx(self.path("train-labels-idx1-ubyte" + suffix), labels, opener)
            self.create(self.path("train-images-idx3-ubyte" + suffix))
            self.check([image.tobytes() for image in images], labels.tolist(),
                       [str(c) for c in range(5)],
                       {"format": "convoy pack", "version": 1, "part": 0, "parts": 1,
                        "encoding": "raw", "channels": shape[1] if len(shape) == 4 else 1,
                        "height": shape[-2], "width": shape[-1]})

    def test_folder(self):
        files = {"cat/1.jpg": 0, "cat/10.JPEG": 0, "cat/2.png": 0, "dög \"x\"/a/1.jpg": 1,
                 "zebra/1": 2}
        for name in files:
            os.makedirs(os.path.dirname(self.path("tree", name)), exist_ok=True)
            pixels = self.draw.integers(0, 256, (12, 17, 3), numpy.uint8)
            Image.fromarray(pixels).save(self.path("tree", name),
                                         format="PNG" if "png" in name else "JPEG")
        self.create(self.path("tree"))
        records = []
        for name in files:
            with open(self.path("tree", name), "rb") as file:
                records.append(file.read())
        self.check(records, list(files.values()), ["cat", "dög \"x\"", "zebra"],
                   {"format": "convoy pack", "encoding": "jpeg"})
        with h5py.File(self.pack, "r") as file:
            self.assertEqual(set(file["width"][:]), {17})
            self.assertEqual(set(file["height"][:]), {12})


if __name__ == "__main__":
    unittest.main()

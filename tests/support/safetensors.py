"""Safetensors files as dicts of numpy arrays, for tests: Debian 12 has no module for it.

    load(path) -> {name: array}        save(path, {name: array}[, metadata])

A file is the length of its header (u64, little-endian), the header (JSON, padded with
spaces), and the values. numpy knows no bfloat16: BF16 loads as f32, and save writes it for
arrays in a Bf16. Only the program under test is strict: what this reads is thought to be
good. It hides the real module from scripts that put this folder first in sys.path, as they
must; see real_module.
"""
import importlib
import json
import os
import struct
import sys

import numpy

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
         "I8": "i1", "U8": "u1", "BOOL": "?"}
NAMES = {numpy.dtype(code): name for name, code in TYPES.items()}


class Bf16:
    """An f32 array to be written as BF16: the upper halves of its values."""

    def __init__(self, array):
        self.bits = (numpy.asarray(array, "<f4").view("<u4") >> 16).astype("<u2")


def header(path):
    """The header as it is, metadata included."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size))


def read_values(data, entry):
    begin, end = entry["data_offsets"]
    if entry["dtype"] == "BF16":
        bits = numpy.frombuffer(data[begin:end], "<u2").astype("<u4") << 16
        values = bits.view("<f4")
    else:
        values = numpy.frombuffer(data[begin:end], TYPES[entry["dtype"]]).copy()
    return values.reshape(entry["shape"])


def load(path):
    entries = header(path)
    entries.pop("__metadata__", None)
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        file.seek(8 + size)
        data = file.read()
    return {name: read_values(data, entry) for name, entry in entries.items()}


def as_entry(array):
    """Type, shape and bytes of what save was given; anything array() takes will do."""
    if isinstance(array, Bf16):
        return "BF16", array.bits.shape, array.bits.tobytes()
    array = numpy.asarray(array)
    return NAMES[array.dtype.newbyteorder("=")], array.shape, array.tobytes()


def save(path, arrays, metadata=None):
    """The arrays in their order in the dict."""
    entries = {"__metadata__": metadata} if metadata else {}
    parts, end = [], 0
    for name, array in arrays.items():
        dtype, shape, data = as_entry(array)
        entries[name] = {"dtype": dtype, "shape": list(shape),
                         "data_offsets": [end, end + len(data)]}
        end += len(data)
        parts.append(data)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)


def real_module():
    """The installed module safetensors.numpy, or None; it has the name of this one."""
    here = os.path.dirname(os.path.realpath(__file__))
    ours, path = sys.modules.pop("safetensors", None), sys.path
    sys.path = [part for part in path if os.path.realpath(part) != here]
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError:
        return None
    finally:
        sys.path = path
        if ours:
            sys.modules["safetensors"] = ours

"""TensorBoard's event files, read with nothing of convoy's: messages by Google's library of
Protocol Buffers, from the published numbers of their fields, and frames by a library's
CRC-32C."""
import struct

import crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {"double": _FIELD.TYPE_DOUBLE, "float": _FIELD.TYPE_FLOAT,
          "int64": _FIELD.TYPE_INT64, "int32": _FIELD.TYPE_INT32,
          "string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES}

# event.proto and summary.proto, as far as they are used; "*": repeated, "?": in a oneof.
MESSAGES = {
    "Event": ["double wall_time 1", "int64 step 2", "string? file_version 3",
              "Summary? summary 5", "SessionLog? session_log 7"],
    "SessionLog": ["int32 status 1"],
    "Summary": ["Value* value 1"],
    "Value": ["string tag 1", "float? simple_value 2", "Image? image 4"],
    "Image": ["int32 height 1", "int32 width 2", "int32 colorspace 3",
              "bytes encoded_image_string 4"],
}
START = 1  # SessionLog.status


def _make_event():
    file = descriptor_pb2.FileDescriptorProto(name="event", package="t", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if any("?" in field for field in fields):
            message.oneof_decl.add(name="what")
        for text in fields:
            kind, field_name, number = text.split()
            kind, mark = kind.rstrip("*?"), kind[-1]
            field = message.field.add(
                name=field_name, number=int(number),
                label=_FIELD.LABEL_REPEATED if mark == "*" else _FIELD.LABEL_OPTIONAL)
            if mark == "?":
                field.oneof_index = 0
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".t.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("t.Event")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)
    return message_factory.MessageFactory(pool).GetPrototype(found)


Event = _make_event()


def _masked(data):
    crc = crc32c.crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def events(path):
    """Those of a file, which has to be whole."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        n, crc = struct.unpack_from("<QI", data, at)
        message = data[at + 12:at + 12 + n]
        crc_of_message, = struct.unpack_from("<I", data, at + 12 + n)
        if crc != _masked(data[at:at + 8]) or crc_of_message != _masked(message):
            raise AssertionError(f"{path}: a wrong sum at {at}")
        event = Event.FromString(message)
        again = Event.FromString(message)
        again.DiscardUnknownFields()
        if again.ByteSize() != event.ByteSize():
            raise AssertionError(f"{path}: unknown fields at {at}")
        found.append(event)
        at += 16 + n
    return found


def paths(out):
    """A run's files, in the order in which TensorBoard reads them."""
    return sorted((out / "tensorboard").iterdir())


def values(out):
    """(event, value) of all of a run's files."""
    return [(event, value) for path in paths(out) for event in events(path)
            for value in event.summary.value]

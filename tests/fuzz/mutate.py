"""Changes of bytes, of JSON and of protobuf's messages. What a seed gives is always the same."""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

NUMBERS = (b"0", b"-1", b"1e-300", b"1e400", b"nan", b"99999999999999999999", b"2147483648", b"4294967295", b"65536")
BINARY = (b"\0", b"\xff", b"\xff\xff", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0" * 8)
TEXT = (
    b"",
    b" ",
    b"\r",
    b"\n",
    b"\x0b",
    b"\x1c\r",
    b"\\",
    b"\x1b[31m",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    "ü€😀".encode(),
    b"A" * 70,
)
DEEP = 100_000
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**70, 10**400, 1e308, 1e-300, float("nan"), float("inf"),
    "", " ", "x" * 5000, "é\x00\x1b", "1e5", "2026-02-30", [], {}, [[]], {"": None}, [0] * 500,
)  # fmt: skip


def mutated(data: bytes, lot: random.Random, tokens: tuple[bytes, ...] = ()) -> bytes:
    """Changed in one to five places; `tokens` mean something in this format."""
    out = bytearray(data)
    for _ in range(lot.randint(1, 5)):
        lot.choice(WAYS)(out, lot, tokens)
    return bytes(out)


def _overwritten(out: bytearray, lot: random.Random, tokens: tuple[bytes, ...]) -> None:
    at, piece = lot.randrange(len(out) + 1), _piece(lot, tokens)
    out[at : at + len(piece)] = piece


def _inserted(out: bytearray, lot: random.Random, tokens: tuple[bytes, ...]) -> None:
    at = lot.randrange(len(out) + 1)
    out[at:at] = _piece(lot, tokens)


def _removed(out: bytearray, lot: random.Random, _: tuple[bytes, ...]) -> None:
    at = lot.randrange(len(out) + 1)
    del out[at : at + lot.choice((1, 2, 4, 40))]


def _repeated(out: bytearray, lot: random.Random, _: tuple[bytes, ...]) -> None:
    at = lot.randrange(len(out) + 1)
    out[at:at] = bytes(out[at : at + lot.choice((1, 16, 400))]) * lot.choice((1, 2, 50))


def _cut_off(out: bytearray, lot: random.Random, _: tuple[bytes, ...]) -> None:
    if lot.random() < 0.3:
        del out[lot.randrange(len(out) + 1) :]


WAYS: tuple[Callable[[bytearray, random.Random, tuple[bytes, ...]], None], ...] = (
    _overwritten,
    _inserted,
    _removed,
    _repeated,
    _cut_off,
)


def _piece(lot: random.Random, tokens: tuple[bytes, ...]) -> bytes:
    return lot.choice(lot.choice((NUMBERS, BINARY, TEXT, (lot.randbytes(lot.randint(1, 8)),), tokens or TEXT)))


def changed(value: Any, lot: random.Random) -> Any:
    """JSON with one to three of its values made into something else (a copy where it must be one)."""
    for _ in range(lot.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return deepcopy(lot.choice(ODD))
        into, key = lot.choice(places)
        match lot.randrange(4):
            case 0:
                del into[key]
            case 1:
                into[key] = [into[key], deepcopy(into[key])]
            case _:
                into[key] = deepcopy(lot.choice(ODD))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below, as what holds it and under which key."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def deep(opening: str = "[") -> bytes:
    """Nested beyond what a reader's stack holds."""
    return opening.encode() * DEEP


NUMBERS_OF = {
    FieldDescriptor.CPPTYPE_INT32: (0, -1, 2**31 - 1, -(2**31)),
    FieldDescriptor.CPPTYPE_INT64: (0, -1, 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: (0.0, -1.0, 1e308, 1e-300, float("nan"), float("inf")),
    FieldDescriptor.CPPTYPE_FLOAT: (0.0, -1.0, 1e38, float("nan")),
    FieldDescriptor.CPPTYPE_BOOL: (True, False),
    FieldDescriptor.CPPTYPE_ENUM: (0, 1, 77),
    FieldDescriptor.CPPTYPE_STRING: ("", " ", "x" * 70_000, "é\x00\x1b[31m", "2026-02-30", "*", "..", "1.2.3", "nan"),
}


def change_fields(message: Message, lot: random.Random, depth: int = 0) -> None:
    """Some fields of a message, and of those in it, made into something else (in place)."""
    for field in message.DESCRIPTOR.fields:
        if lot.random() > 0.2 or (field.message_type is not None and field.message_type.GetOptions().map_entry):
            continue
        if field.message_type is not None:
            _change_message(message, field, lot, depth)
        elif field.cpp_type in NUMBERS_OF:
            value = lot.choice(NUMBERS_OF[field.cpp_type])
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)


def _change_message(message: Message, field: FieldDescriptor, lot: random.Random, depth: int) -> None:
    inner = getattr(message, field.name)
    if depth > 3:
        return
    if field.is_repeated:
        inner = inner.add() if not inner or lot.random() < 0.3 else lot.choice(inner)
    else:
        inner.SetInParent()
    change_fields(inner, lot, depth + 1)

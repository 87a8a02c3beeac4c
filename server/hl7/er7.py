"""HL7 v2's text form (ER7): delimiters, escapes, character sets, and reading without building a tree.

Why not hl7apy for reading: it takes 3 s of CPU for 100 kB of many segments where an order of 16 MB must be read in 1 s,
and it refuses whole messages for segments that nobody reads. Here a message is a list of lines; a line is split when
asked for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from server.domain.errors import Refused, ServiceReason

START, END_BYTE = b"\x0b", b"\x1c"
END = END_BYTE + b"\r"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DEFAULT_CHARSET = "ASCII"
UTF8 = "UNICODE UTF-8"
LINES_AT_MOST = 600_000
"""Each costs a hundred bytes here; a message of 16 MB has as many segments where each is of 28 characters."""

CHARACTERS_AT_MOST = 1 << 18
"""Of all segments of one name that are read whole: of 15 MB of repetitions in one SAC-3 each took 4 µs, 22 s in all."""
HEADER_AT_MOST = 1 << 16
"""Bytes of MSH, which is given back in each acknowledgment."""

# HL7 table 0211 (MSH-18), with names seen in the field where they are not ambiguous: term -> (table's term, Python's
# codec).
CHARSETS = {
    "ASCII": ("ASCII", "ascii"),
    **{f"8859/{n}": (f"8859/{n}", f"iso8859_{n}") for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    **{f"ISO-8859-{n}": (f"8859/{n}", f"iso8859_{n}") for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    **{f"ISO8859-{n}": (f"8859/{n}", f"iso8859_{n}") for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    **{f"ISO8859/{n}": (f"8859/{n}", f"iso8859_{n}") for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    UTF8: (UTF8, "utf-8"),
    "UTF-8": (UTF8, "utf-8"),
    "UTF8": (UTF8, "utf-8"),
    "UNICODE": (UTF8, "utf-8"),  # the table's UNICODE is two bytes a character, which MLLP cannot carry: UTF-8 is meant
    "GB 18030-2000": ("GB 18030-2000", "gb18030"),
    "KS X 1001": ("KS X 1001", "euc_kr"),
    "BIG-5": ("BIG-5", "big5"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiters:
    """MSH-1 and the characters of MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.subcomponent

    @property
    def letters(self) -> dict[str, str]:
        """What stands between two escape characters -> the delimiter it means (HL7 v2.5.1 2.7.1)."""
        return {"F": self.field, "S": self.component, "R": self.repetition, "E": self.escape, "T": self.subcomponent}


STANDARD = Delimiters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One line. Fields, components and subcomponents count from 1, as the standard names them.

    MSH-1 is the delimiter.
    """

    line: str
    delimiters: Delimiters
    charset: str

    @property
    def name(self) -> str:
        return self.line[:3]

    def raw(self, field: int) -> str:
        """The field as sent, all repetitions, escapes untouched.

        Empty where absent, or where HL7's null (two quotes) stands.
        """
        parts = self.line.split(self.delimiters.field, field + 1)
        index = field - 1 if self.name == "MSH" else field
        value = parts[index] if 0 < index < len(parts) else ""
        return "" if value == '""' else value

    def repetitions(self, field: int) -> list["Field"]:
        """The field's repetitions, at least one (empty)."""
        return [Field(text=t, segment=self) for t in self.raw(field).split(self.delimiters.repetition)]

    def get(self, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """A value of the field's first repetition, unescaped and without spaces around it; empty where absent."""
        return self.first(field).get(component, subcomponent)

    def first(self, field: int) -> "Field":
        """The field's first repetition."""
        return Field(text=self.raw(field).split(self.delimiters.repetition, 1)[0], segment=self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One repetition of a field."""

    text: str
    segment: Segment

    def get(self, component: int = 1, subcomponent: int = 1) -> str:
        """A value, unescaped and without spaces around it; empty where absent."""
        return self._value(_nth(self.text, self.segment.delimiters.component, component), subcomponent)

    def components(self) -> list[str]:
        """First subcomponents of all components, unescaped."""
        return [self._value(part, 1) for part in self.text.split(self.segment.delimiters.component)]

    def _value(self, component: str, subcomponent: int) -> str:
        d = self.segment.delimiters
        part = _nth(component, d.subcomponent, subcomponent)
        return "" if part == '""' else unescape(part, d, self.segment.charset).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message's lines, and the same by segment name. `charset` is the term of table 0211 that it was read by."""

    header: Segment
    lines: tuple[str, ...]
    named: dict[str, list[str]]

    @property
    def charset(self) -> str:
        return self.header.charset

    def segments(self, name: str) -> list[Segment]:
        """The segments of this name, in their order."""
        return [self._segment(line) for line in self.named.get(name, [])]

    def count(self, name: str) -> int:
        """How many segments of this name there are, without looking at them."""
        return len(self.named.get(name, []))

    def first(self, name: str) -> Segment | None:
        return next((self._segment(line) for line in self.named.get(name, [])), None)

    def containing(self, name: str, text: str) -> list[Segment]:
        """The segments of this name in whose line `text` stands somewhere: quick where there are
        hundreds of thousands.
        """
        return [self._segment(line) for line in self.named.get(name, []) if text in line]

    def before_second(self, name: str) -> "Message":
        """The message up to, and without, the second segment of this name."""
        if len(self.named.get(name, [])) < 2:
            return self
        at = [i for i, line in enumerate(self.lines) if line[:3] == name]
        return _message(self.lines[: at[1]], self.header)

    def _segment(self, line: str) -> Segment:
        return Segment(line=line, delimiters=self.header.delimiters, charset=self.header.charset)


def _message(lines: tuple[str, ...], header: Segment) -> Message:
    named: dict[str, list[str]] = {}
    for line in lines:
        named.setdefault(line[:3], []).append(line)
    return Message(header=header, lines=lines, named=named)


def read(message: bytes, default_charset: str = DEFAULT_CHARSET) -> Message:
    """Read a message, with or without MLLP's envelope and a byte order mark; segments may end in CR, LF or CRLF.

    Without MSH-18 a byte order mark means UTF-8, else `default_charset` counts. Raises Refused MESSAGE_INVALID,
    CHARSET_UNDECODABLE.
    """
    body = bare(message)
    head = read_header(message)
    if len(head.line) == HEADER_AT_MOST:
        raise Refused(ServiceReason.MESSAGE_INVALID, f"MSH is longer than {HEADER_AT_MOST} characters: send it shorter")
    if body.count(b"\r") + body.count(b"\n") > LINES_AT_MOST:
        raise Refused(
            ServiceReason.MESSAGE_INVALID,
            f"the message has more than {LINES_AT_MOST} lines: send orders without what is not for us",
        )
    marked = message.lstrip(START + b"\r\n").startswith(BYTE_ORDER_MARK)
    charset, codec = _charset(head.get(18) or (UTF8 if marked else default_charset))
    try:
        text = body.decode(codec)
    except UnicodeDecodeError:
        trouble = f"a byte is not of the character set in force, {charset}: name the one you write in MSH-18"
        raise Refused(ServiceReason.CHARSET_UNDECODABLE, trouble) from None
    lines = tuple(filter(None, map(str.strip, text.replace("\n", "\r").split("\r"))))
    return _message(lines, Segment(line=lines[0], delimiters=head.delimiters, charset=charset))


def check_length(name: str, lines: Iterable[str]) -> None:
    """Of segments that are looked into field by field. Raises Refused MESSAGE_INVALID."""
    if sum(map(len, lines)) > CHARACTERS_AT_MOST:
        raise Refused(
            ServiceReason.MESSAGE_INVALID,
            f"the message's {name} segments hold more than {CHARACTERS_AT_MOST} characters: send one order a message",
        )


def bare(message: bytes) -> bytes:
    """Without MLLP's bytes, byte order mark and blank lines around it."""
    body = message.strip(b"\x0b\x1c\r\n \t\x00")
    return body.removeprefix(BYTE_ORDER_MARK).lstrip(b"\x0b\r\n \t")


def read_header(message: bytes) -> Segment:
    """MSH alone, byte for byte (Latin-1), so that what can't be decoded can still be answered.

    Raises Refused MESSAGE_INVALID.
    """
    line = re.split(rb"[\r\n]", bare(message)[:HEADER_AT_MOST], maxsplit=1)[0].decode("latin-1")
    if line.startswith(("FHS", "BHS")):
        raise Refused(ServiceReason.MESSAGE_INVALID, "a batch (FHS, BHS) is not taken: send each message by itself")
    if not line.startswith("MSH") or len(line) < 8:
        raise Refused(ServiceReason.MESSAGE_INVALID, "the message does not begin with an MSH segment")
    field, encoding = line[3], line[4:].split(line[3], 1)[0]
    given = field + encoding[:4]
    signs = given + STANDARD.subcomponent * (len(given) == 4)
    if len(signs) != 5 or len(set(signs)) != 5 or any(s.isalnum() or s.isspace() for s in signs):
        raise Refused(ServiceReason.MESSAGE_INVALID, "MSH-1 and MSH-2 need five different signs as delimiters")
    delimiters = Delimiters(
        field=field, component=signs[1], repetition=signs[2], escape=signs[3], subcomponent=signs[4]
    )
    return Segment(line=line, delimiters=delimiters, charset="8859/1")


def term_of(charset: str) -> str:
    """The term of table 0211 for one of the names known here. Raises Refused CHARSET_UNDECODABLE for another."""
    return _charset(charset)[0]


def codec_of(charset: str) -> str:
    """Python's codec for a term of table 0211. Raises Refused CHARSET_UNDECODABLE for one that is not known here."""
    return _charset(charset)[1]


def _charset(term: str) -> tuple[str, str]:
    known = CHARSETS.get(term.upper())
    if known is None:
        raise Refused(
            ServiceReason.CHARSET_UNDECODABLE, "MSH-18 names a character set that is not supported: send UNICODE UTF-8"
        )
    return known


def escape(text: str, d: Delimiters = STANDARD) -> str:
    """Text as it may stand in a field: delimiters and control characters (line ends too) become escape sequences."""
    return text.translate(_escapes(d))


@lru_cache(maxsize=16)
def _escapes(d: Delimiters) -> dict[int, str]:
    signs = {ord(sign): f"{d.escape}{letter}{d.escape}" for letter, sign in d.letters.items()}
    return signs | {c: f"{d.escape}X{c:02X}{d.escape}" for c in (*range(32), 127)}


def unescape(text: str, d: Delimiters = STANDARD, charset: str = UTF8) -> str:
    """The inverse of `escape`.

    .br becomes a line end, highlighting goes, sequences that are not understood stay as sent.
    """
    if d.escape not in text:
        return text
    sign = re.escape(d.escape)
    return re.sub(f"{sign}([^{sign}]*){sign}", lambda m: _meaning(m[0], m[1], d, charset), text)


def _meaning(whole: str, code: str, d: Delimiters, charset: str) -> str:
    if code in d.letters:
        return d.letters[code]
    if code in ("H", "N"):
        return ""
    if code == ".br":
        return "\n"
    try:
        return bytes.fromhex(code[1:]).decode(codec_of(charset)) if code[:1] == "X" and len(code) > 1 else whole
    except ValueError:
        return whole


def segment(name: str, *fields: str) -> str:
    """A line in standard delimiters; fields are ER7 already (`composed`, `escape`).

    Empty ones at the end are left out.
    """
    return "|".join([name, *fields]).rstrip("|")


def composed(*components: str) -> str:
    """A field of several components, each escaped and without spaces around it; empty ones at the end are left out."""
    return "^".join(escape(c.strip()) for c in components).rstrip("^")


def _nth(text: str, separator: str, number: int) -> str:
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import Refused, ServiceReason
from server.hl7.er7 import (
    CHARSETS,
    LINES_AT_MOST,
    STANDARD,
    Delimiters,
    Field,
    composed,
    escape,
    read,
    segment,
    unescape,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
SIGNS = st.lists(st.sampled_from("|^~\\&#$%*!:;<>@?"), min_size=5, max_size=5, unique=True)


@given(TEXT, SIGNS)
def test_escaped_text_returns_as_it_was_with_any_delimiters(text: str, signs: list[str]) -> None:
    d = Delimiters(field=signs[0], component=signs[1], repetition=signs[2], escape=signs[3], subcomponent=signs[4])
    written = escape(text, d)
    assert unescape(written, d) == text
    assert not set(written) & {d.field, d.component, d.repetition, d.subcomponent, "\r", "\n", "\x0b", "\x1c"}


@given(st.lists(TEXT.map(str.strip), min_size=1, max_size=5), SIGNS)
def test_what_is_written_in_a_field_is_read_from_it(values: list[str], signs: list[str]) -> None:
    d = Delimiters(field=signs[0], component=signs[1], repetition=signs[2], escape=signs[3], subcomponent=signs[4])
    field = d.component.join(escape(v, d) for v in values)
    text = f"MSH{d.field}{d.encoding_characters}{d.field * 16}UNICODE UTF-8\rPID{d.field * 5}{field}{d.field}F\r"
    pid = read(text.encode()).first("PID")
    assert pid is not None
    assert [pid.get(5, n + 1) for n in range(len(values))] == ["" if v == '""' else v for v in values]


@given(TEXT)
def test_text_without_escape_sequences_is_never_changed(text: str) -> None:
    plain = text.replace("\\", "")
    assert unescape(plain) == plain


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("a\\.br\\b", "a\nb"),
        ("\\H\\bold\\N\\", "bold"),
        ("\\XC3A4\\", "ä"),
        ("\\XZZ\\", "\\XZZ\\"),
        ("\\XFF\\", "\\XFF\\"),
        ("C:\\folder", "C:\\folder"),
        ("\\Zlocal\\", "\\Zlocal\\"),
        ("\\E\\F\\E\\", "\\F\\"),
        ("ends in \\", "ends in \\"),
    ],
)
def test_escape_sequences_mean_what_the_standard_says_and_others_stay(sent: str, meant: str) -> None:
    assert unescape(sent) == meant


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("envelope", [(b"", b""), (b"\x0b", b"\x1c\r"), (b"\r\n\x0b", b"\x1c\x0d")])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_envelope_and_byte_order_mark_make_no_difference(
    end: bytes, envelope: tuple[bytes, bytes], mark: bytes
) -> None:
    body = end.join([b"MSH|^~\\&|A|B|C|D|||OML^O21|1|P|2.5.1", b"PID|1||7", b""])
    message = read(envelope[0] + mark + body + envelope[1])
    assert [line[:3] for line in message.lines] == ["MSH", "PID"]
    assert message.header.get(10) == "1"
    assert message.segments("PID")[0].get(3) == "7"


@pytest.mark.parametrize(("term", "codec"), sorted({v for v in CHARSETS.values() if v[1] != "ascii"}))
def test_text_of_each_character_set_is_read(term: str, codec: str) -> None:
    letter = {
        "gb18030": "染",
        "euc_kr": "염",
        "big5": "染",
        "iso8859_5": "Ж",
        "iso8859_6": "ش",
        "iso8859_7": "Ω",
        "iso8859_8": "ש",
    }
    name = letter.get(codec, "ä" if codec not in ("iso8859_2", "iso8859_3", "iso8859_4") else "ö")
    message = read(f"MSH|^~\\&{'|' * 16}{term}\rPID|||||{name}\r".encode(codec))
    assert message.segments("PID")[0].get(5) == name


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", ServiceReason.MESSAGE_INVALID),
        (b"PID|1||7", ServiceReason.MESSAGE_INVALID),
        (b"MSH", ServiceReason.MESSAGE_INVALID),
        (b"MSH|^~~&|A", ServiceReason.MESSAGE_INVALID),
        (b"MSH ^~\\&|A|B", ServiceReason.MESSAGE_INVALID),
        (b"MSHA^~\\&ABCDEF", ServiceReason.MESSAGE_INVALID),
        (b"M\x00S\x00H\x00|\x00^\x00~\x00\\\x00&\x00", ServiceReason.MESSAGE_INVALID),
        (b"MSH|^~\\&|A\rPID|||||\xe4\r", ServiceReason.CHARSET_UNDECODABLE),
        (b"MSH|^~\\&||||||||||||||||UNICODE UTF-8\rPID|||||\xe4\r", ServiceReason.CHARSET_UNDECODABLE),
        (b"MSH|^~\\&||||||||||||||||EBCDIC\rPID|||||A\r", ServiceReason.CHARSET_UNDECODABLE),
    ],
)
def test_what_is_no_readable_message_is_refused_with_one_reason(message: bytes, reason: ServiceReason) -> None:
    with pytest.raises(Refused) as refused:
        read(message)
    assert refused.value.reason == reason
    assert "\n" not in refused.value.message


def test_a_site_may_name_the_character_set_of_senders_that_name_none() -> None:
    pid = read(b"MSH|^~\\&|A|B\rPID|||||M\xfcller\r", "8859/1").first("PID")
    assert pid is not None
    assert pid.get(5) == "Müller"


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(message: bytes) -> None:
    for candidate in (message, b"MSH|^~\\&|" + message):
        with contextlib.suppress(Refused):
            assert read(candidate).lines[0].startswith("MSH")


def test_writing_leaves_out_what_is_empty_at_the_end() -> None:
    assert segment("OBR", "1", "", composed("a|b", "", "c", "", "")) == "OBR|1||a\\F\\b^^c"
    assert segment("NTE", "", "") == "NTE"
    assert STANDARD.encoding_characters == "^~\\&"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"A\r"])
def test_a_message_of_millions_of_lines_is_refused_before_it_is_split(end: bytes) -> None:
    """Issue 12, 7: 14 MB of short lines took 460 MB."""
    with pytest.raises(Refused, match="lines"):
        read(b"MSH|^~\\&|LIS|LAB\r" + end * (LINES_AT_MOST + 1) + b"PID|1")


def test_o19_components_are_found_by_one_look_at_the_field() -> None:
    """Each was looked for from the beginning: a field of 10,000 took a thousand times one of 300."""
    looks = list[int]()

    class Counted(str):
        def split(self, *given: Any, **named: Any) -> list[str]:
            looks.append(1)
            return super().split(*given, **named)

    msh = read(b"MSH|^~\\&|\r").header
    assert Field(text=Counted("^".join(map(str, range(1000)))), segment=msh).components() == [*map(str, range(1000))]
    assert len(looks) == 1

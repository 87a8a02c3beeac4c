"""An ORU^R01 line by line, masked, with measured values written as numbers that may move."""

from pathlib import Path

from tests.golden.masks import MESSAGE_ID, TIME, Masks
from tests.golden.tolerance import kind_of_quantity, number

MSH_7, MSH_10 = 6, 9  # MSH-1 is the separator itself
OBX_2, OBX_3, OBX_5, OBX_6 = 2, 3, 5, 6


def oru_text(path: Path, masks: Masks) -> list[str]:
    """A line a segment. The message ends with a carriage return, so the last line is empty."""
    return [masks.text(_segment(line)) for line in path.read_bytes().decode().split("\r")]


def _segment(line: str) -> str:
    fields = line.split("|")
    if fields[0] == "MSH":
        fields[MSH_7], fields[MSH_10] = TIME, MESSAGE_ID
    if fields[0] == "OBX" and fields[OBX_2] == "NM":
        kind = kind_of_quantity(fields[OBX_3].split("^")[0], fields[OBX_6].split("^")[0])
        if kind and fields[OBX_5]:
            fields[OBX_5] = number(kind, fields[OBX_5])
    return "|".join(fields)

"""How a slide was stained and scanned: as the order says, else as the slide's header does, by the site's attributes."""

from collections.abc import Iterator, Sequence

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from server.domain.choice import PARTS, Preparation
from server.domain.order import Specimen
from server.domain.profile import ProfileRules

_MEANINGS = ("CodeMeaning", "CodeValue", "LongCodeValue")


def preparation_of(specimen: Specimen, source: Sequence[Dataset], rules: ProfileRules) -> Preparation:
    """Of the slide whose headers are given (`source.read_source`); the largest image's first value counts."""
    said = {part: getattr(specimen, part).strip() for part in PARTS}
    seen = {part: _joined(source, getattr(rules, part)) for part in PARTS if not said[part]}
    return Preparation(**(said | seen), by_slide=tuple(part for part, value in seen.items() if value))


def _joined(source: Sequence[Dataset], attributes: Sequence[str]) -> str:
    values = (next((v for header in source for v in _values(header, name.split("."))), "") for name in attributes)
    return " ".join(value for value in values if value)


def _values(item: Dataset, path: Sequence[str]) -> Iterator[str]:
    """Of all items that the path leads to; of a coded one its meaning, else its code."""
    found = item.get(path[0])
    if isinstance(found, Items):
        inner = [path[1:]] if len(path) > 1 else [[name] for name in _MEANINGS]
        yield from (value for each in found for way in inner for value in _values(each, way))
    elif found is not None and len(path) == 1:
        text = " ".join(map(str, found)) if isinstance(found, MultiValue) else str(found)
        yield from filter(None, [text.strip()])

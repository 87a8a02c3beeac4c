"""Which marker an order's procedure code asks for: codes by table, local names by exact comparison, nothing guessed.

Codes are those of the reports (`server.report.codes`), local names those of the assays (`inference.assay`).
"""

import re
from collections.abc import Mapping, Sequence

from inference.assay import assay_of, assays, plain
from server.domain.errors import Refused, ServiceReason
from server.report.codes import Scheme, markers_by_code

# Common stains that may have no assay: what is ordered by them is refused as unsupported, and each contradicts another.
OTHER_NAMES = {
    **dict.fromkeys(("HER2", "HER2NEU", "ERBB2", "CERBB2"), "HER2"),
    **dict.fromkeys(("HE", "HANDE", "HEMATOXYLINEOSIN", "HAEMATOXYLINEOSIN"), "HE"),
    **dict.fromkeys(("AR", "ANDROGENRECEPTOR"), "AR"),
    **dict.fromkeys(("P16", "P16INK4A"), "P16"),
    **{name: name for name in ("P40", "P63", "PDL1", "GATA3", "TTF1", "SOX10", "CK7", "CK20", "BCL2", "BCL6", "ALK")},
    **{name: name for name in ("MLH1", "MSH2", "MSH6", "PMS2", "S100", "CYCLIND1", "ECADHERIN", "SYNAPTOPHYSIN")},
}
_CLUSTER_OF_DIFFERENTIATION = re.compile(r"CD[0-9]{1,3}[A-E]?")

# Words that are taken out of a local code or text before it is compared.
NOISE = frozenset({"IHC", "IMMUNO", "IMMUNOHISTOCHEMISTRY", "STAIN", "STAINING", "SCORE", "QUANTIFICATION"})

_SCHEMES = {
    **dict.fromkeys(("LN", "LOINC"), Scheme.LOINC),
    **dict.fromkeys(("SCT", "SNOMED", "SNOMED-CT"), Scheme.SNOMED_CT),
}
"""What senders call them."""

LONGEST_NAME = 4
"""Words of a name."""

_SCANNED = 2000
"""Characters of a text that are searched for names: many times what the standard allows."""

CODES, TEXTS = ((1, 3), (4, 6), (10, 12)), (2, 5, 9, 11)
"""Components of a CWE: identifier and coding system; texts (HL7 v2.7.1 2A.2.13)."""


def marker_of(components: Sequence[str], field: str = "OBR-4") -> str:
    """The marker of a code's components, as those of OBR-4 (identifier, text, scheme, alternate identifier, text, ...).

    Codes decide before local codes, local codes before texts. Raises Refused MARKER_UNKNOWN where two of them
    contradict each other, ASSAY_UNSUPPORTED for what isn't scored here: a membrane stain scored as a nuclear one would
    be a wrong result.
    """
    said = {place: text for place, text in enumerate(components, start=1) if text}
    coded = {place: _by_code(said.get(place, ""), said.get(scheme, "")) for place, scheme in CODES}
    named = {place: _by_name(said.get(place, "")) for place in TEXTS}
    found = next(((place, marker) for place, marker in (*coded.items(), *named.items()) if marker), (0, ""))
    if found[1]:
        _check_agreed(found, coded, {place: mentioned(said.get(place, "")) for place in TEXTS}, field)
    return assay_of(found[1], field).marker


def _check_agreed(
    found: tuple[int, str], coded: Mapping[int, str], mentioned: Mapping[int, set[str]], field: str
) -> None:
    """A text contradicts where it names other markers and not this one."""
    place, marker = found
    all_named = {**{at: {code} - {""} for at, code in coded.items()}, **mentioned}
    for at, markers in sorted(all_named.items()):
        if markers and marker not in markers:
            raise Refused(
                ServiceReason.MARKER_UNKNOWN,
                f"{field}.{place} names {marker} and {field}.{at} names {min(markers)}: send what is meant",
            )


def _by_code(code: str, scheme: str) -> str:
    known = _SCHEMES.get(scheme.upper())
    return _by_name(code) if known is None else markers_by_code().get((known, code), "")


def _by_name(text: str) -> str:
    """The marker whose name the whole text is."""
    return _called("".join(_words(text)), _names()) if len(text) <= _SCANNED else ""


def mentioned(text: str) -> set[str]:
    """The markers whose names stand somewhere in the text: enough to contradict a code, not to order anything."""
    words, names = _words(text[:_SCANNED]), _names()
    runs = ("".join(words[i : i + n]) for i in range(len(words)) for n in range(1, LONGEST_NAME + 1))
    return {_called(run, names) for run in runs if _is_meant_as_name(run)} - {""}


def _called(name: str, names: Mapping[str, str]) -> str:
    name = name.upper()
    return name if _CLUSTER_OF_DIFFERENTIATION.fullmatch(name) else names.get(name, "")


def _names() -> dict[str, str]:
    """Letters and digits of a name, upper case -> marker: those of the assays as they are registered."""
    return OTHER_NAMES | {plain(name): a.marker for a in assays() for name in (a.marker, *a.names)}


def _is_meant_as_name(run: str) -> bool:
    """The short ER, PR and PgR are; "er" is a word."""
    return len(run) > 3 or sum(c.isupper() for c in run) >= 2


def _words(text: str) -> list[str]:
    return [w for w in re.split(r"[^A-Za-z0-9]+", text) if w and w.upper() not in NOISE]

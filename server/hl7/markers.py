"""Which marker an order's procedure code asks for: codes by table, local names by exact comparison, nothing guessed.

Local names are those of the assays (`inference.assay`).
"""

import re
from collections.abc import Mapping, Sequence

from inference.assay import assay_of, assays, plain
from server.domain.errors import Refused, ServiceReason

# LOINC (breast cancer specimen, then any other tissue): presence, interpretation, percent of nuclei.
LOINC = {
    **dict.fromkeys(("85337-4", "85329-1", "40556-3", "16112-5", "14228-1"), "ER"),
    **dict.fromkeys(("85339-0", "85325-9", "40557-1", "16113-3", "14230-7"), "PR"),
    **dict.fromkeys(("85330-9", "29593-1", "33055-5"), "KI67"),
    **dict.fromkeys(("85319-2", "18474-7", "48676-1"), "HER2"),
}

SNOMED_CT = {
    **dict.fromkeys(("1234804006", "1236874005"), "ER"),
    **dict.fromkeys(("1234803000", "1237278006"), "PR"),
}

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

_LOINC_SCHEMES, _SNOMED_SCHEMES = ("LN", "LOINC"), ("SCT", "SNOMED", "SNOMED-CT")

LONGEST_NAME = 4
"""Words of a name."""

_SCANNED = 2000
"""Characters of a text that are searched for names: many times what the standard allows."""

CODES, TEXTS = ((1, 3), (4, 6), (10, 12)), (2, 5, 9, 11)
"""Components of a CWE: identifier and coding system; texts (HL7 v2.7.1 2A.2.13)."""


def marker_of(components: Sequence[str]) -> str:
    """The marker of OBR-4's components (identifier, text, scheme, alternate identifier, text, scheme, ...).

    Codes decide before local codes, local codes before texts. Raises Refused MARKER_UNKNOWN where two of them
    contradict each other, ASSAY_UNSUPPORTED for what isn't scored here: a membrane stain scored as a nuclear one would
    be a wrong result.
    """
    said = {place: text for place, text in enumerate(components, start=1) if text}
    coded = {place: _by_code(said.get(place, ""), said.get(scheme, "")) for place, scheme in CODES}
    named = {place: _by_name(said.get(place, "")) for place in TEXTS}
    found = next(((place, marker) for place, marker in (*coded.items(), *named.items()) if marker), (0, ""))
    if found[1]:
        _check_agreed(found, coded, {place: _mentioned(said.get(place, "")) for place in TEXTS})
    return assay_of(found[1], "OBR-4").marker


def _check_agreed(found: tuple[int, str], coded: Mapping[int, str], mentioned: Mapping[int, set[str]]) -> None:
    """A text contradicts where it names other markers and not this one."""
    place, marker = found
    all_named = {**{at: {code} - {""} for at, code in coded.items()}, **mentioned}
    for at, markers in sorted(all_named.items()):
        if markers and marker not in markers:
            raise Refused(
                ServiceReason.MARKER_UNKNOWN,
                f"OBR-4.{place} names {marker} and OBR-4.{at} names {min(markers)}: send what is meant",
            )


def _by_code(code: str, scheme: str) -> str:
    match scheme.upper():
        case s if s in _LOINC_SCHEMES:
            return LOINC.get(code, "")
        case s if s in _SNOMED_SCHEMES:
            return SNOMED_CT.get(code, "")
        case _:
            return _by_name(code)


def _by_name(text: str) -> str:
    """The marker whose name the whole text is."""
    return _called("".join(_words(text)), _names()) if len(text) <= _SCANNED else ""


def _mentioned(text: str) -> set[str]:
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

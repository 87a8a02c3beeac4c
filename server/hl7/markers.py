"""Which marker an order's procedure code asks for: codes by table, local names by exact comparison, nothing guessed.

Local names are those of the assays (`inference.assay`).
"""

import re
from collections.abc import Sequence

from inference.assay import Assay, assay_of, assays, plain
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

# Letters and digits of local names, upper case, of stains that are known and have no assay yet.
UNSCORED = dict.fromkeys(("HER2", "HER2NEU", "ERBB2", "CERBB2"), "HER2")

# Words of a local code or text that say nothing of the marker.
NOISE = frozenset({"IHC", "IMMUNO", "IMMUNOHISTOCHEMISTRY", "STAIN", "STAINING", "SCORE", "QUANTIFICATION"})

_LOINC_SCHEMES, _SNOMED_SCHEMES = ("LN", "LOINC"), ("SCT", "SNOMED", "SNOMED-CT")


def marker_of(components: Sequence[str]) -> str:
    """The marker of OBR-4's components (identifier, text, scheme, alternate identifier, text, scheme).

    Codes decide before local codes, local codes before texts. Raises Refused MARKER_UNKNOWN for codes that name
    different markers, ASSAY_UNSUPPORTED for what isn't scored here: a membrane stain scored as a nuclear one would be a
    wrong result.
    """
    code, text, scheme, other_code, other_text, other_scheme = (*components, *[""] * 6)[:6]
    coded = {_by_code(code, scheme), _by_code(other_code, other_scheme)} - {""}
    found = coded or ({_by_name(text), _by_name(other_text)} - {""})
    if len(found) > 1:
        raise Refused(
            ServiceReason.MARKER_UNKNOWN, "OBR-4 names more than one marker: send a code of docs/hl7-interface.md"
        )
    return assay_of(found.pop() if found else "", "OBR-4").marker


def _by_code(code: str, scheme: str) -> str:
    match scheme.upper():
        case s if s in _LOINC_SCHEMES:
            return LOINC.get(code, "")
        case s if s in _SNOMED_SCHEMES:
            return SNOMED_CT.get(code, "")
        case _:
            return _by_name(code)


def _by_name(text: str) -> str:
    words = [w for w in re.split(r"[^A-Z0-9]+", text.upper()) if w and w not in NOISE]
    named = "".join(words)
    return next((assay.marker for assay in assays() if named in _names(assay)), UNSCORED.get(named, ""))


def _names(assay: Assay) -> set[str]:
    return {plain(name) for name in (assay.marker, *assay.names)}

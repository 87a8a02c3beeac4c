"""Markers, and what the shipped networks were shown: outside of it a result carries OUT_OF_SCOPE."""

from enum import StrEnum

from inference.errors import Reason, Refused


class Marker(StrEnum):
    """Stains that are scored on nuclei. HER2 is a membrane stain and is not among them."""

    ER = "ER"
    PR = "PR"
    KI67 = "KI67"


MARKER_NAMES = {
    "ER": Marker.ER,
    "PR": Marker.PR,
    "PGR": Marker.PR,
    "KI67": Marker.KI67,
    "KI-67": Marker.KI67,
    "MIB1": Marker.KI67,
}


def marker_named(name: str, where: str = "marker") -> Marker:
    """The marker of a name, capitals aside; `where` says what named it.

    Raises Refused ASSAY_UNSUPPORTED for any other stain.
    """
    if (found := MARKER_NAMES.get(name.strip().upper())) is None:
        scored = ", ".join(Marker)
        raise Refused(
            Reason.ASSAY_UNSUPPORTED, f"{where} names no stain that is scored here: only {scored} (nuclear stains) are"
        )
    return found


# The model card (docs/models): ER and PR, endometrium. SNOMED CT and plain text, lower case.
TRAINED_MARKERS = frozenset({Marker.ER, Marker.PR})
TRAINED_SITES = frozenset({"endometrium", "endometrial", "uterus", "2739003", "35039007"})


def out_of_scope(marker: Marker, site_code: str = "", site_text: str = "") -> bool:
    """Is the marker, or the site where one is given, something that the model card doesn't cover?"""
    site = {site_code.lower(), *site_text.lower().replace(",", " ").split()} - {""}
    return marker not in TRAINED_MARKERS or (bool(site) and not site & TRAINED_SITES)

"""What may stand in an identifier, and what is kept of a name (issue 12, items 12, 13 and 18)."""

import pytest

from server.domain.errors import Refused, ServiceReason
from server.hl7.er7 import read
from server.hl7.oml import cancellation_of
from tests.server.hl7.written import ORDER, parsed

PLACES = {
    "MSH-3": ("LIS|LAB-A|", "{}|LAB-A|"),
    "MSH-4": ("LIS|LAB-A|", "LIS|{}|"),
    "MSH-10": ("|M-1|", "|{}|"),
    "ORC-2.1": ("ORC|NW|P-1^", "ORC|NW|{}^"),
    "ORC-2.2": ("ORC|NW|P-1^LIS", "ORC|NW|P-1^{}"),
    "OBR-4.1": ("85337-4^Estrogen receptor", "{}^Estrogen receptor"),
    "PID-3": ("TEST-1^^^LAB-A", "{}^^^LAB-A"),
    "PID-3.4": ("TEST-1^^^LAB-A", "TEST-1^^^{}"),
    "PID-8": ("|19500102|f", "|19500102|{}"),
    "SPM-2": ("|S-1&LIS^", "|{}&LIS^"),
    "SAC-3": ("SAC|||C-1", "SAC|||{}"),
}
UNFIT = {
    "long": "X" * 5000,
    "line end": "A\\.br\\B",
    "escape": "A\\X1B\\[2J",
    "NUL": "A\\X00\\",
    "BEL alone": "\\X07\\",
}


@pytest.mark.parametrize("value", UNFIT.values(), ids=UNFIT.keys())
@pytest.mark.parametrize("place", PLACES)
def test_an_identifier_too_long_or_not_visible_is_refused_by_its_place(place: str, value: str) -> None:
    old, new = PLACES[place]
    replaced = [(old, new.format(value))]
    if place.startswith("ORC-2"):
        replaced.append(("OBR|1|P-1|", "OBR|1||"))
    with pytest.raises(Refused, match=rf": {place} ") as refused:
        parsed(*replaced)
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID
    assert "XXXX" not in str(refused.value)


def test_200_characters_are_taken() -> None:
    assert parsed(("SAC|||C-1", "SAC|||" + "C" * 200)).slide.container_id == "C" * 200


@pytest.mark.parametrize("place", ["MSH-10", "ORC-2.1", "PID-3", "SAC-3"])
def test_a_cancellation_is_held_to_the_same(place: str) -> None:
    old, new = PLACES[place]
    text = ORDER.replace(old, new.format("X" * 201)).replace("OBR|1|P-1|", "OBR|1||").replace("ORC|NW", "ORC|CA")
    with pytest.raises(Refused, match=rf": {place} "):
        cancellation_of(read(text.encode("latin-1")))


def test_names_and_remarks_are_kept_on_one_line() -> None:
    request = parsed(("TEST-INVENTED&von^Zo", "TEST\\.br\\INVENTED\\X1B\\[31m^Zo"), ("^Breast^", "^Left\\X0D\\breast^"))
    assert request.patient.family_name == "TEST INVENTED [31m"
    assert request.specimen.site_text == "Left breast"


@pytest.mark.parametrize("place", [("^Zo\xeb^", "^{}^"), ("^Breast^", "^{}^"), ("^ER \\T\\ more^L|A", "^^L|A")])
def test_a_name_of_thousands_of_characters_is_refused(place: tuple[str, str]) -> None:
    old, new = place
    replaced = [(old, new.format("N" * 5000))]
    if "{}" not in new:
        replaced = [("85337-4^Estrogen receptor^", "85337-4^Estrogen receptor " + "r" * 5000 + "^")]
    with pytest.raises(Refused, match="is longer than 200 characters"):
        parsed(*replaced)

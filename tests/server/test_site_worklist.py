"""What the site file says of worklists, and each mistake by its place."""

from pathlib import Path

import pytest

from server.site import Address
from server.site_file import read_site
from tests.server.test_site import EXAMPLE, GOOD, site_from, told

WORK = """
[worklists.ai]
host = "pacs.invalid"
port = 104
aet = "PACS"
laboratory = "LAB"
station = "IHC"
"""


def test_the_worklist_of_the_example_is_read_whole() -> None:
    (found,) = read_site(EXAMPLE).worklists
    assert (found.name, found.laboratory, found.station, found.label, found.every_s) == (
        "ai",
        "NORTH",
        "CHROMOGEN",
        "IHC",
        10,
    )
    assert (found.at.aet, found.at.listen) == ("OLDPACS", Address(host="0.0.0.0", port=11114))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('aet = "PACS"', ""), "[worklists.ai] aet: is missing"),
        (('laboratory = "LAB"', 'laboratory = "B"'), "[worklists.ai] laboratory: 'B' doesn't exist; known are LAB"),
        (('station = "IHC"', ""), "[worklists.ai]: says neither station nor station_class nor label"),
        (('station = "IHC"', 'station_class = "A\\\\I"'), "[worklists.ai] station_class: is longer than 16 characters"),
        (('station = "IHC"', 'station = "IHC"\ncodes = "ER"'), "[worklists.ai] codes: "),
        (('station = "IHC"', 'station = "I*"'), "[worklists.ai] station: is longer than 16 characters, or holds"),
        (('station = "IHC"', 'watch = "poll"'), "[worklists.ai]: says neither"),
        (('station = "IHC"', 'station = "IHC"\nwatch = "poll"'), "[worklists.ai] watch: is unknown"),
    ],
)
def test_each_mistake_of_a_worklist_is_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert len(site_from(tmp_path, GOOD + WORK).worklists) == 1
    assert said in told(tmp_path, GOOD + WORK.replace(*change, 1))

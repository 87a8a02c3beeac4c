"""What the site file says of archives that are watched, and of slides that nobody orders."""

from pathlib import Path

import pytest

from server.domain.arrival import UnorderedRule, Watch, WatchKind
from server.domain.artifact import Coordinates
from server.site import Address, ArchiveFolder, Rejected, WebArchive
from tests.server.test_site import GOOD, site_from, told

PACS = """
[archives.pacs]
kind = "dicomweb"
url = "https://pacs.example/dicom-web"
"""


def test_a_folder_that_listens_and_is_watched_is_read_whole(tmp_path: Path) -> None:
    more = (
        'listen = "0.0.0.0:11113"\nour_aet = "WE"\ncallers = ["SCANNER"]\nwatch = "poll"\nwatch_s = 5\nwatch_days = 2'
    )
    (found,) = site_from(tmp_path, GOOD.replace('folder = "slides"', f'folder = "slides"\n{more}')).archives
    assert isinstance(found, ArchiveFolder)
    assert found.watch == Watch(kind=WatchKind.POLL, every_s=5, days=2)
    assert (found.listen, found.our_aet, found.callers) == (Address(host="0.0.0.0", port=11113), "WE", ("SCANNER",))


def test_an_orthanc_s_changes_are_watched_by_its_own_address(tmp_path: Path) -> None:
    more = 'orthanc_url = "https://pacs.example"\nwatch = "changes"\n'
    found = site_from(tmp_path, GOOD + PACS + more).archives[1]
    assert isinstance(found, WebArchive)
    assert found.watch == Watch(kind=WatchKind.CHANGES)
    assert found.orthanc_url == "https://pacs.example"


def test_nothing_is_scored_without_an_order_unless_a_laboratory_says_so(tmp_path: Path) -> None:
    assert site_from(tmp_path, GOOD).laboratory("LAB").unordered == ()
    rule = '[[laboratories.LAB.unordered]]\nmarkers = ["er"]\nsites = ["76752008"]\nafter_s = 5\n'
    found = site_from(tmp_path, GOOD + rule).laboratory("LAB").unordered
    assert found == (UnorderedRule(markers=("ER",), sites=("76752008",), after_s=5),)


def test_a_destination_says_what_becomes_of_what_is_rejected(tmp_path: Path) -> None:
    wanted = GOOD.replace('archive = "a"', 'archive = "a"\nrejected = "delete"')
    assert [getattr(d, "rejected", None) for d in site_from(tmp_path, wanted).destinations] == [None, Rejected.DELETE]
    assert [getattr(d, "rejected", None) for d in site_from(tmp_path, GOOD).destinations] == [None, Rejected.NOTE]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('folder = "slides"', 'folder = "slides"\nwatch = "changes"'), "[archives.a] watch"),
        (('folder = "slides"', 'folder = "slides"\nwatch = "always"'), "[archives.a] watch"),
        (('folder = "slides"', 'folder = "slides"\nwatch_s = 5'), "watch_s"),
        (('folder = "slides"', 'folder = "slides"\ncallers = ["A"]'), "callers"),
        (('folder = "slides"', 'folder = "slides"\nlisten = "here"'), "[archives.a] listen"),
        (('folder = "slides"', 'folder = "slides"\nour_aet = "much too long a title"'), "our_aet"),
        (("[destinations.lis]", f'{PACS}watch = "changes"\n[destinations.lis]'), "orthanc_url"),
        (("[destinations.lis]", f'{PACS}orthanc_url = "http://pacs"\n[destinations.lis]'), "orthanc_url"),
        (("[destinations.lis]", f'{PACS}orthanc_url = "nowhere"\n[destinations.lis]'), "orthanc_url"),
        (("[[routes]]", '[[laboratories.LAB.unordered]]\nmarkers = ["TTF1"]\n[[routes]]'), "number 1 markers"),
        (("[[routes]]", '[[laboratories.LAB.unordered]]\nsites = ["1"]\n[[routes]]'), "markers"),
        (('archive = "a"', 'archive = "a"\nrejected = "burn"'), "[destinations.a] rejected"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_by_table_and_key(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert said in told(tmp_path, GOOD.replace(*change))


def test_an_archive_behind_dimse_deletes_nothing(tmp_path: Path) -> None:
    dimse = '[archives.old]\nkind = "dimse"\nhost = "h"\nport = 104\naet = "OLD"\n'
    to = '[destinations.old]\nkind = "archive"\narchive = "old"\nrejected = "delete"\n'
    assert "[destinations.old] rejected" in told(tmp_path, dimse + GOOD + to)


def test_a_laboratory_says_in_which_coordinates_annotations_are(tmp_path: Path) -> None:
    wanted = site_from(tmp_path, GOOD.replace('archives = ["a"]', 'archives = ["a"]\nannotations = "3D"'))
    assert wanted.annotations("LAB") is Coordinates.SLIDE
    assert wanted.annotations("GONE") is site_from(tmp_path, GOOD).annotations("LAB") is Coordinates.PIXELS
    assert "[laboratories.LAB] annotations" in told(
        tmp_path, GOOD.replace('archives = ["a"]', 'archives = ["a"]\nannotations = "4D"')
    )

"""A HER2 case on the page: its cells are shown, a cell is put right, the tumour drawn, and only then it is signed."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from server import api_service
from server.bootstrap import bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.people import make_people
from server.demo.run import case_services_of
from server.demo.slide_file import JpegFrames, SlideIdentity, write_dicom_slide
from server.demo.web import web_settings
from server.hl7.sender import send
from server.listening import listening
from server.pipeline import run_case
from tests.e2e.browsing import CHROMIUM, chromium, watched
from tests.e2e.test_her2 import MIX, MPP, Drawn
from tests.e2e.test_page import keep, pick, ready, same, shown, until, value

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]
PAINTED = """() => {
  const c = document.querySelector('.overlay');
  return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0);
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a page with one HER2 case, scored."""
    work = tmp_path_factory.mktemp("her2-page")
    work.chmod(0o711)
    pixels = Her2Drawing(Plan(side_um=400, mix=MIX), Scanner(mpp=MPP), seed=7).pixels()
    identity = SlideIdentity(key="her2-page", marker="HER2")
    frames = JpegFrames(Drawn(pixels=pixels))
    write_dicom_slide(work / "archive" / "slide", frames, mpp=MPP, identity=identity, levels=2)
    (work / "received").mkdir()
    with ExitStack() as stack:
        lis = stack.enter_context(ReceivingLis(work / "received"))
        service = stack.enter_context(bootstrap(web_settings(work, lis.port, make_people(work / "people"), 0)))
        doors = api_service.start(service)
        assert doors is not None
        assert doors.web is not None
        stack.callback(doors.stop)
        (port,) = stack.enter_context(listening(service)).values()
        message = order_message(
            placer_number="P-HER2",
            marker="HER2/neu",
            control_id="C-HER2",
            series_uid=identity.series_uid,
            container_id=identity.container_id,
            specimen_id=identity.specimen_id,
        )
        send(message, host="127.0.0.1", port=port, timeout_s=20)
        services = case_services_of(service, work)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        yield f"http://127.0.0.1:{doors.web.port}"


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    with chromium() as context:
        made, complaints = watched(context)
        made.goto(address)
        made.get_by_role("button", name="Sign in as").click()
        made.locator("#search").wait_for()
        made.get_by_role("button", name="All", exact=True).click()
        made.locator("tbody tr").first.click()
        ready(made)
        yield made
        assert [c for c in complaints if "409" not in c] == []


def test_cells_are_shown_and_every_score_is_the_kept_one(page: Any) -> None:
    until(page, f"({PAINTED})()")
    assert page.locator(".notice.error, [role=alert]").count() == 0
    assert same(page)
    assert page.locator('.number[data-code="HER2_SCORE"]').inner_text() == "3+"
    assert page.locator(".opacity").inner_text().startswith("Cells")


def test_it_is_not_signed_before_the_tumour_is_drawn(page: Any) -> None:
    page.keyboard.press("s")
    page.locator("dialog").get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text("draw the tumour before signing").wait_for()
    assert page.locator("[data-state=PRELIMINARY]").count()


def test_a_cell_is_put_into_another_group(page: Any) -> None:
    pick(page)
    titles = page.locator(".regrade").all_inner_texts()
    assert len(titles) == 9
    assert any("intense complete" in title for title in titles)
    cells = value(page, "COUNT_CELLS", "tumour")
    page.locator(".regrade", has_text="other").click()
    page.locator("[data-cells='1']").wait_for()
    keep(page, "a lymphocyte")
    assert same(page)
    assert value(page, "COUNT_CELLS", "tumour") in (cells, cells - 1)  # it may have been one that isn't scored


def test_the_drawn_tumour_is_what_is_scored_and_signed(page: Any) -> None:
    whole = shown(page)
    page.keyboard.press("t")
    box = page.locator("#slide").bounding_box()
    corners = [(0.35, 0.1), (0.65, 0.1), (0.65, 0.9), (0.35, 0.9)]
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()
    keep(page, "the invasive tumour")
    assert same(page)
    assert shown(page) != whole
    assert not page.get_by_text("WHOLE_TISSUE").count()
    page.keyboard.press("s")
    page.locator("dialog").get_by_role("button", name="Sign", exact=True).click()
    page.locator("[data-state=FINAL]").wait_for()

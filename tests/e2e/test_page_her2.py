"""A HER2 case on the page: its cells are shown, a cell is put right, the tumour drawn, and only then it is signed."""

from collections.abc import Iterator
from typing import Any

import pytest

from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from tests.e2e.browsing import CHROMIUM
from tests.e2e.scored_page import PAINTED, case_open, drawn_over, page_of, sign
from tests.e2e.test_her2 import MIX, MPP
from tests.e2e.test_page import keep, pick, same, shown, until, value

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Of one HER2 case, scored."""
    pixels = Her2Drawing(Plan(side_um=400, mix=MIX), Scanner(mpp=MPP), seed=7).pixels()
    work = tmp_path_factory.mktemp("her2-page")
    with page_of(pixels, work, mpp=MPP, marker="HER2", ordered="HER2/neu") as address, case_open(address) as made:
        yield made


def test_cells_are_shown_and_every_score_is_the_kept_one(page: Any) -> None:
    until(page, f"({PAINTED})()")
    assert not any(page.locator(".notice.error, [role=alert]").all_inner_texts())
    assert same(page)
    assert page.locator('.number[data-code="HER2_SCORE"]').inner_text() == "3+"
    assert page.locator(".opacity").inner_text().startswith("Cells")


def test_it_is_not_signed_before_the_tumour_is_drawn(page: Any) -> None:
    sign(page)
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
    drawn_over(page, [(0.35, 0.1), (0.65, 0.1), (0.65, 0.9), (0.35, 0.9)])
    keep(page, "the invasive tumour")
    assert same(page)
    assert shown(page) != whole
    assert not page.get_by_text("WHOLE_TISSUE").count()
    sign(page)
    page.locator("[data-state=FINAL]").wait_for()

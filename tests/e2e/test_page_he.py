"""An H&E case on the page: nuclei in their shapes by class, one put into another class, its stains, signed whole."""

from collections.abc import Iterator
from typing import Any

import pytest

from inference.analyzers.he import COLOURS, NAMES
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from tests.e2e.browsing import CHROMIUM
from tests.e2e.scored_page import PAINTED, case_open, page_of, sign
from tests.e2e.test_page import keep, pick, same, until, value

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]
MPP = 0.25
SHAPE = """async ([assay, scale]) => {
  const { Painter } = await import('/static/paint.js');
  const canvas = Object.assign(document.createElement('canvas'), { width: 200, height: 200 });
  const of = (...values) => Float32Array.from(values);
  const cell = { n: 1, x: of(99.5 / scale), y: of(99.5 / scale), major_um: of(20), minor_um: of(10), angle: of(90), row: [0] };
  new Painter(canvas, assay, 0.25).paint({ parts: [cell], grouping: { of: () => 2 }, opacity: 1, picked: null, spots: [],
    view: { scale, left: 0, top: 0 }, draft: { regions: [] } });
  return [[0, 0], [20, 0], [0, 40]].map(([x, y]) => [...canvas.getContext('2d').getImageData(100 + x, 100 + y, 1, 1).data]);
}"""  # noqa: E501
"""Colours at the centre of a nucleus, and 20 px right of it and 40 below, where its outline is at `scale` 1."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Of one H&E case, scored."""
    pixels = HeDrawing(Plan(side_um=256, tissue=0.97), Scanner(mpp=MPP), seed=11).pixels()
    work = tmp_path_factory.mktemp("he-page")
    with page_of(pixels, work, mpp=MPP, marker="HE", ordered="H&E") as address, case_open(address) as made:
        yield made


def test_nuclei_are_shown_and_every_number_is_the_kept_one(page: Any) -> None:
    until(page, f"({PAINTED})()")
    assert not any(page.locator(".notice.error, [role=alert]").all_inner_texts())
    assert same(page)
    assert sum(value(page, f"HE_COUNT_{name.upper()}") for name in NAMES) == value(page, "HE_COUNT_NUCLEI") > 100
    assert value(page, "HE_DENSITY_NUCLEI") > 0


def test_a_nucleus_is_drawn_in_its_shape_and_class_near_and_as_a_disc_far_away(page: Any) -> None:
    read = "fetch(`/data/results/${document.querySelector('main').dataset.result}`).then((r) => r.json())"
    assay = page.evaluate(read)["assay"]
    centre, right, below = page.evaluate(SHAPE, [assay, 1.0])
    assert centre[3] == 0
    assert right[3] > 0
    assert below[3] > 0
    assert all(abs(a - b) < 12 for a, b in zip(below[:3], COLOURS[2], strict=True))
    centre, right, below = page.evaluate(SHAPE, [assay, 0.25])
    assert centre[3] > 0
    assert right[3] == below[3] == 0


def test_its_stains_are_haematoxylin_and_eosin(page: Any) -> None:
    stains = page.get_by_role("group", name="Stain shown").get_by_role("button")
    assert stains.all_inner_texts() == ["Original", "Haematoxylin", "Eosin"]
    with page.expect_response(lambda answer: "stain=eosin" in answer.url) as answer:
        page.keyboard.press("3")
    assert answer.value.status == 200
    page.keyboard.press("1")


def test_a_nucleus_is_put_into_another_class_and_densities_follow(page: Any) -> None:
    before, dense = ({n: value(page, f"HE_{what}_{n.upper()}") for n in NAMES[:4]} for what in ("COUNT", "DENSITY"))
    pick(page)
    assert page.locator(".regrade").all_inner_texts() == list(NAMES)
    was = page.locator(".card strong").inner_text()
    to = next(name for name in NAMES[:4] if name != was)
    page.locator(".regrade", has_text=to).click()
    page.locator("[data-cells='1']").wait_for()
    keep(page, "looked at closely")
    assert same(page)
    assert value(page, f"HE_COUNT_{to.upper()}") == before[to] + 1
    assert value(page, f"HE_DENSITY_{to.upper()}") > dense[to]
    assert value(page, f"HE_DENSITY_{was.upper()}") < dense[was]


def test_the_whole_tissue_is_warned_of_and_signed(page: Any) -> None:
    assert page.get_by_text("WHOLE_TISSUE").count()
    sign(page)
    page.locator("[data-state=FINAL]").wait_for()

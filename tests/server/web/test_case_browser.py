"""A case in a browser: nuclei along their outlines, other profiles, a score that is withheld, a result withdrawn."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.assay import assays
from inference.control import Control, ControlStatus
from inference.quality import Warning
from server.domain.artifact import NOT_MADE
from server.domain.choice import ProfileWarning
from server.domain.control import ControlWarning, ResultControl
from server.domain.patients import ID_MISSING, ISSUER_MISSING
from server.web.files import FOLDER
from tests.e2e.browsing import CHROMIUM, chromium
from tests.server.api.harness import hue_value
from tests.server.api.test_profiles import create
from tests.server.web.browser import LOCAL_LAB, Page

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]

DRAWN = """async ({ outline, filled, scale }) => {
  const { Painter } = await import('/static/paint.js');
  const canvas = Object.assign(document.createElement('canvas'), { width: 200, height: 200 });
  const groups = [{ colour: [200, 20, 20], filled: true }, { colour: [200, 20, 20], filled: false }];
  const painter = new Painter(canvas, { groups }, 0.5);
  const part = { n: 1, x: [99.5 / scale - 0.5], y: [99.5 / scale - 0.5], row: [0], ...(outline && { outline }) };
  const grouping = { of: () => (filled ? 0 : 1) };
  painter.paint({ parts: [part], sample: null, weight: 1, grouping, view: { left: 0, top: 0, scale },
    draft: { regions: [] }, spots: [], drawing: null, opacity: 1, picked: null });
  const { data } = canvas.getContext('2d').getImageData(0, 0, 200, 200);
  const row = (y) => Array.from({ length: 200 }, (_, x) => x).filter((x) => data[4 * (y * 200 + x) + 3] > 60);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] > 60;
  return { middle: row(99), n };
}"""
"""Of a nucleus in the middle of 200 x 200 px: where its middle row is painted, and how many pixels are."""
CELLS = """async ([id]) => {
  const { Cells } = await import('/static/cells.js');
  let changes = 0;
  const cells = new Cells(id, () => changes++);
  await cells.open();
  const box = { x: 0, y: 0, width: cells.side - 1, height: cells.side - 1 };
  const far = cells.in(box).every((part) => !part.outline);
  const first = cells.in(box, true).every((part) => !part.outline);
  while (changes < 2) await new Promise((done) => setTimeout(done, 20));
  const near = cells.in(box, true);
  return { far, first, near: near.length, radii: near[0].outline?.length / near[0].n };
}"""


@pytest.fixture(scope="module")
def browser(page: Page) -> Iterator[Any]:
    with chromium() as context:
        made = context.new_page()
        made.goto(page.address)
        made.get_by_role("button", name="Sign in as").click()
        made.locator("#search").wait_for()
        yield made


def drawn(browser: Any, **more: Any) -> Any:
    return browser.evaluate(DRAWN, {"outline": None, "filled": True, "scale": 2, **more})


def test_a_nucleus_is_drawn_along_its_radii_and_what_is_within_stays_seen(browser: Any) -> None:
    radii = [200] * 12 + [100] * 12  # 10 µm towards x and y, 5 µm back: 40 and 20 px
    line = drawn(browser, outline=radii)
    assert max(line["middle"]) == pytest.approx(139, abs=2)
    assert min(line["middle"]) == pytest.approx(79, abs=2)
    assert not set(range(90, 130)) & set(line["middle"])
    assert drawn(browser, outline=radii, filled=False)["n"] < 0.8 * line["n"]  # the other compartment's is dashed


def test_far_away_and_without_outlines_it_is_a_disc(browser: Any) -> None:
    assert drawn(browser)["n"] > 200
    assert 99 in drawn(browser)["middle"]
    assert drawn(browser, outline=[100] * 24, scale=0.5)["n"] < 40


def test_outlines_are_fetched_once_nuclei_are_near_and_points_are_drawn_meanwhile(browser: Any, page: Page) -> None:
    result = page.api.done(LOCAL_LAB, n=5000, outlines=True)
    assert browser.evaluate(CELLS, [result.id]) == {"far": True, "first": True, "near": 1, "radii": 24}


def opened(browser: Any, page: Page, result_id: str) -> Any:
    browser.goto(f"{page.address}/case/{result_id}")
    browser.locator(".headline .number").wait_for()
    return browser


def number(browser: Any) -> float:
    return float(browser.locator('td[data-code="HSCORE"][data-region="all"]').get_attribute("data-value"))


def test_a_nucleus_is_picked_and_excluded_by_keys_alone(browser: Any, page: Page) -> None:
    result = page.api.done(LOCAL_LAB, n=20_000)
    opened(browser, page, result.id)
    before = browser.locator('td[data-code="COUNT_NUCLEI"][data-region="all"]').get_attribute("data-value")
    browser.locator("#slide [role=application]").focus()
    browser.keyboard.press("c")
    for _ in range(60):  # once the nuclei are there
        browser.keyboard.press("Enter")
        if browser.locator("[data-act=exclude]").is_visible():
            break
        browser.wait_for_timeout(100)
    browser.locator("[data-act=exclude]").focus()
    browser.keyboard.press("Enter")
    browser.locator("[data-cells='1']").wait_for()
    left = browser.locator(f'td[data-code="COUNT_NUCLEI"][data-region="all"][data-value="{int(before) - 1}"]')
    left.wait_for()
    browser.get_by_role("button", name="Discard").click()


def test_another_profile_is_compared_and_tried_on_the_slide(browser: Any, page: Page) -> None:
    create(page.api.caller("lab-admin", lab=LOCAL_LAB), "er-strict", criteria=hue_value(150, 120, 160))
    result = page.api.done(LOCAL_LAB, n=900)
    opened(browser, page, result.id)
    before = number(browser)
    browser.get_by_text("er-strict/1").first.click()
    told = browser.locator('td[data-profile="er-strict/1"][data-measure="HSCORE"]').inner_text()
    assert told != f"{before:.1f}"
    browser.get_by_role("button", name="Try on the slide").first.click()
    assert f"{number(browser):.1f}" == told
    assert browser.locator("#slider-left").input_value() == "120"
    browser.get_by_role("button", name="Discard").click()
    assert number(browser) == before


def test_a_withheld_score_is_no_number_and_nothing_is_offered_to_sign(browser: Any, page: Page) -> None:
    failed = ResultControl(
        own=Control(status=ControlStatus.FAILED), withheld="CONTROL_FAILED", detail="the control was found negative"
    )
    result = page.api.done(LOCAL_LAB, n=901, scores=(), control=failed, warnings=("CONTROL_FAILED",))
    opened(browser, page, result.id)
    said = browser.locator(".headline").inner_text()
    assert "Withheld" in said
    assert "not a score of 0" in said
    assert "found negative" in said
    assert browser.get_by_role("button", name="Reject").count() == 1
    assert browser.get_by_role("button", name="Sign", exact=False).filter(has_text="S").count() == 1  # that signs out
    assert browser.locator(".handle, .scores td").count() == 0
    browser.keyboard.press("s")
    assert not browser.locator("dialog").is_visible()
    browser.goto(page.address)
    browser.locator("tbody").get_by_text("withheld").wait_for()


def test_a_result_that_is_withdrawn_while_it_is_open_is_said(browser: Any, page: Page) -> None:
    result = page.api.done(LOCAL_LAB, n=902)
    watching = browser.context.new_page()
    watching.clock.install()
    opened(watching, page, result.id)
    other = page.caller("pathologist", lab=LOCAL_LAB, subject="dr-other")
    at = f"/data/results/{result.id}"
    said = other.post(
        f"{at}/reject", {"why": "another patient's slide", "etag": other.get(f"{at}/state").json()["etag"]}
    )
    assert said.status_code == 200
    watching.locator(".scores td").first.wait_for()
    for _ in range(3):
        watching.clock.fast_forward(16_000)
    watching.locator(".notice", has_text="rejected now").wait_for()
    assert watching.locator("[data-state=REJECTED]").count() == 1
    assert watching.get_by_role("button", name="Reject").count() == 0
    watching.close()


def test_every_warning_is_explained() -> None:
    said = set(re.findall(r"^  ([A-Z_]+): \"", Path(FOLDER / "panels.js").read_text(), re.MULTILINE))
    known = {word.value for kind in (Warning, ProfileWarning, ControlWarning) for word in kind}
    known |= {word for assay in assays() for word in assay.analyzer.remark_words} | {ISSUER_MISSING, ID_MISSING}
    assert known - said == set()
    assert not any(word in said for word in NOT_MADE)

"""How the page draws nuclei near by: along their outlines, where the result holds them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.browsing import CHROMIUM, chromium
from tests.server.web.browser import Page

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
    result = page.api.done("LAB-PAGE", n=5000, outlines=True)
    assert browser.evaluate(CELLS, [result.id]) == {"far": True, "first": True, "near": 1, "radii": 24}

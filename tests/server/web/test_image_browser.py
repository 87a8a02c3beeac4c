"""The page for one image in a real browser: chosen, sent, looked at, thresholds moved."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect, sync_playwright

from inference.draw import draw_slide
from inference.geometry import Region, Size
from tests.models import IHC_TILE
from tests.server.web.browser import Page

CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium isn't here: `make peers` installs it"),
]
SIDE = 320


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=6, h_score=120)
    path = tmp_path_factory.mktemp("picture") / "field.png"
    cv2.imwrite(str(path), drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))[..., ::-1])
    return path


@pytest.fixture(scope="module")
def tab(page: Page) -> Iterator[Tab]:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1400, "height": 900})
        made.set_default_timeout(30_000)
        made.goto(page.address)
        made.get_by_role("button", name="Sign in as dr-invented").click()
        expect(made.get_by_role("heading", name="Work list")).to_be_visible()
        yield made
        browser.close()


def number(tab: Tab, name: str) -> str:
    return tab.get_by_role("row", name=re.compile(f"^{name} ")).get_by_role("cell").inner_text()


def painted(tab: Tab) -> int:
    """A digest of what the picture shows."""
    script = """() => { const c = document.querySelector('.sheet canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let h = 0; for (let i = 0; i < d.length; i += 7) h = (h * 31 + d[i]) | 0; return h; }"""
    return int(tab.evaluate(script))


def test_an_image_is_chosen_sent_and_counted_and_a_threshold_changes_the_count(
    page: Page, tab: Tab, picture: Path
) -> None:
    broken: list[str] = []
    tab.on("pageerror", lambda error: broken.append(str(error)))
    tab.goto(f"{page.address}/image")
    tab.set_input_files("#file", str(picture))
    expect(tab.get_by_role("img", name="Thumbnail of the image")).to_be_visible()
    tab.get_by_label("20x (0.5 µm/px)").check()
    tab.get_by_role("button", name="Find the nuclei").click()
    expect(tab.get_by_role("heading", name="Nuclei, ER")).to_be_visible()
    said = tab.evaluate(
        "async () => (await (await fetch('/data/images/' + location.pathname.slice(7))).json()).scoring"
    )
    expect(tab.get_by_role("row", name=re.compile("^Nuclei "))).to_contain_text(str(said["num_total"]))
    assert number(tab, "Positive").startswith(f"{said['num_pos']} (")
    tab.get_by_label("Probability").fill("0.95")
    assert int(number(tab, "Nuclei")) < said["num_total"]
    tab.get_by_label("Probability").fill(str(IHC_TILE.counting_threshold))
    tab.get_by_label("Least area").fill("40")
    assert int(number(tab, "Nuclei")) < said["num_total"]
    tab.get_by_label("Least area").fill("0")
    tab.get_by_label("Graded by").select_option("nucleus")
    graded = number(tab, "Positive")
    tab.get_by_label("Density weak").fill("0.5")
    assert number(tab, "Positive") != graded
    shown = painted(tab)
    tab.get_by_label("Over", exact=True).select_option("black")
    expect(tab.locator(".sheet canvas").first).to_be_visible()
    tab.wait_for_timeout(200)
    assert painted(tab) != shown
    shown = painted(tab)
    tab.get_by_role("checkbox", name="Marker").check()
    tab.wait_for_timeout(300)
    assert painted(tab) != shown
    tab.get_by_label("Comment for the laboratory").fill("Lower edge out of focus")
    tab.get_by_role("button", name="Keep comment").click()
    expect(tab.get_by_text("The comment is kept.")).to_be_visible()
    if where := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=f"{where}/image.png")
    assert broken == []


def test_what_is_no_image_is_told_and_the_page_goes_on(page: Page, tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear colleague\n" * 50)
    tab.goto(f"{page.address}/image")
    tab.set_input_files("#file", str(tmp_path / "letter.txt"))
    expect(tab.get_by_text("This browser can't show the format")).to_be_visible()
    tab.get_by_role("button", name="Find the nuclei").click()
    expect(tab.get_by_role("heading", name="This image can't be used")).to_be_visible()
    tab.get_by_role("link", name="Another image").click()
    expect(tab.get_by_role("heading", name="One image")).to_be_visible()
    expect(tab.get_by_role("row")).not_to_have_count(0)
    if where := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=f"{where}/images.png")

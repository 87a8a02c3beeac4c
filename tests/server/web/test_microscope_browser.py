"""The page of a microscope in a real browser: a folder of frames, and Chromium's camera that is none."""

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
from tests.server.web.browser import Page

CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium isn't here: `make peers` installs it"),
]
SIDE = 320
SLOW_MS = 60_000  # on a busy machine
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of one drawn slide, and a letter among them."""
    folder = tmp_path_factory.mktemp("frames")
    drawing = draw_slide(size=Size(width=2 * SIDE, height=SIDE), seed=6, h_score=150)
    for k in range(2):
        pixels = drawing.read(Region(x=k * SIDE, y=0, width=SIDE, height=SIDE))
        cv2.imwrite(str(folder / f"{k}.png"), pixels[..., ::-1])
    (folder / "letter.txt").write_text("Dear colleague")
    return folder


@pytest.fixture
def tab(page: Page) -> Iterator[Tab]:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *CAMERA])
        made = browser.new_page(viewport={"width": 1400, "height": 900})
        made.set_default_timeout(30_000)
        broken: list[str] = []
        made.on("pageerror", lambda error: broken.append(str(error)))
        made.goto(page.address)
        made.get_by_role("button", name="Sign in as dr-invented").click()
        made.get_by_role("link", name="Microscope").click()
        expect(made.get_by_role("heading", name="Microscope")).to_be_visible()
        yield made
        browser.close()
        assert broken == []


def row(tab: Tab, name: str) -> str:
    return tab.get_by_role("row", name=re.compile(f"^{name} ")).get_by_role("cell").inner_text()


def painted(tab: Tab) -> int:
    """Pixels of the overlay that aren't clear."""
    script = """() => { const c = document.querySelector('.field .over');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
    return int(tab.evaluate(script))


def test_a_folder_of_frames_is_looked_through(tab: Tab, frames: Path) -> None:
    tab.get_by_label("Stain").select_option("ER")
    tab.get_by_label("µm per pixel of the frames").fill("0.5")
    tab.set_input_files("#frames", str(frames))
    expect(tab.get_by_text("All frames were looked at.")).to_be_visible(timeout=SLOW_MS)
    assert (row(tab, "Fields counted"), row(tab, "Looked at"), row(tab, "Refused")) == ("2", "2", "0")
    assert float(row(tab, "H-score, Stroma and epithelium together").split()[0]) > 0
    assert row(tab, "Last answer").endswith(" ms")
    assert painted(tab) > 1000
    assert tab.evaluate("document.querySelector('.field canvas').width") == SIDE
    expect(tab.get_by_text("Research use only", exact=True)).to_be_visible()
    if where := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=f"{where}/microscope.png")


def test_a_camera_is_looked_through_held_and_stopped(tab: Tab) -> None:
    tab.get_by_role("button", name="Camera").click()
    expect(tab.get_by_role("heading", name="Microscope")).to_be_visible()  # stain and pixel size are missing
    tab.get_by_label("Stain").select_option("ER")
    tab.get_by_label("µm per pixel of the frames").fill("0.1")
    tab.get_by_role("button", name="Camera").click()
    tab.get_by_label("Count the fields").uncheck()
    expect(tab.get_by_role("row", name=re.compile("^Looked at [1-9]"))).to_be_visible(timeout=SLOW_MS)
    tab.get_by_role("button", name="Hold").click()
    expect(tab.get_by_text("Held: no frame is looked at.")).to_be_visible()
    tab.get_by_role("button", name="Hold").click()
    looked = int(row(tab, "Looked at"))
    expect(tab.get_by_role("row", name=re.compile(f"^Looked at {looked + 2}"))).to_be_visible(timeout=SLOW_MS)
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_text("Stopped.")).to_be_visible()
    expect(tab.get_by_role("link", name="Begin anew")).to_be_visible()
    assert tab.evaluate("document.querySelector('video').srcObject") is None
    if where := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=f"{where}/camera.png")

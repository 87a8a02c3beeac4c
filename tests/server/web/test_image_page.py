"""The page for one image by HTTP, on the real store: laid, looked at, commented, gone."""

import io
import json
import time
import zipfile
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from inference.draw import draw_slide
from inference.geometry import Region, Size
from tests.models import IHC_TILE
from tests.server.web.browser import Browser, Page

pytestmark = pytest.mark.postgres

SIDE = 320
PICTURES = ("Original", "Hema", "DAPI", "Lap2", "Marker", "Seg", "SegOverlaid", "SegRefined")


@pytest.fixture(scope="module")
def browser(page: Page) -> Browser:
    return page.browser()


@pytest.fixture(scope="module")
def png() -> bytes:
    """With a text beside its pixels, as scanners and cameras leave them."""
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=6, h_score=120)
    told = PngImagePlugin.PngInfo()
    told.add_text("PatientName", "TEST^INVENTED")
    out = io.BytesIO()
    Image.fromarray(drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))).save(out, "PNG", pnginfo=told)
    return out.getvalue()


def laid(browser: Browser, png: bytes, query: str = "resolution=20x&marker=PR") -> str:
    path = f"{browser.address}/data/images?{query}"
    answer = browser.http.post(path, files={"img": ("../TEST^INVENTED.png", png)}, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def done(browser: Browser, image: str) -> dict[str, Any]:
    for _ in range(600):
        said: dict[str, Any] = browser.get(f"/data/images/{image}").json()
        if said["state"] in ("SUCCESS", "FAILURE"):
            return said
        time.sleep(0.05)
    raise AssertionError(said)


@pytest.fixture(scope="module")
def image(browser: Browser, png: bytes) -> str:
    made = laid(browser, png)
    assert done(browser, made)["state"] == "SUCCESS"
    return made


def test_the_page_shows_what_the_service_counted(browser: Browser, image: str) -> None:
    said = browser.get(f"/data/images/{image}").json()
    assert (said["marker"], said["mpp"], said["by"]) == ("PR", 0.5, "dr-invented")
    nuclei = browser.get(f"/data/images/{image}/nuclei.json").json()
    counted = [p >= IHC_TILE.counting_threshold for p in nuclei["nucleus"]]
    assert sum(counted) == said["scoring"]["num_total"] > 50
    criteria = nuclei["criteria"]
    brown = [h < criteria["hue"] or h > 300 for h in nuclei["hue"]]
    assert sum(b for b, c in zip(brown, counted, strict=True) if c) == said["scoring"]["num_pos"]
    assert len(nuclei["x"]) == len(nuclei["area_um2"])
    features = browser.get(f"/data/images/{image}/nuclei.geojson").json()["features"]
    assert len(features) == sum(counted)
    assert features[0]["properties"]["objectType"] == "detection"


def test_every_picture_is_shown_and_packed_without_what_the_file_held(browser: Browser, image: str) -> None:
    for name in PICTURES:
        answer = browser.get(f"/data/images/{image}/views/{name}.png")
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).size == (SIDE, SIDE)
    packed = browser.get(f"/data/images/{image}/all.zip").content
    assert b"INVENTED" not in packed
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert archive.testzip() is None
    assert set(archive.namelist()) == {*(f"{name}.png" for name in PICTURES), "nuclei.geojson", "answer.json"}
    assert json.loads(archive.read("answer.json"))["scoring"]["num_total"] > 50
    assert b"INVENTED" not in archive.read("Original.png")


def test_a_comment_is_kept_with_the_image(browser: Browser, image: str) -> None:
    assert browser.post(f"/data/images/{image}/comment", {"text": "Look at the lower edge"}).status_code == 200
    assert browser.get(f"/data/images/{image}").json()["comment"] == "Look at the lower edge"
    assert browser.post(f"/data/images/{image}/comment", {"text": "x" * 4001}).status_code == 400
    assert browser.post(f"/data/images/{image}/comment", {"no": 1}).status_code == 400


def test_no_other_laboratory_and_no_stranger_sees_it(page: Page, browser: Browser, image: str, png: bytes) -> None:
    other = page.caller("pathologist", lab="ANOTHER-LAB")
    for part in ("", "/nuclei.json", "/all.zip", "/views/Seg.png"):
        assert other.get(f"/data/images/{image}{part}").status_code == 404
        assert Browser(page.address).get(f"/data/images/{image}{part}").status_code == 401
    assert other.get("/data/images").json()["images"] == []
    forged = Browser(page.address)
    forged.http.cookies.update(browser.http.cookies)  # the cookie alone, as another site's page would have it sent
    assert forged.http.post(f"{page.address}/data/images", files={"img": png}, timeout=20).status_code == 403


def test_a_sample_is_computed_like_any_other(browser: Browser) -> None:
    assert set(browser.get("/data/images").json()["samples"]) == {"weak", "mixed", "strong"}
    said = done(browser, browser.post("/data/images/samples/weak").json()["id"])
    assert said["scoring"]["num_total"] > 500
    assert 0 < said["scoring"]["percent_pos"] < 60
    assert browser.post("/data/images/samples/none").status_code == 400


def test_what_is_deleted_is_gone(browser: Browser, png: bytes) -> None:
    made = laid(browser, png)
    assert browser.post(f"/data/images/{made}/delete").status_code == 200
    assert browser.get(f"/data/images/{made}").status_code == 404


def test_an_image_that_is_none_says_so_and_others_go_on(browser: Browser, png: bytes) -> None:
    bad, good = laid(browser, b"a letter, no image\n" * 50), laid(browser, png)
    said = done(browser, bad)
    assert (said["state"], said["reason"]) == ("FAILURE", "NOT_A_SLIDE")
    assert done(browser, good)["state"] == "SUCCESS"


def test_the_shell_is_the_page_s_own(page: Page) -> None:
    answer = Browser(page.address).get("/image")
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert '<script src="/static/image.js"' in answer.text


@pytest.mark.parametrize("name", ["..", "%2e%2e%2ftask", "task", "Seg.png%00"])
def test_only_pictures_that_there_are_have_an_address(browser: Browser, image: str, name: str) -> None:
    assert browser.get(f"/data/images/{image}/views/{name}.png").status_code == 404

"""The microscope's endpoint by HTTP, with the shipped networks: fields in, cells and a running score out."""

import io
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from inference.draw import draw_slide
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.services.analysis import LARGEST_BYTES
from tests.server.web.browser import Browser, Page

pytestmark = pytest.mark.postgres
SIDE = 256
PATH = "/data/microscopes"


@pytest.fixture(scope="module")
def browser(page: Page) -> Browser:
    return page.browser()


@pytest.fixture(scope="module")
def slide() -> Rgb:
    """Three fields side by side."""
    drawing = draw_slide(size=Size(width=3 * SIDE, height=SIDE), seed=6, h_score=150)
    return drawing.read(Region(x=0, y=0, width=3 * SIDE, height=SIDE))


def png(pixels: Rgb) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    return out.getvalue()


def begun(browser: Browser, marker: str = "ER") -> dict[str, Any]:
    answer = browser.post(PATH, {"marker": marker})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def looked(browser: Browser, microscope: str, data: bytes, query: str = "mpp=0.5") -> requests.Response:
    path = f"{browser.address}{PATH}/{microscope}/fields?{query}"
    return browser.http.post(path, data=data, headers={"content-type": "image/png"}, timeout=60)


def test_fields_have_cells_and_a_running_score(browser: Browser, slide: Rgb) -> None:
    made = begun(browser)
    first = looked(browser, made["id"], png(slide[:, :SIDE])).json()
    assert (first["size"], first["fields"]) == ([SIDE, SIDE], 1)
    cells = first["cells"]
    assert cells["n"] == len(cells["x"]) == len(cells["y"]) == len(cells["group"]) > 10
    assert all(0 <= v <= SIDE for v in (*cells["x"], *cells["y"]))
    assert set(cells["group"]) <= set(range(len(made["assay"]["groups"])))
    measures = {measure["code"] for measure in made["assay"]["measures"]}
    assert {row["measure"] for row in first["running"]} <= measures

    shared = looked(browser, made["id"], png(slide[:, :SIDE])).json()  # seen again: its cells count once
    apart = looked(browser, made["id"], png(slide[:, 2 * SIDE :])).json()
    counts = [answer["running"][0]["n"] for answer in (first, shared, apart)]
    assert counts[0] == counts[1] < counts[2]
    assert (shared["fields"], apart["fields"]) == (2, 3)


def test_a_field_that_is_not_counted_leaves_the_running_score(browser: Browser, slide: Rgb) -> None:
    made = begun(browser)
    first = looked(browser, made["id"], png(slide[:, :SIDE])).json()
    other = looked(browser, made["id"], png(slide[:, 2 * SIDE :]), "mpp=0.5&counted=false").json()
    assert other["cells"]["n"] > 10
    assert other["scores"] != first["scores"]
    assert (other["fields"], other["running"]) == (1, first["running"])


def test_what_is_no_field_is_refused_and_the_next_is_taken(browser: Browser, slide: Rgb) -> None:
    made, field = begun(browser)["id"], png(slide[:, :SIDE])
    for data, query, status, reason in (
        (b"a letter, no picture", "mpp=0.5", 400, "NOT_A_SLIDE"),
        (b"", "mpp=0.5", 400, "FIELD_MISSING"),
        (field, "", 400, "FIELD_MISSING"),
        (field, "mpp=nan", 400, "ARGUMENT_INVALID"),
        (field, "mpp=far", 400, "ARGUMENT_INVALID"),
        (field, "mpp=0.5&counted=perhaps", 400, "ARGUMENT_INVALID"),
        (b"\0" * (LARGEST_BYTES + 1), "mpp=0.5", 413, "MESSAGE_TOO_LARGE"),
    ):
        answer = looked(browser, made, data, query)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason), query
    assert looked(browser, made, field).json()["fields"] == 1


def test_it_is_its_own_person_s_until_it_ends(page: Page, browser: Browser, slide: Rgb) -> None:
    made, field = begun(browser)["id"], png(slide[:, :SIDE])
    for stranger in (page.caller("pathologist", lab="ANOTHER-LAB"), page.caller("pathologist", lab="LAB-PAGE")):
        assert looked(stranger, made, field).status_code == 404
        assert stranger.post(f"{PATH}/{made}/end").status_code == 404
    assert looked(Browser(page.address), made, field).status_code == 401
    assert page.caller("lis", lab="LAB-PAGE").post(PATH, {"marker": "ER"}).status_code == 403
    forged = Browser(page.address)
    forged.http.cookies.update(browser.http.cookies)  # the cookie alone, as another site's page would have it sent
    assert looked(forged, made, field).status_code == 403
    assert browser.post(f"{PATH}/{made}/end").status_code == 200
    assert looked(browser, made, field).status_code == 404


def test_signing_out_ends_it(page: Page, slide: Rgb) -> None:
    browser = page.browser()
    made = begun(browser)["id"]
    assert browser.post("/data/sign-out").status_code == 200
    assert looked(page.browser(), made, png(slide[:, :SIDE])).status_code == 404


def test_stains_that_are_not_scored_are_refused(browser: Browser) -> None:
    assert "HER2" in browser.get(PATH).json()["markers"]
    assert browser.post(PATH, {"marker": "CD3"}).json()["reason"] == "ASSAY_UNSUPPORTED"
    assert browser.post(PATH, {}).json()["reason"] == "FIELD_MISSING"

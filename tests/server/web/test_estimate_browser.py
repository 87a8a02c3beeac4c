"""A pathologist's own estimate in a real browser: asked for before the score, kept; the other stains; their bias."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromogen.v1 import order_pb2
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect, sync_playwright

from inference.analyzers.membrane import SCORE, TUMOUR
from inference.measures import scored
from server.domain.result import Result
from server.site import Site
from tests.e2e.browsing import AXE, FAULTS
from tests.server.api.harness import Api
from tests.server.web.browser import LOCAL_LAB, page_of

CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium isn't here: `make peers` installs it"),
]


KEEP = """async ([id, all]) => {
  const { post } = await import('/static/api.js');
  await post(`/data/results/${id}/estimate`, { values: { all } });
}"""


@pytest.fixture(scope="module")
def tab(api: Api) -> Iterator[Tab]:
    site = api.service.site
    own = replace(site.laboratory(LOCAL_LAB), estimate_first=True)
    asked = Site(laboratories=(own,), archives=site.archives, destinations=site.destinations, routes=site.routes)
    with page_of(replace(api, service=replace(api.service, site=asked))) as page, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1400, "height": 900}, base_url=page.address)
        made.set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        made.goto("/")
        made.get_by_role("button", name="Sign in as dr-invented").click()
        expect(made.get_by_role("heading", name="Work list")).to_be_visible()
        yield made
        browser.close()


def check_accessible(tab: Tab) -> None:
    if AXE.is_file():
        tab.evaluate(AXE.read_text())
        assert tab.evaluate(FAULTS) == []


def done(api: Api, marker: str, seed: int, **more: Any) -> Result:
    slide = order_pb2.SlideReference(study_uid="2.25.4711", container_id=f"S26-TEST-9-A-{marker}")
    return api.done(LOCAL_LAB, seed=seed, ordered={"marker": marker, "slide": slide}, marker=marker, **more)


def test_the_score_is_shown_after_the_estimate_and_the_other_stain_after_its_own(api: Api, tab: Tab) -> None:
    er, pr = (done(api, marker, seed) for seed, marker in enumerate(("ER", "PR")))
    tab.goto(f"/case/{er.id}")
    expect(tab.get_by_role("heading", name="Your own estimate")).to_be_visible()
    expect(tab.locator(".headline")).to_have_count(0)
    tab.get_by_label("all", exact=True).fill("301")
    tab.get_by_role("button", name="Keep my estimate").click()
    expect(tab.get_by_role("alert")).to_contain_text("0 to 300")
    tab.get_by_label("all", exact=True).fill("120")
    tab.get_by_role("button", name="Keep my estimate").click()
    expect(tab.locator(".headline .number")).to_be_visible()
    expect(tab.locator("[data-region=all][data-shown=false]")).to_contain_text("120, before the score was shown")
    stain = tab.locator("[data-marker=PR]")
    expect(stain).to_contain_text("to be estimated first")
    expect(tab.locator("[data-ratio]")).to_have_count(0)
    stain.get_by_role("button", name="PR").click()
    tab.get_by_label("all", exact=True).fill("80")
    tab.get_by_role("button", name="Keep my estimate").click()
    expect(tab.locator("[data-ratio=HSCORE][data-region=all]")).to_be_visible()
    rows = [next(s.value for s in r.scores if (s.measure, s.region) == ("HSCORE", "all")) for r in (er, pr)]
    assert rows[0] is not None
    assert rows[1]
    expect(tab.locator("[data-ratio=HSCORE][data-region=all]")).to_have_text(f"{rows[0] / rows[1]:.2f}")


def test_readers_see_the_bias_of_their_own_estimates_in_numbers_and_a_drawing(api: Api, tab: Tab) -> None:
    tab.goto("/")
    tab.locator("#search").wait_for()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for seed, difference in enumerate((10.0, 20.0, 0.0)):
        result = done(api, "KI67", seed)
        row = next(s for s in result.scores if (s.measure, s.region) == ("HSCORE", "all"))
        assert row.value is not None
        tab.evaluate(KEEP, [result.id, row.value - difference])
    tab.get_by_role("link", name="My estimates").click()
    shown = tab.locator("tr[data-marker=KI67][data-region=all]")
    expect(shown).to_contain_text("+10.0")
    expect(shown).to_contain_text("−9.6 to +29.6")
    drawn = tab.get_by_role("img", name="KI67, H-score, all: 3 pairs, mean difference +10.0")
    expect(drawn.locator("circle")).to_have_count(3)
    heights = [float(dot.get_attribute("cy") or "") for dot in drawn.locator("circle").all()]
    assert heights[1] < heights[0] < heights[2]
    check_accessible(tab)
    tab.reload()
    expect(shown).to_be_visible()
    assert complaints == []


def test_a_category_is_chosen_and_counted_beside_the_score_s(api: Api, tab: Tab) -> None:
    result = done(api, "HER2", 3, scores=(scored(SCORE, TUMOUR, 500, category="2+"),))
    tab.goto(f"/case/{result.id}")
    tab.get_by_role("button", name="Keep my estimate").click()
    expect(tab.get_by_role("alert")).to_contain_text("Enter one")
    tab.get_by_label(TUMOUR, exact=True).select_option("1+")
    check_accessible(tab)
    tab.get_by_role("button", name="Keep my estimate").click()
    expect(tab.get_by_role("heading", name="Your own estimate")).to_have_count(0)
    tab.goto("/estimates")
    expect(tab.locator("[data-mine='1+'][data-ours='2+']")).to_have_text("1")
    expect(tab.locator("[data-mine='2+'][data-ours='1+']")).to_have_text("0")
    expect(tab.locator("tr[data-marker=HER2]")).to_contain_text("0 of 1: 0 %")
    check_accessible(tab)

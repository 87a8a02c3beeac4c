"""Each path of a pathologist through the page, in a real browser, on the demo that stays."""

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.cells.histograms import Histograms
from tests.e2e.browsing import AXE, CASE_S, CHROMIUM, FAULTS, Demo, chromium, demo, small_demo, watched

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]

FINAL = re.compile(r"^OBR(\|[^|\r]*){24}\|F", re.MULTILINE)
"""OBR-25."""
NUMBER = ".headline .number"
READ = "fetch(`/data/results/${document.querySelector('main').dataset.result}`).then((r) => r.json())"
PLACES = ((200, 0), (0, 255), (0, 80), (0, 10))
"""Hue and value of a nucleus of each grade."""
SCORED = """async ([counted, places, criteria, assay]) => {
  const { scoresOf, histogramOf } = await import('/static/scoring.js');
  return counted.map((grades) => {
    const table = new Uint32Array(2 * 360 * 256);
    const put = (c, hue, value, n) => { table[(c * 360 + hue) * 256 + value] = n * (1 + c); };
    places.forEach(([hue, value], g) => [0, 1].forEach((c) => put(c, hue, value, grades[g])));
    const tables = { [histogramOf(criteria)]: table };
    return [...scoresOf(tables, criteria, assay)].map(([region, { values }]) => [region, values]);
  });
}"""
NUCLEI = "Number(document.querySelector('td[data-code=COUNT_NUCLEI][data-region=all]').dataset.value)"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    out = tmp_path_factory.mktemp("page") / "out"
    out.parent.chmod(0o711)
    with demo(small_demo(out), out) as made:
        assert requests.get(f"{made.address}/healthz", timeout=5).json() == {"serving": True}
        made.until(r"result (\S+) waits", CASE_S)
        yield made


@pytest.fixture(scope="module")
def context(running: Demo) -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture
def page(context: Any, running: Demo) -> Iterator[Any]:
    """Signed in, at the newest result of the case."""
    made, complaints = watched(context)
    made.goto(running.address)
    made.locator("form button[type=submit], #search").first.wait_for()
    if made.get_by_role("button", name="Sign in as").count():
        made.get_by_role("button", name="Sign in as").click()
    made.locator("#search").wait_for()
    made.get_by_role("button", name="All", exact=True).click()
    made.locator("tbody tr").first.click()
    ready(made)
    yield made
    made.close()
    assert complaints == []


def ready(page: Any) -> None:
    page.locator(f"{NUMBER}[data-value]").wait_for()
    until(page, "performance.getEntriesByName('nuclei').length > 0")


def until(page: Any, script: str) -> None:
    """True in the page; its policy forbids what `wait_for_function` does."""
    for _ in range(300):
        if page.evaluate(script):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never true: {script}")


def value(page: Any, code: str, region: str = "all") -> float:
    found = page.locator(f'td[data-code="{code}"][data-region="{region}"]').get_attribute("data-value")
    return float(found)


def stored(page: Any) -> dict[tuple[str, str], Any]:
    """The kept rows of the result that is open, by region and measure."""
    said = page.evaluate(
        "fetch('/data/results/' + document.querySelector('main').dataset.result).then((r) => r.json())"
    )
    return {(row["region"], row["measure"]): row["value"] or row["category"] for row in said["scores"]}


def shown(page: Any) -> dict[tuple[str, str], Any]:
    cells = page.locator("td[data-code]").evaluate_all("a => a.map(e => ({...e.dataset}))")
    return {(c["region"], c["code"]): c["value"] for c in cells}


def same(page: Any) -> bool:
    """Is every number of the table what the service kept, to the digit?"""
    kept, found = stored(page), shown(page)
    assert kept.keys() == found.keys()
    return all(str(found[k]) in (str(kept[k]), "null") or float(found[k]) == float(kept[k] or 0) for k in kept)


def keep(page: Any, why: str) -> None:
    before = page.url
    page.locator("#keep").click()
    page.locator("#field-why").fill(why)
    page.get_by_role("button", name="Keep", exact=True).click()
    page.wait_for_url(lambda url: url != before)
    ready(page)


def test_a_threshold_moves_and_the_scores_with_it_as_the_service_computes_them(page: Any) -> None:
    assert same(page)
    before = value(page, "HSCORE")
    slider = page.locator("#slider-left")
    slider.focus()
    for _ in range(12):
        slider.press("ArrowRight")
    assert value(page, "HSCORE") > before
    moved = shown(page)
    keep(page, "the control is pale")
    assert shown(page) == moved
    assert same(page)
    assert page.get_by_text("demo-pathologist: the control is pale").count()


def test_the_bars_are_of_the_region_whose_score_is_shown_and_pictures_follow_the_window(page: Any) -> None:
    region = page.locator(NUMBER).get_attribute("data-region")
    assert region == "epithelium"
    counts = [value(page, f"COUNT_GRADE_{grade}", region) for grade in range(4)]
    shares = page.locator(".grades li strong").all_inner_texts()
    assert [float(s.removesuffix(" %")) for s in shares] == pytest.approx(
        [100 * n / sum(counts) for n in counts], abs=0.0501
    )
    assert region in page.locator(".grades .of").inner_text()
    page.set_viewport_size({"width": 820, "height": 700})
    until(page, "[...document.querySelectorAll('.histogram')].every((c) => c.width === c.clientWidth)")
    page.set_viewport_size({"width": 1440, "height": 900})


def test_every_score_is_the_service_s_for_any_histogram(page: Any) -> None:
    """The page's module against the analyzer, on counts at the edges of the rules."""
    assay = assay_of("ER")
    said = page.evaluate(
        "fetch('/data/results/' + document.querySelector('main').dataset.result).then((r) => r.json())"
    )
    counted = [[0] * 4, [99, 1, 0, 0], [100, 1, 0, 0], [9, 1, 0, 0], [90, 10, 0, 0], [2, 1, 0, 0], [1, 1, 1, 0]]
    counted += [[1, 0, 1, 1], [0, 1, 1, 1], [33, 66, 0, 1], [49, 51, 0, 0], [1, 4, 0, 0], [3, 1, 2, 5], [7, 11, 13, 17]]
    criteria = {"method": "hue_value", **assay.built_in.criteria.values()}
    answers = page.evaluate(SCORED, [counted, PLACES, criteria, said["assay"]])
    for grades, answer in zip(counted, answers, strict=True):
        histogram = Histograms.empty(NUCLEAR.histograms)
        for grade, (hue, brightness) in enumerate(PLACES):
            histogram["white_hue_value"][:, hue, brightness] = grades[grade], 2 * grades[grade]
        counts = NUCLEAR.counts(histogram, assay.built_in.criteria)
        rows = NUCLEAR.scores(assay.measures, counts, None)
        found = {(region, code): v for region, values in answer for code, v in values.items()}
        assert found == {(r.region, r.measure): r.value if r.category is None else r.category for r in rows}, grades


def test_a_region_is_left_out_and_a_nucleus_too_and_taken_back(page: Any) -> None:
    nuclei = value(page, "COUNT_NUCLEI")
    page.keyboard.press("x")
    box = page.locator("#slide").bounding_box()
    points = [(0.42, 0.35), (0.58, 0.35), (0.58, 0.6), (0.42, 0.6)]
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()
    until(page, f"{NUCLEI} < {nuclei}")
    without = value(page, "COUNT_NUCLEI")
    pick(page)
    page.locator("[data-act=exclude]").click()
    until(page, f"{NUCLEI} === {without - 1}")
    page.locator("[data-act=back]").click()
    until(page, f"{NUCLEI} === {without}")
    page.locator(".regrade[data-grade='3']").click()
    page.locator("[data-cells='1']").wait_for()
    found = shown(page)
    keep(page, "necrosis, and one nucleus")
    assert shown(page) == found
    assert same(page)
    assert value(page, "COUNT_NUCLEI") == without


def pick(page: Any) -> None:
    """A nucleus, wherever one is near."""
    page.keyboard.press("c")
    box = page.locator("#slide").bounding_box()
    for k in range(200):
        x, y = (
            box["x"] + box["width"] * (0.3 + 0.4 * (k % 20) / 20),
            box["y"] + box["height"] * (0.2 + 0.06 * (k // 20)),
        )
        page.mouse.click(x, y)
        if page.locator(".card .buttons").is_visible() and page.locator("[data-act=include]").count() == 0:
            return
    raise AssertionError("no nucleus was picked")


def test_a_tumour_region_is_scored_apart_with_its_own_interval(page: Any) -> None:
    page.keyboard.press("t")
    box = page.locator("#slide").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    for x, y in ((0.7, 0.1), (0.7, 0.9), (0.3, 0.9)):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=5)
    page.mouse.up()
    page.locator('td[data-region="tumour"]').first.wait_for()
    keep(page, "the tumour alone")
    assert same(page)
    assert page.locator(f'{NUMBER}[data-region="tumour"]').count() == 1


def test_what_was_changed_outlives_a_session_that_ends_and_nothing_is_signed_twice(page: Any, running: Demo) -> None:
    slider = page.locator("#slider-right")
    slider.focus()
    slider.press("ArrowLeft")
    moved = shown(page)
    page.context.clear_cookies()
    page.locator("#comment").fill("not lost")
    page.get_by_role("button", name="Add comment").click()
    page.locator("#signed-out").wait_for()
    page.locator("dialog").get_by_role("button", name="Sign in as").click()
    ready(page)
    assert shown(page) == moved
    assert page.locator("#comment").input_value() == "not lost"
    page.get_by_role("button", name="Add comment").click()
    page.locator(".comments li").get_by_text("not lost").wait_for()
    page.get_by_role("button", name="Discard").click()
    page.locator("#comment").fill("")


def test_stains_are_shown_alone_and_files_are_brought(page: Any, tmp_path: Path) -> None:
    with page.expect_response(re.compile(r"stain=dab")) as answer:
        page.keyboard.press("3")
    assert answer.value.status == 200
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as wanted:
        page.get_by_role("link", name="All of it").click()
    wanted.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as brought:
        names = set(brought.namelist())
        assert {"report.pdf", "scores.csv", "cells.csv", "cells.geojson", "overlay.png", "result.json"} <= names
        assert brought.read("report.pdf").startswith(b"%PDF")
        assert brought.read("report.pdf").count(b"/Type /Page\n") == 1
        assert len(json.loads(brought.read("cells.geojson"))["features"]) > 3


def test_while_the_archive_is_away_nuclei_and_scores_are_shown(page: Any) -> None:
    other = page.context.new_page()
    away = json.dumps({"reason": "ARCHIVE_UNREACHABLE", "message": "away", "advice": ""})
    other.route("**/tiles/**", lambda route: route.fulfill(status=503, body=away))
    other.goto(page.url)
    ready(other)
    other.get_by_text("its archive doesn't answer").wait_for()
    painted = other.evaluate("""() => {
      const c = document.querySelector('.overlay');
      return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0);
    }""")
    assert painted
    assert same(other)
    other.close()


def test_nothing_keeps_those_out_who_use_keys_or_a_screen_reader(page: Any) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (npm)")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    for place in ("case", "list"):
        page.evaluate(AXE.read_text())
        found = page.evaluate(FAULTS)
        assert found == [], place
        page.keyboard.press("l")
        page.locator("#search").wait_for()


def test_the_signature_reaches_the_lis_and_another_who_has_it_open_is_told(page: Any, running: Demo) -> None:
    other = page.context.new_page()
    other.goto(page.url)
    ready(other)
    page.keyboard.press("s")
    page.locator("dialog").get_by_role("button", name="Sign", exact=True).click()
    page.locator("[data-state=FINAL]").wait_for()
    other.keyboard.press("s")
    other.locator("dialog").get_by_role("button", name="Sign", exact=True).click()
    other.get_by_text("Somebody was quicker").wait_for()
    assert other.get_by_text("demo-pathologist").count()
    other.close()
    for _ in range(40):
        signed = [message for message in running.messages if FINAL.search(message)]
        if signed:
            break
        page.wait_for_timeout(250)
    assert len(signed) == 1


def test_the_demo_says_where_everybody_begins_and_leaves_nothing_behind(running: Demo, tmp_path: Path) -> None:
    for pattern in (
        r"gRPC\s+127\.0\.0\.1:\d+",
        r"token\s+pathologist\s+(\S+)",
        r"order submit",
        r"profile list",
        r"result sign",
    ):
        running.until(pattern, 1)
    command = [str(Path(sys.executable).with_name("chromogen")), "demo", "--out", str(tmp_path / "o"), "--web", "0"]
    tmp_path.chmod(0o711)
    with demo(command, tmp_path / "o") as started:
        assert requests.get(f"{started.address}/", timeout=5).status_code == 200
        no_task = f"{started.address}/api/batch/infer/{'0' * 32}"
        assert requests.get(no_task, timeout=5).json()["reason"] == "TASK_UNKNOWN"  # DeepLIIF's endpoints stand open
        assert requests.get(no_task, timeout=5, headers={"host": "elsewhere.example"}).status_code == 400
        token = Path(started.until(r"token\s+auditor\s+(\S+)", 5)[1])
        assert token.stat().st_mode & 0o077 == 0
        assert started.stop() == 0
        assert not token.exists()

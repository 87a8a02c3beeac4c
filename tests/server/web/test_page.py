"""The pathologist's page by HTTP, on the real store: what is seen, changed and said, and by whom."""

import base64
import io
import re
import uuid
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from inference.analyzers.nuclear import H_SCORE, NUCLEI
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.change import inside
from inference.measures import find
from inference.outline import RAYS
from server.domain.result import Result
from server.services import permissions
from tests.made import HEIGHT, WIDTH
from tests.server.api.harness import Api
from tests.server.web.browser import LOCAL_LAB, USER, Browser, Page, records, tables

pytestmark = pytest.mark.postgres

SQUARE = [[2000.0, 1000.0], [9000.0, 1500.0], [8000.0, 7000.0], [1500.0, 6000.0]]
TUMOUR = [[0.0, 0.0], [float(WIDTH), 0.0], [float(WIDTH), HEIGHT / 2], [0.0, HEIGHT / 2]]
OF_A_RESULT = {
    ("GET", ""): None,
    ("GET", "/state"): None,
    ("GET", "/histograms"): None,
    ("GET", "/fields"): None,
    ("GET", "/cells"): None,
    ("GET", "/cells/sample"): None,
    ("GET", "/cells/0/0"): None,
    ("GET", "/tiles/0/0/0"): None,
    ("GET", "/download/cells.csv"): None,
    ("POST", "/preview"): {},
    ("POST", "/change"): {"why": "because", "cells": [[0, None]]},
    ("POST", "/comment"): {"text": "seen"},
    ("POST", "/estimate"): {"values": {"all": 100}},
    ("GET", "/case"): None,
    ("GET", "/profiles"): None,
    ("POST", "/sign"): {"etag": "x"},
    ("POST", "/reject"): {"etag": "x", "why": "because"},
    ("POST", "/amend"): {"etag": "x", "why": "because", "replacement": str(uuid.uuid4())},
}


def cells_of(result: Result) -> Cells:
    return joined(list(read_cells(result.cells_file, result.assay.analyzer.schema)))


def text_of(pdf: bytes) -> bytes:
    """Of its last stream, which is the page."""
    packed = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)[-1]
    return zlib.decompress(base64.a85decode(packed.strip().removesuffix(b"~>")))


def audited(api: Api, thing: str) -> list[tuple[str, str]]:
    with api.owner.connect() as connection:
        query = sa.text("SELECT subject, action FROM audit WHERE object = :thing ORDER BY id")
        return [tuple(row) for row in connection.execute(query, {"thing": thing})]


def test_a_session_s_cookie_is_the_browser_s_alone_and_ends_when_it_is_signed_out(page: Page) -> None:
    browser = Browser(page.address)
    assert browser.get("/data/session").status_code == 401
    said = browser.sign_in().headers["set-cookie"]
    assert "HttpOnly" in said
    assert "SameSite=lax" in said
    who = browser.get("/data/session").json()
    assert (who["subject"], who["laboratory"], who["roles"]) == (USER, LOCAL_LAB, ["lab-admin", "pathologist"])
    assert browser.post("/data/sign-out").status_code == 200
    browser.http.cookies.update({"chromogen": said.partition("=")[2].partition(";")[0]})
    assert browser.get("/data/session").status_code == 401


@pytest.mark.parametrize("spoilt", ["none", "wrong", "another site's"])
def test_what_changes_anything_must_be_the_page_s_own_request(page: Page, spoilt: str) -> None:
    browser, more = page.browser(), {}
    if spoilt == "another site's":
        more = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    else:
        browser.http.headers["x-csrf"] = {"none": "", "wrong": "0" * 64}[spoilt]
    answer = browser.post("/data/work", {}, headers=more)
    assert (answer.status_code, answer.json()["reason"]) == (403, "PERMISSION_DENIED")


def test_the_page_and_its_files_come_with_a_policy_that_lets_nothing_else_in(page: Page) -> None:
    browser = Browser(page.address)
    for path in ("/", f"/case/{uuid.uuid4()}", "/estimates", "/static/main.js", "/static/vendor/openseadragon.js"):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["content-encoding"] == "gzip"
        plain = browser.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content
    tag = answer.headers["etag"]
    assert browser.get(path, headers={"if-none-match": tag}).status_code == 304


def test_the_work_list_is_looked_through_a_page_at_a_time(page: Page, lab: str) -> None:
    made = [page.api.done(lab, n=150 + i) for i in range(3)]
    doctor = page.caller("pathologist", lab=lab, subject="dr-a")

    def listed(**wanted: object) -> list[str]:
        found, token = [], ""
        while True:
            answer = doctor.post("/data/work", {"limit": 2, "page_token": token, **wanted}).json()
            found += [item["result"]["id"] for item in answer["items"]]
            token = answer["page_token"]
            if not token:
                return found

    assert listed() == [result.id for result in reversed(made)]
    assert listed(state="signed") == listed(marker="PR") == listed(priority="STAT") == listed(mine=True) == []
    one = doctor.post("/data/work", {"limit": 1}).json()["items"][0]
    assert one["result"]["score"]["code"] == "HSCORE"
    assert "patient" not in str(one).lower()
    assert listed(text=one["number"]) == [made[-1].id]
    assert listed(text="test-inv") == listed()
    doctor.post(f"/data/results/{made[0].id}/comment", {"text": "look again"})
    assert listed(mine=True) == [made[0].id]


def test_every_address_of_a_result_is_asked_here() -> None:
    names = {(method, path) for method, path in OF_A_RESULT}
    assert len(names) == 18
    assert permissions.PAGE.keys() <= permissions.ROLES.keys()


@pytest.mark.parametrize(("method", "path"), OF_A_RESULT)
def test_nothing_of_another_laboratory_s_result_is_reachable(page: Page, lab: str, method: str, path: str) -> None:
    result = page.api.done(lab, n=150)
    own = page.caller("pathologist", lab=lab)
    if method == "GET" and "tiles" not in path:
        assert own.get(f"/data/results/{result.id}{path}").status_code == 200
    stranger = page.caller("pathologist", lab="LAB-STRANGE")
    ask: Callable[..., object] = stranger.get if method == "GET" else stranger.post
    body = [] if OF_A_RESULT[method, path] is None else [OF_A_RESULT[method, path]]
    answer = ask(f"/data/results/{result.id}{path}", *body)
    assert (answer.status_code, answer.json()["reason"]) == (404, "RESULT_UNKNOWN")  # type: ignore[attr-defined]


def test_what_was_seen_of_a_case_and_its_patient_is_in_the_audit(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=150)
    seen = page.caller("pathologist", lab=lab, subject="dr-a").get(f"/data/results/{result.id}").json()
    assert seen["patient"]["name"].startswith("TEST-INVENTED")
    assert ("dr-a", "result.read") in audited(page.api, f"results/{result.id}")
    assert ("dr-a", "patient.read") in audited(page.api, f"orders/{result.order_id}")


def test_a_lab_admin_reads_and_changes_a_result_and_is_shown_no_patient(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=150)
    admin, at = page.caller("lab-admin", lab=lab, subject="admin-a"), f"/data/results/{result.id}"
    seen = admin.get(at).json()
    assert (seen["patient"], seen["order"]["id"]) == (None, result.order_id)
    assert admin.post("/data/work", {"text": "test-inv"}).json()["items"] == []
    assert len(admin.post("/data/work", {"text": seen["order"]["number"]}).json()["items"]) == 1
    assert admin.post(f"{at}/comment", {"text": "look at the control"}).status_code == 200
    assert admin.post(f"{at}/change", {"why": "an artefact", "cells": [[0, None]]}).status_code == 200
    with zipfile.ZipFile(io.BytesIO(admin.get(f"{at}/download/all.zip").content)) as brought:
        names = brought.namelist()
        assert "report.pdf" in names
        assert not [name for name in names if name.startswith("dicom/")]
        assert "PERMISSION_DENIED" in brought.read("missing.txt").decode()
    report = admin.get(f"{at}/download/report.pdf").content
    doctor = page.caller("pathologist", lab=lab, subject="dr-a").get(f"{at}/download/report.pdf").content
    assert [b"TEST-INVENTED" in text_of(pdf) for pdf in (report, doctor)] == [False, True]
    assert ("admin-a", "patient.read") not in audited(page.api, f"orders/{result.order_id}")


def test_outlines_come_with_a_square_and_not_with_the_sample(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=157, outlines=True)
    doctor, at = page.caller("pathologist", lab=lab), f"/data/results/{result.id}/cells"
    said = doctor.get(at).json()
    assert said["square_columns"][-1] == ["outline", "|u1", RAYS]
    assert "outline" not in [name for name, _, _ in said["columns"]]
    kept = cells_of(result)
    for column, row, _ in said["squares"]:
        part = records(doctor.get(f"{at}/{column}/{row}").content, said["square_columns"])
        assert np.array_equal(part["outline"], kept["outline"][part["row"]])
    assert len(records(doctor.get(f"{at}/sample").content, said["columns"])["row"]) == 157


def test_cells_come_by_squares_and_as_a_sample_each_once(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=3000)
    doctor = page.caller("pathologist", lab=lab)
    said = doctor.get(f"/data/results/{result.id}/cells").json()
    assert said["n"] == sum(n for _, _, n in said["squares"]) == 3000
    parts = []
    for column, row, n in said["squares"]:
        part = records(doctor.get(f"/data/results/{result.id}/cells/{column}/{row}").content, said["columns"])
        assert len(part["row"]) == n
        assert set(np.floor((part["x"] + 0.5) / said["side"])) == {column}
        parts.append(part)
    rows = np.concatenate([part["row"] for part in parts])
    assert sorted(rows.tolist()) == list(range(3000))
    all_cells = cells_of(result)
    assert np.array_equal(np.concatenate([part["hue"] for part in parts]), all_cells["hue"][rows])
    sample = records(doctor.get(f"/data/results/{result.id}/cells/sample").content, said["columns"])
    assert sorted(sample["row"].tolist()) == list(range(3000))


def test_regions_and_cells_make_a_new_result_that_names_who_why_and_whence(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=3000)
    doctor, at = page.caller("pathologist", lab=lab, subject="dr-a"), f"/data/results/{result.id}"
    cells, analyzer = cells_of(result), result.assay.analyzer
    within = inside(cells.x, cells.y, [np.array(SQUARE)])
    outside, kept_in = np.flatnonzero(~within), int(np.flatnonzero(within)[0])
    drop, raised = int(outside[0]), int(outside[1])
    asked = {
        "regions": [{"class": "exclude", "points": SQUARE}, {"class": "tumour", "points": TUMOUR}],
        "cells": [[drop, None], [raised, 7], [kept_in, 4]],
    }
    previewed = tables(doctor.post(f"{at}/preview", asked).content)
    etag = doctor.get(f"{at}/state").json()["etag"]
    made = doctor.post(f"{at}/change", {**asked, "why": "necrosis at the edge", "etag": etag}).json()
    assert doctor.post(f"{at}/change", {**asked, "why": "once more", "etag": etag}).json()["id"] == made["id"]

    new = page.api.service.store.result(made["id"])
    assert (new.predecessor, made["by"], made["why"]) == (result.id, "dr-a", "necrosis at the edge")
    stored = new.analysis.histograms.tables
    assert stored.keys() == previewed.keys()
    assert all(np.array_equal(stored[name], previewed[name]) for name in stored)

    groups = analyzer.group_of(cells, result.profile.criteria).astype(int)
    groups[raised], groups[kept_in] = 7, 4
    counted = ~within
    counted[[drop, kept_in]] = False, True
    expected = analyzer.scores(result.assay.measures, np.bincount(groups[counted], minlength=8), None)
    found = {(row.measure, row.region): row.value for row in new.scores}
    assert all(found[row.measure, row.region] == row.value for row in expected)
    tumour = counted & inside(cells.x, cells.y, [np.array(TUMOUR)])
    row = find(new.scores, H_SCORE, "tumour")
    assert row is not None
    assert row.n == tumour.sum()
    assert row.interval is not None
    assert find(new.scores, NUCLEI).value == counted.sum()  # type: ignore[union-attr]
    assert len(cells_of(new)) == counted.sum()
    kept = doctor.get(f"/data/results/{new.id}").json()
    assert kept["change"]["cells"] == sorted([[drop, None], [raised, 7], [kept_in, 4]])
    assert doctor.get(at).json()["state"] == "PRELIMINARY"


def test_thresholds_that_were_moved_score_as_the_service_would_and_move_again_on_a_changed_result(
    page: Page, lab: str
) -> None:
    result = page.api.done(lab, n=2000)
    doctor = page.caller("pathologist", lab=lab, subject="dr-a")
    moved = {"method": "hue_value", "hue": 140, "left": 70, "right": 120}
    first = doctor.post(f"/data/results/{result.id}/change", {"why": "pale stain", "criteria": moved}).json()
    new = page.api.service.store.result(first["id"])
    assert new.profile.criteria.values() == {"hue": 140, "left": 70, "right": 120}
    analyzer = result.assay.analyzer
    counts = analyzer.counts(result.analysis.histograms, new.profile.criteria)
    assert [r.value for r in new.scores] == [r.value for r in analyzer.scores(result.assay.measures, counts, None)]
    cells = [[0, 3], [5, None]]
    second = doctor.post(f"/data/results/{new.id}/change", {"why": "two cells", "cells": cells}).json()
    newer = page.api.service.store.result(second["id"])
    assert newer.profile == new.profile
    assert newer.analysis.n == 1999
    third = {"why": "darker", "criteria": {**moved, "left": 60}, "cells": cells}
    newest = page.api.service.store.result(doctor.post(f"/data/results/{newer.id}/change", third).json()["id"])
    counted = analyzer.counts(newest.analysis.histograms, newest.profile.criteria)
    assert counted.sum() == 1999
    assert np.array_equal(
        counted, np.bincount(analyzer.group_of(cells_of(newest), newest.profile.criteria), minlength=8)
    )
    back = {"why": "as analysed", "criteria": result.assay.built_in.criteria.values() | {"method": "hue_value"}}
    assert doctor.post(f"/data/results/{newest.id}/change", back).status_code == 200


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "ARGUMENT_INVALID"),
        ({"criteria": {"method": "hue_value", "hue": 400, "left": 1, "right": 2}}, "PROFILE_INVALID"),
        ({"cells": [[10**6, None]]}, "REGION_INVALID"),
        ({"cells": [[1, 8]]}, "REGION_INVALID"),
        ({"cells": [[1, 2], [1, 3]]}, "REGION_INVALID"),
        ({"cells": [[-1, 2]]}, "ARGUMENT_INVALID"),
        ({"regions": [{"class": "exclude", "points": [[0, 0], [1, 1]]}]}, "REGION_INVALID"),
        ({"regions": [{"class": "other", "points": SQUARE}]}, "ARGUMENT_INVALID"),
        ({"regions": [{"class": "exclude", "points": [[-9, -9], [1e6, -9], [1e6, 1e6], [-9, 1e6]]}]}, "REGION_INVALID"),
    ],
)
def test_a_change_that_can_t_be_is_refused_and_leaves_nothing(
    page: Page, lab: str, asked: dict[str, object], reason: str
) -> None:
    result = page.api.done(lab, n=150)
    doctor = page.caller("pathologist", lab=lab)
    answer = doctor.post(f"/data/results/{result.id}/change", {"why": "because", **asked})
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert len(doctor.get(f"/data/results/{result.id}").json()["history"]) == 1


def test_of_two_who_sign_at_once_one_is_told(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=150)
    first, second = (page.caller("pathologist", lab=lab, subject=name) for name in ("dr-a", "dr-b"))
    at, etag = f"/data/results/{result.id}", first.get(f"/data/results/{result.id}/state").json()["etag"]
    assert first.post(f"{at}/sign", {"etag": etag}).json()["state"] == "FINAL"
    answer = second.post(f"{at}/sign", {"etag": etag})
    assert (answer.status_code, answer.json()["reason"]) == (409, "RESULT_STATE")
    assert second.get(f"{at}/state").json()["signed_by"] == "dr-a"
    assert second.post(f"{at}/sign", {}).status_code == 400


def test_without_its_cells_a_result_is_read_and_its_thresholds_move_still(page: Page, lab: str) -> None:
    result = page.api.done(lab, n=333)
    doctor = page.caller("pathologist", lab=lab)
    Path(result.cells_file).unlink()
    at = f"/data/results/{result.id}"
    assert doctor.get(at).status_code == 200
    assert doctor.get(f"{at}/cells").json()["reason"] == "NUCLEI_MISSING"
    moved = {"method": "hue_value", "hue": 140, "left": 70, "right": 120}
    made = doctor.post(f"{at}/change", {"why": "pale stain", "criteria": moved}).json()
    assert "INTERVAL_MISSING" in made["warnings"]


@pytest.mark.parametrize("role", ["lis", "operator", "auditor"])
def test_who_is_no_pathologist_sees_no_work_list(page: Page, lab: str, role: str) -> None:
    answer = page.caller(role, lab=lab).post("/data/work", {})
    assert (answer.status_code, answer.json()["reason"]) == (403, "PERMISSION_DENIED")

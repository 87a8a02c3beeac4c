"""ResultService on the real store: results never change, signing says something of one, and the LIS hears of it."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import grpc
import hl7
import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from chromogen.v1 import profile_pb2, result_pb2
from chromogen.v1 import profile_service_pb2 as profiles
from chromogen.v1 import result_service_pb2 as pb
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from inference.analyzers.nuclear import H_SCORE, IRS, NUCLEI, PERCENT_POSITIVE
from inference.cells.file import SCHEMA_KEY, read_cells
from inference.cells.values import joined
from inference.measures import ALL
from server.api.convert_result import score_in
from server.report.identity import derived_uid, write
from server.report.source import KEPT_HEADER
from tests.made import HEIGHT, MPP, WIDTH, made_header
from tests.server.api.harness import Api, Caller, hue_value, score, told

pytestmark = pytest.mark.postgres


def profile(api: Api, lab: str, name: str = "er", right: int = 90) -> profiles.ProfileRevision:
    made = profile_pb2.Profile(name=name, criteria=hue_value(right=right))
    api.caller("lab-admin", lab=lab).profiles.CreateProfile(
        profiles.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=made)
    )
    return profiles.ProfileRevision(name=name, revision=1)


def rescored(caller: Caller, result_id: str, revision: profiles.ProfileRevision) -> result_pb2.Result:
    request = pb.RescoreResultRequest(request_id=str(uuid.uuid4()), result_id=result_id, profile=revision)
    answer: result_pb2.Result = caller.results.RescoreResult(request).result
    return answer


def sent(api: Api, result_id: str) -> list[hl7.Message]:
    with api.owner.connect() as connection:
        query = sa.text("SELECT path FROM outbox WHERE result_id = :id AND kind = 'ORU' ORDER BY id")
        return [
            hl7.parse(Path(p).read_bytes().decode()) for p in connection.execute(query, {"id": result_id}).scalars()
        ]


def _of_an_older_schema(cells: Path) -> None:
    pq.write_table(pq.read_table(cells).replace_schema_metadata({SCHEMA_KEY: b"nuclear/0"}), cells)


def _cut_off(cells: Path) -> None:
    cells.write_bytes(cells.read_bytes()[:-100])


def test_s4_a_result_says_what_was_found_and_that_it_is_for_research_only(api: Api, lab: str) -> None:
    made = api.done(lab)
    result = api.caller("lis", lab=lab).results.GetResult(pb.GetResultRequest(result_id=made.id)).result
    assert tuple(score_in(message) for message in result.scores) == made.scores
    assert (result.marker, result.clinical_region) == (made.marker, made.clinical_region)
    assert (result.state, result.research_use_only, result.lab) == (result_pb2.RESULT_STATE_PRELIMINARY, True, lab)
    interval = score(result.scores, H_SCORE).interval
    assert interval is not None
    assert interval[0] < interval[1]


def test_s3_a_result_names_model_profile_software_and_slide_and_one_scored_anew_the_software_of_now(
    api: Api, lab: str
) -> None:
    made, caller = api.done(lab), api.caller("pathologist", lab=lab)
    result = caller.results.GetResult(pb.GetResultRequest(result_id=made.id)).result
    model = made.analysis.model
    assert (result.model.name, result.model.version, result.model.sha256) == (model.name, model.version, model.sha256)
    assert tuple((graph.name, graph.sha256) for graph in result.model.graphs) == model.graphs
    assert (result.profile.name, result.profile.revision) == (made.profile.name, made.profile.revision)
    assert (result.software_version, result.slide.icc_sha256) == ("9.8.7", made.analysis.slide.icc_sha256 or "")
    assert rescored(caller, made.id, profile(api, lab)).software_version == version("chromogen")


def test_without_nuclei_there_is_no_score_rather_than_zero(api: Api, lab: str) -> None:
    made = api.done(lab, n=0)
    result = api.caller("lis", lab=lab).results.GetResult(pb.GetResultRequest(result_id=made.id)).result
    assert all(score(result.scores, measure).absent for measure in (H_SCORE, PERCENT_POSITIVE, IRS))
    assert score(result.scores, NUCLEI).value == 0


def test_results_are_listed_by_order_and_state_and_in_the_history_of_their_slide(api: Api, lab: str) -> None:
    first, second = api.done(lab, seed=1), api.done(lab, seed=2)
    caller = api.caller("pathologist", lab=lab)
    caller.results.SignResult(pb.SignResultRequest(result_id=first.id))
    by_order = caller.results.ListResults(pb.ListResultsRequest(order_id=str(second.order_id))).results
    assert [r.id for r in by_order] == [second.id]
    final = caller.results.ListResults(pb.ListResultsRequest(state=result_pb2.RESULT_STATE_FINAL)).results
    assert [r.id for r in final] == [first.id]
    history = caller.results.ListSlideHistory(pb.ListSlideHistoryRequest(container_id="S26-TEST-1-A-2")).results
    assert {r.id for r in history} == {first.id, second.id}
    page = caller.results.ListResults(pb.ListResultsRequest(page_size=1))
    rest = caller.results.ListResults(pb.ListResultsRequest(page_size=1, page_token=page.next_page_token))
    assert {page.results[0].id, rest.results[0].id} == {first.id, second.id}
    assert not rest.next_page_token


def test_rescoring_makes_a_new_result_of_the_same_nuclei_and_a_repeat_finds_it(api: Api, lab: str) -> None:
    made, caller = api.done(lab), api.caller("pathologist", lab=lab)
    again = rescored(caller, made.id, profile(api, lab))
    assert (again.predecessor_id, again.order_id, again.profile.name) == (made.id, made.order_id, "er")
    now, before = score(again.scores, H_SCORE), made.score(H_SCORE)
    assert before is not None
    assert now.n == before.n
    assert now.value != pytest.approx(before.value)
    assert now.interval is not None
    assert rescored(caller, made.id, profiles.ProfileRevision(name="er", revision=1)).id == again.id
    assert caller.results.GetResult(pb.GetResultRequest(result_id=made.id)).result.profile.name == "built-in"
    assert not sent(api, again.id)


def test_g2_ten_who_rescore_at_once_make_one_result(api: Api, lab: str) -> None:
    made, caller, revision = api.done(lab), api.caller("pathologist", lab=lab), profile(api, lab)
    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(lambda _: rescored(caller, made.id, revision).id, range(10)))) == 1
    assert len(caller.results.ListResults(pb.ListResultsRequest(order_id=str(made.order_id))).results) == 2


def test_rescoring_needs_a_profile_of_the_laboratory(api: Api, lab: str) -> None:
    made, caller = api.done(lab, seed=77), api.caller("pathologist", lab=lab)
    theirs = profile(api, f"{lab}-2", "theirs")
    assert told(lambda: rescored(caller, made.id, theirs)).reason == "PROFILE_UNKNOWN"


@pytest.mark.parametrize("lost", [Path.unlink, _of_an_older_schema, _cut_off], ids=["gone", "older schema", "cut off"])
def test_rescoring_without_a_cells_file_that_can_be_read_gives_the_same_score_and_no_interval(
    api: Api, lab: str, lost: Callable[[Path], None]
) -> None:
    twins, revision = [api.done(lab, seed=77) for _ in range(2)], profile(api, lab)
    caller = api.caller("pathologist", lab=lab)
    whole = rescored(caller, twins[0].id, revision)
    lost(twins[1].cells_file)
    bare = rescored(caller, twins[1].id, revision)
    rows, bare_rows = ([score_in(message) for message in result.scores] for result in (whole, bare))
    assert [replace(row, interval=None) for row in rows] == bare_rows != rows
    assert list(bare.warnings) == [*whole.warnings, "INTERVAL_MISSING"]
    lists = told(lambda: caller.results.ListCells(pb.ListCellsRequest(result_id=bare.id)))
    assert lists.code == grpc.StatusCode.DATA_LOSS


def test_signing_makes_a_result_final_and_tells_the_lis_once(api: Api, lab: str) -> None:
    made, caller = api.done(lab), api.caller("pathologist", lab=lab, subject="dr-test")
    result = caller.results.SignResult(pb.SignResultRequest(result_id=made.id)).result
    assert (result.state, result.signed_by) == (result_pb2.RESULT_STATE_FINAL, "dr-test")
    assert [str(m.segment("OBR")[25]) for m in sent(api, made.id)] == ["F"]
    again = told(lambda: caller.results.SignResult(pb.SignResultRequest(result_id=made.id)))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESULT_STATE")
    rejected = told(lambda: caller.results.RejectResult(pb.RejectResultRequest(result_id=made.id, reason="too late")))
    assert rejected.reason == "RESULT_STATE"


def test_a_first_result_that_archives_were_told_not_to_use_amends_nothing(api: Api, lab: str) -> None:
    """Its objects are rejected there, or deleted: what is scored as it was has objects of its own."""
    caller, (first, signed) = api.caller("pathologist", lab=lab), two_of_one_order(api, lab)
    caller.results.SignResult(pb.SignResultRequest(result_id=signed))
    back = pb.AmendResultRequest(result_id=signed, replacement_id=first, reason="the first was right")
    answer = told(lambda: caller.results.AmendResult(back))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESULT_STATE")
    assert "as a new result" in answer.message
    assert not sent(api, first)
    again = rescored(caller, signed, profile(api, lab, "as-before")).id
    caller.results.AmendResult(pb.AmendResultRequest(result_id=signed, replacement_id=again, reason="as before"))
    assert len(sent(api, again)) == 1


def test_of_twenty_who_sign_at_once_one_does(api: Api, lab: str) -> None:
    made, start = api.done(lab), threading.Barrier(20)

    def sign(number: int) -> str:
        caller = api.caller("pathologist", lab=lab, subject=f"dr-{number}")
        start.wait()
        try:
            caller.results.SignResult(pb.SignResultRequest(result_id=made.id))
        except grpc.RpcError as error:
            return error.code().name  # type: ignore[no-any-return]
        return "OK"

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(sign, range(20)))
    assert answers == ["FAILED_PRECONDITION"] * 19 + ["OK"], answers
    assert len(sent(api, made.id)) == 1


def signed_reports(api: Api, lab: str) -> list[Dataset]:
    """What went to the archive, in order."""
    with api.owner.connect() as connection:
        query = sa.text("SELECT path, message_id FROM outbox WHERE lab = :lab AND kind = 'SR' ORDER BY id")
        rows = connection.execute(query, {"lab": lab}).all()
    reports: list[Dataset] = [dcmread(row.path) for row in rows]
    assert [r.SOPInstanceUID for r in reports] == [row.message_id for row in rows]
    return reports


def test_signing_and_amending_send_the_archive_a_verified_report_that_names_the_one_it_replaces(
    api: Api, lab: str, tmp_path: Path
) -> None:
    header = made_header()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    write(header, tmp_path / KEPT_HEADER)
    caller, api_here = api.caller("pathologist", lab=lab, subject="dr-test^=\\x"), replace(api, folder=tmp_path)
    made = api_here.done(lab)
    better = rescored(caller, made.id, profile(api, lab))
    caller.results.SignResult(pb.SignResultRequest(result_id=made.id))
    caller.results.AmendResult(
        pb.AmendResultRequest(result_id=made.id, replacement_id=better.id, reason="threshold moved")
    )
    final, corrected = signed_reports(api, lab)
    first = derived_uid(made.id, "SR")
    for report, replaced in ((final, first), (corrected, final.SOPInstanceUID)):
        assert (report.VerificationFlag, report.CompletionFlag, report.PreliminaryFlag) == (
            "VERIFIED",
            "COMPLETE",
            "FINAL",
        )
        (observer,) = report.VerifyingObserverSequence
        assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("dr-test   x^", lab)
        assert observer.VerificationDateTime[:14] == report.ContentDate + report.ContentTime[:6]
        (of_study,) = report.PredecessorDocumentsSequence
        assert of_study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == replaced
    assert len({first, final.SOPInstanceUID, corrected.SOPInstanceUID}) == 3


def test_without_the_slide_s_header_a_result_is_signed_and_the_lis_told_all_the_same(api: Api, lab: str) -> None:
    made = api.done(lab)
    api.caller("pathologist", lab=lab).results.SignResult(pb.SignResultRequest(result_id=made.id))
    assert signed_reports(api, lab) == []
    assert len(sent(api, made.id)) == 1


def two_of_one_order(api: Api, lab: str) -> tuple[str, str]:
    """A result and one scored from it."""
    made = api.done(lab)
    return made.id, rescored(api.caller("pathologist", lab=lab), made.id, profile(api, lab)).id


def test_of_one_order_s_results_a_second_is_not_signed_but_amends_the_first(api: Api, lab: str) -> None:
    caller, (signed, other) = api.caller("pathologist", lab=lab), two_of_one_order(api, lab)
    caller.results.SignResult(pb.SignResultRequest(result_id=signed))
    answer = told(lambda: caller.results.SignResult(pb.SignResultRequest(result_id=other)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESULT_STATE")
    assert "amend" in answer.message
    assert not sent(api, other)
    caller.results.AmendResult(pb.AmendResultRequest(result_id=signed, replacement_id=other, reason="threshold moved"))
    assert told(lambda: caller.results.SignResult(pb.SignResultRequest(result_id=signed))).reason == "RESULT_STATE"


def test_of_twenty_who_sign_two_results_of_one_order_at_once_one_does(api: Api, lab: str) -> None:
    both, start = two_of_one_order(api, lab), threading.Barrier(20)

    def sign(number: int) -> str:
        caller = api.caller("pathologist", lab=lab, subject=f"dr-{number}")
        start.wait()
        try:
            caller.results.SignResult(pb.SignResultRequest(result_id=both[number % 2]))
        except grpc.RpcError as error:
            return error.code().name  # type: ignore[no-any-return]
        return "OK"

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(sign, range(20)))
    assert answers == ["FAILED_PRECONDITION"] * 19 + ["OK"], answers
    assert sum(len(sent(api, i)) for i in both) == 1


def test_a_rejected_result_keeps_its_reason_and_is_withdrawn_from_the_lis(api: Api, lab: str) -> None:
    made, caller = api.done(lab), api.caller("pathologist", lab=lab)
    result = caller.results.RejectResult(pb.RejectResultRequest(result_id=made.id, reason="folded tissue")).result
    assert (result.state, result.reason) == (result_pb2.RESULT_STATE_REJECTED, "folded tissue")
    (message,) = sent(api, made.id)
    assert str(message.segment("OBR")[25]) == "X"
    assert "folded tissue" in str(message)
    again = told(lambda: caller.results.RejectResult(pb.RejectResultRequest(result_id=made.id, reason="not again")))
    assert again.reason == "RESULT_STATE"
    assert len(sent(api, made.id)) == 1
    short = told(lambda: caller.results.RejectResult(pb.RejectResultRequest(result_id=made.id, reason="x")))
    assert short.reason == "ARGUMENT_INVALID"


def test_of_a_rejected_result_that_the_lis_does_not_know_it_hears_nothing(api: Api, lab: str) -> None:
    """Scored anew and never signed; or another of the order is signed, which a withdrawal would cancel."""
    made, caller = api.done(lab), api.caller("pathologist", lab=lab)
    unknown, better = (rescored(caller, made.id, profile(api, lab, name)) for name in ("er", "stricter"))
    caller.results.RejectResult(pb.RejectResultRequest(result_id=unknown.id, reason="wrong threshold"))
    assert not sent(api, unknown.id)
    caller.results.SignResult(pb.SignResultRequest(result_id=better.id))
    caller.results.RejectResult(pb.RejectResultRequest(result_id=made.id, reason="better one signed"))
    assert not sent(api, made.id)


def test_a_signed_result_is_amended_by_another_of_its_order(api: Api, lab: str) -> None:
    made, caller = api.done(lab), api.caller("pathologist", lab=lab)
    better, other = rescored(caller, made.id, profile(api, lab)), api.done(lab, seed=9)
    amend = pb.AmendResultRequest(result_id=made.id, replacement_id=better.id, reason="threshold moved")
    assert told(lambda: caller.results.AmendResult(amend)).reason == "RESULT_STATE"
    caller.results.SignResult(pb.SignResultRequest(result_id=made.id))
    foreign = pb.AmendResultRequest(result_id=made.id, replacement_id=other.id, reason="threshold moved")
    assert told(lambda: caller.results.AmendResult(foreign)).reason == "RESULT_STATE"
    assert caller.results.AmendResult(amend).result.state == result_pb2.RESULT_STATE_CORRECTED
    former = caller.results.GetResult(pb.GetResultRequest(result_id=made.id)).result
    assert (former.state, former.reason) == (result_pb2.RESULT_STATE_SUPERSEDED, "threshold moved")
    assert [str(m.segment("OBR")[25]) for m in sent(api, better.id)] == ["C"]


def test_an_etag_of_before_another_s_signature_is_refused(api: Api, lab: str) -> None:
    made, caller = api.done(lab), api.caller("pathologist", lab=lab)
    seen = caller.results.GetResult(pb.GetResultRequest(result_id=made.id)).result.etag
    wrong = told(lambda: caller.results.SignResult(pb.SignResultRequest(result_id=made.id, etag="0" * 16)))
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert caller.results.SignResult(pb.SignResultRequest(result_id=made.id, etag=seen)).result.etag != seen


def test_points_of_a_window_are_those_of_the_file_in_their_groups(api: Api, lab: str) -> None:
    made, caller = api.done(lab, seed=4, n=12_000), api.caller("pathologist", lab=lab)
    analyzer = made.assay.analyzer
    region = analyzer.groups[-1].region
    window = result_pb2.Window(x_px=1000, y_px=2000, width_px=9000, height_px=7000)
    head, *parts = caller.results.ListCells(pb.ListCellsRequest(result_id=made.id, window=window, region=region))
    assert ([g.name for g in head.groups], [g.region for g in head.groups]) == (
        [g.name for g in analyzer.groups],
        [g.region for g in analyzer.groups],
    )
    assert list(head.regions) == [r.name for r in analyzer.regions]
    cells = joined(list(read_cells(made.cells_file, analyzer.schema)))
    group = analyzer.group_of(cells, made.profile.criteria)
    inside = (cells.x >= 999.5) & (cells.x < 9999.5) & (cells.y >= 1999.5) & (cells.y < 8999.5)
    inside &= np.array([g.region == region for g in analyzer.groups])[group]
    np.testing.assert_allclose([x for part in parts for x in part.cells.x_px], cells.x[inside])
    assert [g for part in parts for g in part.cells.group] == group[inside].tolist()
    assert not any(part.groups or part.regions for part in parts)


def test_all_cells_come_in_parts_of_at_most_five_thousand(api: Api, lab: str) -> None:
    made, caller = api.done(lab, seed=4, n=12_000), api.caller("pathologist", lab=lab)
    sizes = [len(p.cells.x_px) for p in caller.results.ListCells(pb.ListCellsRequest(result_id=made.id, region=ALL))]
    assert sum(sizes) == 12_000
    assert max(sizes) <= 5000


def test_squares_count_every_cell_once(api: Api, lab: str) -> None:
    made, caller = api.done(lab, seed=4, n=12_000), api.caller("pathologist", lab=lab)
    request = pb.ListCellsRequest(result_id=made.id, detail=pb.CELLS_DETAIL_SQUARES, square_um=250)
    squares = [s for part in caller.results.ListCells(request) for s in part.squares]
    total = np.array([list(s.counts) for s in squares]).sum(axis=0)
    analyzer = made.assay.analyzer
    assert total.tolist() == analyzer.counts(made.analysis.histograms, made.profile.criteria).tolist()
    assert len(squares) == round(WIDTH * MPP / 250) * round(HEIGHT * MPP / 250)
    assert [(s.y_um, s.x_um) for s in squares] == sorted((s.y_um, s.x_um) for s in squares)


@pytest.mark.parametrize(
    "wrong",
    [
        pb.ListCellsRequest(square_um=1),
        pb.ListCellsRequest(square_um=float("nan")),
        pb.ListCellsRequest(window=result_pb2.Window(width_px=0, height_px=5)),
        pb.ListCellsRequest(window=result_pb2.Window(x_px=-1, width_px=5, height_px=5)),
        pb.ListCellsRequest(detail=99),  # type: ignore[arg-type]
        pb.ListCellsRequest(region="a\nb"),
    ],
)
def test_a_window_or_square_that_makes_no_sense_is_refused(api: Api, lab: str, wrong: pb.ListCellsRequest) -> None:
    wrong.result_id = str(uuid.uuid4())
    assert told(lambda: api.caller("pathologist", lab=lab).results.ListCells(wrong)).reason == "ARGUMENT_INVALID"


def test_a_region_that_the_assay_does_not_have_is_refused(api: Api, lab: str) -> None:
    wrong = pb.ListCellsRequest(result_id=api.done(lab).id, region="nowhere")
    assert told(lambda: api.caller("pathologist", lab=lab).results.ListCells(wrong)).reason == "ARGUMENT_INVALID"

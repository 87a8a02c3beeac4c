"""The page's work list and results: what a pathologist reads, and what they say of it."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from inference.cells.histograms import Histograms
from inference.fields import heterogeneity
from server.domain.access import Caller
from server.domain.estimate import EstimateFilter
from server.domain.order import Priority
from server.domain.ports import OrderView
from server.domain.result import Result, ResultId
from server.domain.states import ProfileState
from server.domain.views import ProfileFilter, ResultFilter, ResultView, SummaryView
from server.domain.work import WorkFilter, WorkState
from server.report.result_json import heterogeneity_json
from server.services.changes import ChangeService, Wanted
from server.services.estimates import EstimateService
from server.services.orders import OrderService
from server.services.page_cells import PageCells
from server.services.profiles import ProfileService
from server.services.results import ResultService, known_fields
from server.services.slide_tiles import pyramid_of
from server.services.work import WorkService
from server.web import asked
from server.web.door import Json, Operation
from server.web.page_json import (
    bare_json,
    case_json,
    comment_json,
    compared_json,
    estimate_json,
    own_json,
    short_json,
    whole_json,
    work_json,
)

USUAL_PAGE, LARGEST_PAGE = 50, 200
MOST_RESULTS, MOST_PROFILES = 100, 50
LONGEST_REASON, LONGEST_COMMENT = 500, 4000
RESULT = "/data/results/{result}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOperations:
    """By the services alone."""

    work: WorkService
    orders: OrderService
    results: ResultService
    changes: ChangeService
    cells: PageCells
    estimates: EstimateService
    profiles: ProfileService

    def all(self) -> Iterator[Operation]:
        yield Operation(path="/data/work", method="POST", name="ListWork", work=self.list)
        yield Operation(path=RESULT, method="GET", name="GetResult", work=self.get)
        yield Operation(path=f"{RESULT}/state", method="GET", name="GetResult", work=self.state)
        yield Operation(path=f"{RESULT}/histograms", method="GET", name="GetResult", work=self.histograms)
        yield Operation(path=f"{RESULT}/fields", method="GET", name="GetResult", work=self.fields)
        yield Operation(path=f"{RESULT}/preview", method="POST", name="ChangeResult", work=self.preview)
        yield Operation(path=f"{RESULT}/change", method="POST", name="ChangeResult", work=self.change)
        yield Operation(path=f"{RESULT}/sign", method="POST", name="SignResult", work=self.sign)
        yield Operation(path=f"{RESULT}/reject", method="POST", name="RejectResult", work=self.reject)
        yield Operation(path=f"{RESULT}/amend", method="POST", name="AmendResult", work=self.amend)
        yield Operation(path=f"{RESULT}/estimate", method="POST", name="EstimateResult", work=self.estimate)
        yield Operation(path="/data/estimates", method="GET", name="CompareEstimates", work=self.own)
        yield Operation(path=f"{RESULT}/case", method="GET", name="GetCaseMarkers", work=self.case)
        yield Operation(path=f"{RESULT}/profiles", method="GET", name="CompareProfiles", work=self.compare)
        yield Operation(path=f"{RESULT}/comment", method="POST", name="CommentResult", work=self.comment)

    def list(self, request: Request, caller: Caller) -> Json:
        body = asked.body(request)
        wanted = WorkFilter(
            state=asked.choice(body, "state", WorkState),
            marker=asked.text(body, "marker").upper(),
            priority=asked.choice(body, "priority", Priority),
            text=asked.text(body, "text"),
            of=caller.subject if asked.flag(body, "mine") else "",
        )
        limit = asked.number(body, "limit", USUAL_PAGE, LARGEST_PAGE)
        page = self.work.list(caller, wanted, limit, asked.after(body))
        hidden = self._told(caller, [item.result for item in page.items if item.result is not None])
        return {"items": [work_json(item, hidden) for item in page.items], "page_token": asked.page_token(page.next)}

    def get(self, request: Request, caller: Caller) -> Json:
        result_id = asked.result_id(request)
        view = self.results.get(caller, result_id)
        order_id, pyramid = view.result.order_id, pyramid_of(view.result.analysis.slide)
        order = self._order(caller, view.result)
        if self.estimates.hidden(caller, [view]):
            return bare_json(caller, view, order, pyramid)
        self.work.note_read(caller, result_id, "result")
        wanted = ResultFilter(order_id=order_id)
        history = self.results.list(caller, wanted, MOST_RESULTS, ()).items if order_id else ()
        return whole_json(
            caller,
            view,
            order,
            history,
            self.work.comments(caller, result_id),
            self.estimates.of(caller, result_id),
            pyramid,
        )

    def estimate(self, request: Request, caller: Caller) -> Json:
        kept = self.estimates.keep(caller, asked.result_id(request), asked.values(asked.body(request)))
        return {"estimates": [estimate_json(estimate) for estimate in kept]}

    def own(self, request: Request, caller: Caller) -> Json:
        """How far the caller's own estimates lie from the scores: those made before they were shown."""
        return own_json(self.estimates.compare(caller, EstimateFilter(reader=caller.subject)))

    def case(self, request: Request, caller: Caller) -> Json:
        """The stains of the same case; none for a result without an order."""
        order_id = self._shown(request, caller).order_id
        if order_id is None:
            return {"markers": [], "ratios": []}
        found = self.results.case(caller, order_id)
        return case_json(found, self._told(caller, found.views))

    def _told(self, caller: Caller, views: Sequence[SummaryView]) -> frozenset[ResultId]:
        """Those whose score is hidden from the caller; that the others' were told is noted."""
        hidden = self.estimates.hidden(caller, views)
        self.estimates.note_shown(caller, [view for view in views if view.result.id not in hidden])
        return hidden

    def _shown(self, request: Request, caller: Caller) -> Result:
        """Raises Refused ESTIMATE_MISSING."""
        result_id = asked.result_id(request)
        self.estimates.check_shown(caller, result_id)
        return self.results.get(caller, result_id).result

    def _order(self, caller: Caller, result: Result) -> OrderView | None:
        """That its patient is shown to those who may see patients, the audit is told."""
        shown = caller.sees_patients
        return None if result.order_id is None else self.orders.get(caller, result.order_id, patient=shown)

    def state(self, request: Request, caller: Caller) -> Json:
        """What was said of it last: for a page that has it open."""
        return said(self.results.get(caller, asked.result_id(request)))

    def histograms(self, request: Request, caller: Caller) -> Response:
        return tables(self._shown(request, caller).analysis.histograms)

    def fields(self, request: Request, caller: Caller) -> Json:
        """How the score varies over the slide; null where the cells are gone."""
        result = self._shown(request, caller)
        found, _ = known_fields(result, result.profile)
        if found is None:
            return {"heterogeneity": None}
        return {"heterogeneity": heterogeneity_json(heterogeneity(found, result.assay), result.assay)}

    def preview(self, request: Request, caller: Caller) -> Response:
        """The histograms that regions and cells would leave; nothing is kept."""
        body = asked.body(request)
        regions, cells, result = asked.regions(body), asked.cells(body), self._shown(request, caller)
        return tables(self.cells.histograms(caller, result.id, regions, cells))

    def change(self, request: Request, caller: Caller) -> Json:
        body = asked.body(request)
        wanted = Wanted(
            why=asked.text(body, "why", least=3, most=LONGEST_REASON),
            criteria=asked.criteria(body),
            regions=asked.regions(body),
            cells=asked.cells(body),
        )
        result = self._shown(request, caller)
        return short_json(self.changes.change(caller, result.id, wanted, asked.text(body, "etag")))

    def sign(self, request: Request, caller: Caller) -> Json:
        body = asked.body(request)
        etag, result = asked.text(body, "etag", least=1), self._shown(request, caller)
        return said(self.results.sign(caller, result.id, etag))

    def reject(self, request: Request, caller: Caller) -> Json:
        body = asked.body(request)
        why = asked.text(body, "why", least=3, most=LONGEST_REASON)
        return said(self.results.reject(caller, asked.result_id(request), why, asked.text(body, "etag", least=1)))

    def amend(self, request: Request, caller: Caller) -> Json:
        """The result of the address is replaced by another of the same order."""
        body = asked.body(request)
        why, etag = asked.text(body, "why", least=3, most=LONGEST_REASON), asked.text(body, "etag", least=1)
        replacement = ResultId(asked.identifier(body, "replacement"))
        self.estimates.check_shown(caller, replacement)
        return said(self.results.amend(caller, asked.result_id(request), replacement, why, etag))

    def compare(self, request: Request, caller: Caller) -> Json:
        """What the laboratory's other profiles of the marker make of the result, the newest MOST_PROFILES."""
        result = self._shown(request, caller)
        if result.control.withheld:
            return {"profiles": []}
        offered = self.profiles.list(caller, ProfileFilter(marker=result.marker), MOST_PROFILES, ()).items
        own = (result.profile.name, result.profile.revision)
        others = [view for view in offered if (view.profile.name, view.profile.revision) != own]
        return {"profiles": [compared_json(result, view) for view in others if view.state is not ProfileState.RETIRED]}

    def comment(self, request: Request, caller: Caller) -> Json:
        text = asked.text(asked.body(request), "text", least=1, most=LONGEST_COMMENT)
        return comment_json(self.work.comment(caller, asked.result_id(request), text))


def said(view: ResultView) -> Json:
    signed_at = None if view.signed_at is None else view.signed_at.isoformat()
    return {"state": str(view.state), "etag": view.etag, "signed_by": view.signed_by, "signed_at": signed_at}


def tables(histograms: Histograms) -> Response:
    """A line of JSON, padded to a multiple of 4 bytes, and the tables one after the other as uint32."""
    named = sorted(histograms.tables.items())
    said = json.dumps([{"name": name, "shape": table.shape} for name, table in named]).encode()
    head = said + b" " * (-(len(said) + 1) % 4) + b"\n"
    data = head + b"".join(np.ascontiguousarray(table, "<u4").tobytes() for _, table in named)
    headers = {"content-encoding": "gzip"}
    return Response(gzip.compress(data, 1), media_type="application/octet-stream", headers=headers)

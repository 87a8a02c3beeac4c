"""A result changed by a person: thresholds moved, regions drawn, single cells corrected. A new result each time, which
names its predecessor, who made it, and why.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from inference.analyzers.outlined import as_in_file
from inference.change import changed
from inference.criteria import Criteria
from inference.errors import Reason
from inference.quality import Warning
from server.control_gate import control_under
from server.domain.access import Caller
from server.domain.artifact import NATURES, Artifact, ArtifactKind, Nature
from server.domain.change import CellChange, Change, DrawnRegion, check_limits
from server.domain.clock import Clock
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Specimen
from server.domain.profile import Profile, check_kind
from server.domain.repositories import ResultRepository
from server.domain.result import Result, ResultId
from server.domain.states import ResultState
from server.domain.views import ResultView, check_etag
from server.report.identity import software_version
from server.scoring import scores_of
from server.services.areas import areas_of
from server.services.edits import edits_of
from server.services.results import (
    NO_CHANGE,
    cells_file_of,
    check_scored,
    identity_of,
    known_fields,
    now_in_seconds,
    warnings_of,
)

DIGEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a result shall become: `criteria` None: as they are; regions and cells in place of those before."""

    why: str
    criteria: Criteria | None = None
    regions: tuple[DrawnRegion, ...] = ()
    cells: tuple[CellChange, ...] = ()


class ChangeService:
    """`folder` is where the cells of changed results are kept."""

    def __init__(self, results: ResultRepository, folder: Path, *, now: Clock = now_in_seconds) -> None:
        self._results, self._folder, self._now = results, folder, now

    def change(self, actor: Caller, result_id: ResultId, wanted: Wanted, etag: str) -> ResultView:
        """The new result; a repeat finds the first.

        Raises Refused RESULT_UNKNOWN, RESULT_STATE for one that is rejected or superseded, ETAG_MISMATCH,
        REGION_INVALID, PROFILE_INVALID; Failed NUCLEI_MISSING.
        """
        check_limits(wanted.regions, wanted.cells)
        view = self._results.get(actor, result_id)
        check_etag(etag, view.etag)
        if view.state in (ResultState.REJECTED, ResultState.SUPERSEDED):
            raise Refused(
                ServiceReason.RESULT_STATE, f"a result that is {view.state} can't be changed: open the newest"
            )
        check_scored(view.result)
        change = Change(by=actor.subject, why=wanted.why, regions=wanted.regions, cells=wanted.cells)
        made = self._made(actor, view, change, wanted.criteria)
        try:
            return self._results.get(actor, made.id)
        except Refused as error:
            if error.reason != ServiceReason.RESULT_UNKNOWN:
                raise
        return self._results.keep(actor, self._scored(actor, view, made), view.lab)

    def original(self, actor: Caller, result_id: ResultId) -> ResultView:
        """The result from which it was changed, whose cells rows of changes are of."""
        view = self._results.get(actor, result_id)
        while view.result.change is not None and view.result.predecessor is not None:
            view = self._results.get(actor, view.result.predecessor)
        return view

    def criteria(self, actor: Caller, result_id: ResultId) -> Criteria:
        """By which a result is scored."""
        return self._results.get(actor, result_id).result.profile.criteria

    def _made(self, actor: Caller, view: ResultView, change: Change, criteria: Criteria | None) -> Result:
        """Not scored yet. Raises Refused ARGUMENT_INVALID where nothing changes."""
        old = view.result
        profile = old.profile if criteria is None else moved(old.profile, criteria, change)
        check_kind(profile, old.assay)
        before = old.change or NO_CHANGE
        if profile == old.profile and (change.regions, change.cells) == (before.regions, before.cells):
            raise Refused(ServiceReason.ARGUMENT_INVALID, "nothing was changed: there is no new result to keep")
        return replace(
            old,
            id=identity_of(old, profile, change),
            created_at=self._now(),
            profile=profile,
            predecessor=old.id,
            choice=None if profile != old.profile else old.choice,
            change=change,
            software=software_version(),
        )

    def _scored(self, actor: Caller, view: ResultView, made: Result) -> Result:
        assay, order = made.assay, self._results.order_of(actor, view.result.id)
        specimen = Specimen() if order is None else order.request.specimen
        root = self.original(actor, view.result.id).result
        counted = self._counted(root, made)
        fields, drawn = known_fields(counted, made.profile)
        histograms, controls = counted.analysis.histograms, control_under(view.result, made.profile.criteria)
        status = controls.control.status
        rows = scores_of(assay, histograms, made.profile, fields, specimen, status, drawn, areas_of(made))
        return replace(
            counted,
            scores=() if controls.control.withheld else rows,
            warnings=(
                *warnings_of(
                    undrawn(view.result, root),
                    histograms,
                    made.profile,
                    fields,
                    drawn,
                    validated=not made.research_use_only,
                ),
                *controls.warnings,
            ),
            control=controls.control,
            cores=controls.cores,
        )

    def _counted(self, root: Result, made: Result) -> Result:
        """With its cells and histograms: the root's own where criteria alone were moved."""
        change, analysis = made.change or NO_CHANGE, made.analysis
        kept = tuple(a for a in root.artifacts if NATURES[a.kind] is Nature.KEPT)
        if not change.of_cells:
            return replace(made, artifacts=kept, analysis=replace(analysis, histograms=root.analysis.histograms))
        folder = self._folder / (made.order_id or "no-order") / "changed" / made.id
        target = folder / f"{made.assay.analyzer.file_stem}.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        edits, mpp = edits_of(change), analysis.slide.mpp
        source = cells_file_of(root)
        histograms = changed(source, target, as_in_file(made.assay.analyzer, source), edits, mpp=mpp)
        if histograms.n == 0:
            raise Refused(Reason.REGION_INVALID, "no cell is left to score: exclude less")
        header = [a for a in kept if a.kind is not ArtifactKind.CELLS]
        files = (Artifact(kind=ArtifactKind.CELLS, path=target), *header)
        return replace(made, artifacts=files, analysis=replace(analysis, histograms=histograms))


def undrawn(old: Result, root: Result) -> Result:
    """With what the first result said of the whole tissue: drawing the tumour took it away, it may be taken back."""
    whole = {Warning.WHOLE_TISSUE.value, *old.assay.analyzer.whole_remarks} - set(old.warnings)
    return replace(old, warnings=(*old.warnings, *(w for w in root.warnings if w in whole)))


def moved(profile: Profile, criteria: Criteria, change: Change) -> Profile:
    """A profile of the criteria as a person moved them: named after the laboratory's and the criteria."""
    if criteria == profile.criteria:
        return profile
    name = profile.name.partition("~")[0]
    digest = hashlib.sha256(repr((criteria.method, criteria.values())).encode()).hexdigest()[:DIGEST]
    return replace(profile, name=f"{name}~{digest}", criteria=criteria, source=f"moved by {change.by}: {change.why}")

"""Calibrations as jobs: asked for, run by a worker over stored nuclei, looked at, made the next draft of a profile."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from inference.analyzers.nuclear import COMPARTMENTS
from inference.assay import Assay, assay_of, criteria_of, criteria_values
from inference.calibrate import by_one, calibrate
from inference.calibration.cleaning import Cleaned, cleaned
from inference.calibration.concerns import Concern
from inference.calibration.doubts import differing, doubtful, misplaced
from inference.calibration.fit import Settings
from inference.calibration.observers import Observed, agreement_of, observers_of
from inference.calibration.plotted import plotted
from inference.calibration.sample import Sample, graded_sample
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined, no_cells
from inference.errors import Reason
from inference.geometry import Region, Size
from inference.grade import HueValueThresholds
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.job import Job, JobId, JobKind, Json
from server.domain.profile import ANY, Profile, ProfileKey
from server.domain.repositories import JobRepository, ProfileRepository, ResultRepository
from server.domain.states import JobState
from server.domain.views import Page, PageKey, ProfileView, ResultView, Revision
from server.report.calibration_json import calibration_json, observers_json, source_text
from server.report.calibration_pictures import plotted_json
from server.services.asked_calibration import AskedCalibration, AskedRegion, Picture, asked_in, asked_json
from server.services.results import cells_file_of
from server.services.watching import watched

MOST_REGIONS = 200
Progress = Callable[[float], None]
PLOTTED_STEP = 4
"""Grey levels between pairs of thresholds whose error is kept."""
READING_SHARE = 0.2
"""Of the progress, what reading the regions takes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Place:
    """Whose nuclei a region has: the largest level's size and µm per px, and the scanner where that is known."""

    size: Size
    mpp: float
    scanner: str = ""
    view: ResultView | None = None


@dataclass(slots=True, kw_only=True)
class Gathered:
    """The regions as samples, in their order, and what was doubtful."""

    samples: list[Sample] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    doubts: dict[Concern, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What the draft made of a calibration says beside its criteria; the key counts where the profile is new."""

    clone: str = ANY
    stainer: str = ANY
    scanner: str = ANY
    pathologist: str = ANY
    valid_from: date | None = None
    valid_until: date | None = None


class CalibrationService:
    """Raises what the repositories do; Refused where what is asked can't be fitted."""

    def __init__(
        self,
        jobs: JobRepository,
        results: ResultRepository,
        profiles: ProfileRepository,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._jobs, self._results, self._profiles, self._sleep = jobs, results, profiles, sleep

    def ask(self, actor: Caller, asked: AskedCalibration, request_id: str) -> Job:
        """What can be checked without the nuclei is, before the job is kept.

        Raises Refused CALIBRATION_IMPOSSIBLE, ANNOTATION_INVALID, REGION_INVALID, PROFILE_INVALID, RESULT_UNKNOWN.
        """
        if not asked.regions:
            raise _impossible("no region is given: name results, with the nuclei or scores annotated on each")
        self.check(actor, asked)
        return self._jobs.create(actor, JobKind.CALIBRATION, asked_json(asked), request_id)

    def check(self, actor: Caller, asked: AskedCalibration) -> None:
        """Of what is known so far: pictures may still come. Raises as `ask` does."""
        nuclear(asked.marker)
        if len(asked.regions) > MOST_REGIONS:
            raise _impossible(f"{len(asked.regions)} regions are more than {MOST_REGIONS}: calibrate by fewer")
        self._check_profile(actor, asked)
        seen: set[object] = set()
        for number, region in enumerate(asked.regions, 1):
            place = self._place(actor, region, asked.marker, number)
            _check_region(region, place, number)
            _check_repeat(region, seen, number)
        if len({region.annotator for region in asked.regions}) > 2:
            raise _invalid("more than two annotators are named: compare two at a time")

    def get(self, actor: Caller, job_id: JobId) -> Job:
        return self._jobs.get(actor, job_id)

    def list(self, actor: Caller, limit: int, after: PageKey) -> Page[Job]:
        return self._jobs.list(actor, JobKind.CALIBRATION, limit, after)

    def watch(self, actor: Caller, job_id: JobId, go_on: Callable[[], None]) -> Iterator[Job]:
        """As `watched` does."""
        return watched(lambda: self._jobs.get(actor, job_id), go_on, self._sleep)

    def adopt(self, actor: Caller, job_id: JobId, adoption: Adoption, request_id: str) -> ProfileView:
        """The next DRAFT of the profile that the calibration names, or the first.

        Raises Refused JOB_STATE where it isn't DONE.
        """
        job = self._jobs.get(actor, job_id)
        if job.state is not JobState.DONE or job.outcome is None:
            raise Refused(ServiceReason.JOB_STATE, f"the calibration is {job.state}: only one that is DONE is adopted")
        criteria = {name: value for name, value in job.outcome["thresholds"].items() if name != "method"}
        revision = Revision(
            criteria=criteria_of(job.outcome["thresholds"]["method"], criteria),
            source=f"{job.outcome['source']}; {job.id}",
            valid_from=adoption.valid_from,
            valid_until=adoption.valid_until,
        )
        name, marker = job.given["profile"], job.given["marker"]
        first = _first(actor, name, marker, revision, adoption)
        if self._existing(actor, name) is None:
            return self._profiles.create(actor, first, request_id)
        try:
            return self._profiles.revise(actor, name, revision, request_id, "")
        except Refused as error:
            if error.reason != ServiceReason.REQUEST_ID_REUSED:
                raise
            return self._profiles.create(actor, first, request_id)  # answers a repeat of what made the first revision

    def run(self, job: Job, progress: Progress) -> Json:
        """A worker's part: read, fit, validate."""
        actor = Caller(subject=job.subject, lab=job.lab, roles=frozenset())
        asked = asked_in(job.given)
        gathered = Gathered()
        for number, region in enumerate(asked.regions, 1):
            self._gather(actor, asked, region, number, gathered)
            progress(READING_SHARE * number / len(asked.regions))
        found = calibrate(gathered.samples, asked.settings)
        seen = list(_observed(asked, gathered))
        advice = [
            *doubtful(gathered.doubts),
            *differing((p.scanner for p in gathered.places), _mpps(gathered)),
            *misplaced(seen, gathered.samples),
        ]
        outcome = calibration_json(found, [*advice, *found.advice], COMPARTMENTS) | {"source": source_text(found)}
        outcome["plotted"] = plotted_json(plotted(gathered.samples, found.chosen.fit.criteria, PLOTTED_STEP))
        if observers_of(seen):
            outcome["annotators"] = observers_json(agreement_of(seen), _of_each(seen, gathered, asked.settings))
        return outcome

    def _check_profile(self, actor: Caller, asked: AskedCalibration) -> None:
        """Raises Refused PROFILE_INVALID where the profile that there is is for another marker."""
        view = self._existing(actor, asked.profile)
        if view is not None and view.profile.key.lab == ANY:
            message = f"the name {asked.profile} is taken by a profile that ships: name another"
            raise Refused(ServiceReason.PROFILE_CONFLICT, message)
        if view is not None and view.profile.key.marker not in (ANY, asked.marker):
            message = f"profile {asked.profile} is for {view.profile.key.marker}, not for {asked.marker}: name another"
            raise Refused(Reason.PROFILE_INVALID, message)

    def _existing(self, actor: Caller, name: str) -> ProfileView | None:
        try:
            return self._profiles.get(actor, name, None)
        except Refused as error:
            if error.reason != ServiceReason.PROFILE_UNKNOWN:
                raise
            return None

    def _place(self, actor: Caller, region: AskedRegion, marker: str, number: int) -> Place:
        if isinstance(region.source, Picture):
            return Place(size=region.source.size, mpp=region.source.mpp)
        view = self._results.get(actor, region.source)
        if view.result.marker != marker:
            message = f"region {number} is of a slide stained for {view.result.marker}, not for {marker}"
            raise _impossible(f"{message}: name results of one marker")
        facts, choice = view.result.analysis.slide, view.result.choice
        scanner = "" if choice is None else choice.preparation.scanner
        return Place(size=facts.size, mpp=facts.mpp, scanner=scanner, view=view)

    def _gather(
        self, actor: Caller, asked: AskedCalibration, region: AskedRegion, number: int, gathered: Gathered
    ) -> None:
        place, name = self._place(actor, region, asked.marker, number), _name(region, number)
        cells = _cells(region, place)
        found = _annotated(region, place, number)
        if found is not None and found.annotated is not None:
            _doubt(gathered, Concern.DUPLICATE_ANNOTATIONS, name, found.duplicates)
            _doubt(gathered, Concern.CONTRADICTORY_ANNOTATIONS, name, found.contradictory)
            sample = graded_sample(region.slide, name, cells, found.annotated, mpp=place.mpp)
        else:
            sample = Sample(slide=region.slide, name=name, cells=cells, targets=region.targets)
        gathered.samples.append(sample)
        gathered.places.append(place)


def nuclear(marker: str) -> Assay:
    """Raises Refused ASSAY_UNSUPPORTED for a stain that isn't graded by nucleus."""
    assay = assay_of(marker, "marker")
    if HueValueThresholds not in assay.analyzer.criteria:
        raise Refused(Reason.ASSAY_UNSUPPORTED, f"{assay.marker} isn't graded by nucleus: calibrate fits no other yet")
    return assay


def _name(region: AskedRegion, number: int) -> str:
    return f"region {number} ({region.slide})"


def _check_region(region: AskedRegion, place: Place, number: int) -> None:
    """Raises Refused REGION_INVALID, ANNOTATION_INVALID."""
    w = region.window
    if w is not None and not (
        w.width > 0 and w.height > 0 and w.x >= 0 and w.y >= 0
        and w.x + w.width <= place.size.width and w.y + w.height <= place.size.height
    ):  # fmt: skip
        size = f"{place.size.width} x {place.size.height} px"
        raise Refused(Reason.REGION_INVALID, f"{_name(region, number)}: its window isn't within the slide, {size}")
    found = _annotated(region, place, number)
    if (found is None or found.annotated is None) and not region.targets:
        raise _invalid(f"{_name(region, number)} has neither graded nuclei nor a score: give one of them")


def _check_repeat(region: AskedRegion, seen: set[object], number: int) -> None:
    key = (_named(region), region.window, region.annotator)
    if key in seen:
        raise _invalid(f"{_name(region, number)} repeats another: name the annotator, or leave one out")
    seen.add(key)


def _named(region: AskedRegion) -> str:
    """What is annotated: the same picture is the same, however often it is sent."""
    return region.source.sha256 if isinstance(region.source, Picture) else region.source


def _annotated(region: AskedRegion, place: Place, number: int) -> Cleaned | None:
    """None without marks. Raises Refused ANNOTATION_INVALID where none of them lies in the window, or one nowhere."""
    if not region.marks:
        return None
    where = _name(region, number)
    found = cleaned(region.marks, place.size, region.window, mpp=place.mpp, where=where)
    if found.annotated is not None and len(found.annotated) == 0:
        raise _invalid(f"{where} holds no annotated nucleus within its window: check window and coordinates")
    return found


def _cells(region: AskedRegion, place: Place) -> Cells:
    """Within the window. Raises Failed NUCLEI_MISSING, Refused CELLS_INVALID."""
    if isinstance(region.source, Picture):
        return _within(region.source.cells, region.window)
    assert place.view is not None, "a result has a view"
    schema = place.view.result.assay.analyzer.schema
    parts = [_within(cells, region.window) for cells in read_cells(cells_file_of(place.view.result), schema)]
    return joined(parts) if parts else no_cells(schema)


def _within(cells: Cells, window: Region | None) -> Cells:
    if window is None:
        return cells
    x, y = cells.x + 0.5 - window.x, cells.y + 0.5 - window.y
    return cells.taken((x >= 0) & (x < window.width) & (y >= 0) & (y < window.height))


def _doubt(gathered: Gathered, concern: Concern, name: str, n: int) -> None:
    if n:
        gathered.doubts.setdefault(concern, {})[name] = n


def _mpps(gathered: Gathered) -> list[float]:
    return [float(np.round(place.mpp, 6)) for place in gathered.places]


def _observed(asked: AskedCalibration, gathered: Gathered) -> Iterator[Observed]:
    for region, sample, place in zip(asked.regions, gathered.samples, gathered.places, strict=True):
        yield Observed(
            image=_named(region),
            region=region.window,
            annotator=region.annotator,
            annotated=sample.annotated,
            mpp=place.mpp,
        )


def _of_each(seen: Sequence[Observed], gathered: Gathered, settings: Settings) -> dict[str, Json]:
    """The thresholds that each annotator's regions alone give."""
    found: dict[str, Json] = {}
    for who in observers_of(seen):
        found[who] = criteria_values(by_one(seen, gathered.samples, who, settings).chosen.fit.criteria)
    return found


def _first(actor: Caller, name: str, marker: str, revision: Revision, adoption: Adoption) -> Profile:
    key = ProfileKey(lab=actor.lab, marker=marker)
    parts = ("clone", "stainer", "scanner", "pathologist")
    return Profile(
        name=name,
        revision=1,
        key=replace(key, **{part: getattr(adoption, part) for part in parts}),
        criteria=revision.criteria,
        valid_from=revision.valid_from,
        valid_until=revision.valid_until,
        source=revision.source,
    )


def _impossible(message: str) -> Refused:
    return Refused(Reason.CALIBRATION_IMPOSSIBLE, message)


def _invalid(message: str) -> Refused:
    return Refused(Reason.ANNOTATION_INVALID, message)

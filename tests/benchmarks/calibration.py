"""Fitting criteria to a million nuclei, and scoring a thousand stored results again from their histograms.

    python -m tests.benchmarks.calibration [--repeat 3]

Nuclei are made up, twenty compartments of ten slides. One JSON line: seconds of one fit by each objective (the flat set
included), and of 1,000 results under other criteria, their rows included, on one core; and the same of 1,000 results
that are stored, as a cohort is shown.
"""

import argparse
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.calibration.fit import Objective, Settings, fit
from inference.calibration.sample import Sample, graded_sample
from inference.cells.histograms import Histograms, histograms_of
from inference.grade import HueValueThresholds
from server.domain.access import Caller, Role
from server.domain.profile import Profile, built_in
from server.domain.result import ResultId
from server.services.cohorts import PART, row_of
from server.store import private
from server.store.account_check import SERVICE
from server.store.database import as_role, connect
from server.store.migrate import migrate
from server.store.result_repository import PostgresResultRepository
from server.store.store import PostgresStore
from tests.benchmarks.measure import median, one_core, report
from tests.inference.made_samples import annotated, graded, made_nuclei
from tests.server.store.invented import request, result

NUCLEI, SLIDES, RESULTS = 1_000_000, 10, 1000
HIDDEN = HueValueThresholds(hue=110, left=72, right=118)
ACTOR = Caller(subject="bench", lab="*", roles=frozenset({Role.LAB_ADMIN}))
OTHER = HueValueThresholds(hue=130, left=60, right=105)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    samples = made()
    tables = [histograms_of(s.cells, NUCLEAR.histograms) for s in samples]
    with one_core():
        fits = {
            f"fit_{by}_s": median(seconds(lambda by=by: fit(samples, Settings(by=by))) for _ in range(repeat))
            for by in Objective
        }
        again = median(seconds(lambda: rescored(tables)) for _ in range(repeat))
    stored = rescored_from_database(tables, repeat)
    report("calibration", nuclei=NUCLEI, **fits, results=RESULTS, rescored_s=again, stored_rescored_s=stored)


def made() -> list[Sample]:
    random = np.random.default_rng(0)
    samples = []
    for i in range(SLIDES):
        share = (i + 1) / (SLIDES + 1)
        cells = made_nuclei(NUCLEI // SLIDES, random, brown=share, dark=130 - 80 * share)
        marks = annotated(cells, graded(cells, HIDDEN, random, noise=0.05))
        samples.append(graded_sample(f"slide {i}", "region", cells, marks, mpp=0.5))
    return samples


def rescored_from_database(tables: list[Histograms], repeat: int) -> float:
    """Seconds of a cohort's preview over stored results: read from PostgreSQL, scored before and after."""
    folder = Path(tempfile.mkdtemp(prefix="chromogen-bench-"))
    running = private.start(folder)
    try:
        migrate(running.url)
        database = connect(as_role(running.url, SERVICE))
        ids = fill(PostgresStore(database), tables)
        repository, profile = PostgresResultRepository(database), replace(built_in(assay_of("ER")), criteria=OTHER)
        return median(seconds(lambda: preview(repository, ids, profile)) for _ in range(repeat))
    finally:
        running.close()
        shutil.rmtree(folder)


def fill(store: PostgresStore, tables: list[Histograms]) -> list[ResultId]:
    ids = []
    for i in range(RESULTS):
        order, _ = store.accept(request(i))
        claim = store.claim(order.id, 60)
        assert claim is not None
        made = result(order.id)
        analysis = replace(made.analysis, histograms=tables[i % len(tables)])
        made = replace(made, id=ResultId(str(uuid.uuid4())), analysis=analysis)
        store.finish(claim, made, [])
        ids.append(made.id)
    return ids


def preview(repository: PostgresResultRepository, ids: list[ResultId], profile: Profile) -> None:
    for begin in range(0, len(ids), PART):
        for view in repository.several(ACTOR, ids[begin : begin + PART]):
            row_of(view, profile)


def rescored(tables: list[Histograms]) -> None:
    assay = assay_of("ER")
    for i in range(RESULTS):
        counts = NUCLEAR.counts(tables[i % len(tables)], OTHER)
        NUCLEAR.scores(assay.measures, counts, None)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

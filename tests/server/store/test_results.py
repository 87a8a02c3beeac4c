import math
import uuid
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analyzers.nuclear import GRADE_COUNTS, H_SCORE
from inference.cells.histograms import Histograms
from inference.grade import DensityThresholds, HueValueThresholds
from inference.measures import ALL, Score
from server.domain.artifact import ArtifactKind
from server.domain.choice import choose
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import Claim, Delivery
from server.domain.profile import Profile, ProfileKey
from server.domain.result import Result, ResultId
from server.domain.states import OrderState
from server.store import profiles, results
from server.store.database import connect
from server.store.store import PostgresStore
from tests.server.store.invented import BUILT_IN, ER, request, result


def density(cuts: tuple[int, int, int]) -> DensityThresholds:
    return DensityThresholds(weak=cuts[0], moderate=cuts[1], strong=cuts[2])


THRESHOLDS = st.one_of(
    st.builds(
        lambda hue, value: HueValueThresholds(hue=hue, left=value[0], right=value[1]),
        st.integers(1, 300),
        st.lists(st.integers(0, 255), min_size=2, max_size=2, unique=True).map(sorted),
    ),
    st.lists(st.integers(1, 300), min_size=3, max_size=3, unique=True).map(lambda cuts: density(tuple(sorted(cuts)))),
)
DAYS = st.none() | st.dates()
WORDS = st.text(max_size=9)
PROFILES = st.builds(
    Profile,
    name=WORDS,
    revision=st.integers(1, 9),
    key=st.builds(ProfileKey, lab=WORDS, clone=WORDS),
    criteria=THRESHOLDS,
    valid_from=DAYS,
    valid_until=DAYS,
    source=WORDS,
)


@given(PROFILES)
def test_the_copy_of_a_profile_in_a_result_reads_back_as_it_was(profile: Profile) -> None:
    assert profiles.from_json(profiles.to_json(profile)) == profile


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3000))
def test_histograms_are_unpacked_as_they_were_packed(seed: int, nuclei: int) -> None:
    for table in result(None, seed=seed, nuclei=nuclei).analysis.histograms.tables.values():
        np.testing.assert_array_equal(results.unpacked(results.packed(table), table.shape), table)


def test_the_histograms_of_half_a_million_nuclei_take_less_than_a_megabyte() -> None:
    assert len(results.packed(result(None, nuclei=500_000).analysis.histograms["hue_value"])) < 1_000_000


def assert_equal(a: Result, b: Result) -> None:
    def bare(r: Result) -> Result:
        return replace(r, analysis=replace(r.analysis, histograms=Histograms({}), seconds={}))

    assert set(a.analysis.histograms.tables) == set(b.analysis.histograms.tables)
    for name in a.analysis.histograms.tables:
        left, right = (r.analysis.histograms[name] for r in (a, b))
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    assert a.analysis.seconds == b.analysis.seconds
    plain_a, plain_b = bare(a), bare(b)
    assert replace(plain_a, analysis=None) == replace(plain_b, analysis=None)  # type: ignore[arg-type]
    for part in ("slide", "model", "tissue_mm2", "tiles", "warnings"):
        assert getattr(a.analysis, part) == getattr(b.analysis, part)


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine)


def claimed(store: PostgresStore, number: int = 1) -> Claim:
    claim = store.claim(store.accept(request(number))[0].id, 60)
    assert claim is not None
    return claim


@pytest.mark.postgres
@pytest.mark.parametrize("nuclei", [0, 1, 20_000])
def test_a_result_comes_back_as_it_was_kept(store: PostgresStore, nuclei: int) -> None:
    claim = claimed(store)
    kept = result(claim.order.id, nuclei=nuclei)
    store.finish(claim, kept, [])
    assert_equal(store.result(kept.id), kept)
    assert store.order(claim.order.id).result_id == kept.id


@pytest.mark.postgres
def test_counts_from_the_stored_histograms_are_the_stored_counts(store: PostgresStore) -> None:
    claim = claimed(store)
    kept = result(claim.order.id, nuclei=5000, profile=replace(BUILT_IN, name="od", criteria=density((20, 40, 60))))
    store.finish(claim, kept, [])
    back = store.result(kept.id)
    counted = back.assay.analyzer.counts(back.analysis.histograms, back.profile.criteria).reshape(2, 4).sum(axis=0)
    kept_counts = [back.score(measure) for measure in GRADE_COUNTS]
    assert [row.value for row in kept_counts if row is not None] == list(counted)
    h_score = back.score(H_SCORE, ALL)
    assert h_score is not None
    assert h_score.value is not None
    assert math.isfinite(h_score.value)


@pytest.mark.postgres
def test_a_result_names_its_predecessor(store: PostgresStore) -> None:
    first, second = claimed(store, 1), claimed(store, 2)
    old, new = result(first.order.id, seed=1), result(second.order.id, seed=2)
    store.finish(first, old, [])
    store.finish(second, replace(new, predecessor=old.id), [])
    assert store.result(new.id).predecessor == old.id


@pytest.mark.postgres
@pytest.mark.parametrize("unknown", [str(uuid.UUID(int=7)), "no uuid"])
def test_a_result_that_is_not_there_is_refused(store: PostgresStore, unknown: str) -> None:
    with pytest.raises(Refused) as refused:
        store.result(ResultId(unknown))
    assert refused.value.reason == ServiceReason.RESULT_UNKNOWN


@pytest.mark.postgres
def test_when_finishing_fails_midway_nothing_is_written_and_the_claim_holds(
    store: PostgresStore, engine: sa.Engine, tmp_path: Path
) -> None:
    claim = claimed(store)
    file = tmp_path / "oru.hl7"
    file.write_bytes(b"MSH")
    good = Delivery(kind=ArtifactKind.ORU, destination="lis", path=file, message_id="same")
    bad = replace(good, message_id="no text \0 for a database")
    with pytest.raises(Failed) as failed:
        store.finish(claim, result(claim.order.id), [good, bad])
    assert failed.value.reason == ServiceReason.DATABASE_FAILED
    with engine.connect() as connection:
        for table in ("results", "scores", "histograms", "artifacts", "outbox"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0
    assert store.order(claim.order.id).state is OrderState.RUNNING
    store.finish(claim, result(claim.order.id), [good])
    assert store.order(claim.order.id).state is OrderState.DONE


def artifacts_of(engine: sa.Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        columns = "kind, path, identifier, length(sha256), result_id IS NULL"
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM artifacts ORDER BY id")]


@pytest.mark.postgres
def test_each_file_of_a_case_is_an_artifact_once_and_those_that_stay_are_the_result_s(
    store: PostgresStore, engine: sa.Engine, tmp_path: Path
) -> None:
    claim, file = claimed(store), tmp_path / "oru.hl7"
    file.write_bytes(b"MSH")
    sent = [Delivery(kind=ArtifactKind.ORU, destination=to, path=file, message_id="M1") for to in ("lis", "other")]
    kept = result(claim.order.id, folder=tmp_path)
    store.finish(claim, kept, sent)
    cells, header = (str(artifact.path) for artifact in kept.artifacts)
    assert artifacts_of(engine) == [
        ("CELLS", cells, "", None, False),
        ("HEADER", header, "", None, False),
        ("ORU", str(file), "M1", 64, False),
    ]
    assert store.result(kept.id).artifacts == kept.artifacts
    assert store.result(kept.id).cells_file == kept.cells_file


@pytest.mark.postgres
def test_the_message_of_an_end_without_result_is_an_artifact_of_the_order(engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "refused.hl7"
    file.write_bytes(b"MSH")
    told = Delivery(kind=ArtifactKind.ORU, destination="lis", path=file, message_id="R1")
    store = PostgresStore(engine, notify=lambda *_: [told])
    store.end(claimed(store), OrderState.REFUSED, "NO_TISSUE", "")
    assert artifacts_of(engine) == [("ORU", str(file), "R1", 64, True)]


CATEGORY = Score(
    measure="GRADE",
    code="371469007",
    scheme="SCT",
    display="Histologic grade",
    region="drawn: a \u00b5 region",
    unit="",
    n=3,
    category="3+",
)


@pytest.mark.postgres
def test_a_score_comes_back_as_the_row_it_was_and_in_its_place(store: PostgresStore) -> None:
    claim = claimed(store)
    absent = replace(CATEGORY, measure="OTHER", category=None, n=0)
    kept = replace(result(claim.order.id), scores=(CATEGORY, absent, *result(None).scores))
    store.finish(claim, kept, [])
    assert store.result(kept.id).scores == kept.scores


@pytest.mark.postgres
def test_a_result_has_one_row_of_a_measure_in_a_region(store: PostgresStore) -> None:
    claim = claimed(store)
    with pytest.raises(Failed, match="UniqueViolation"):
        store.finish(claim, replace(result(claim.order.id), scores=(CATEGORY, CATEGORY)), [])


@pytest.mark.postgres
def test_a_result_whose_report_is_missing_is_not_finished(store: PostgresStore, tmp_path: Path) -> None:
    claim = claimed(store)
    missing = Delivery(kind=ArtifactKind.SR, destination="archive", path=tmp_path / "sr.dcm", message_id="1.2")
    with pytest.raises(Failed) as failed:
        store.finish(claim, result(claim.order.id), [missing])
    assert failed.value.reason == ServiceReason.DELIVERY_FAILED
    assert store.order(claim.order.id).state is OrderState.RUNNING


@pytest.mark.postgres
def test_profiles_are_found_for_their_laboratory(store: PostgresStore) -> None:
    ours = Profile(
        name="er",
        revision=1,
        key=ProfileKey(lab="LAB", marker="ER"),
        criteria=density((10, 20, 30)),
        valid_from=date(2026, 1, 1),
    )
    newer = replace(ours, revision=2, criteria=HueValueThresholds(hue=100, left=50, right=90), source="calibrated")
    theirs = replace(ours, name="theirs", key=ProfileKey(lab="OTHER", marker="ER"))
    for profile in (ours, newer, theirs):
        store.add_profile(profile)
    assert store.profiles("LAB", "ER") == [ours, newer]
    chosen = choose(store.profiles("LAB", "ER"), ER, lab="LAB", today=date(2026, 2, 2))
    assert chosen is not None
    assert chosen.profile == newer
    assert store.profiles("LAB", "PR") == []


@pytest.mark.postgres
def test_a_revision_is_never_another_profile(store: PostgresStore) -> None:
    profile = Profile(name="er", revision=1, key=ProfileKey(), criteria=density((10, 20, 30)))
    store.add_profile(profile)
    store.add_profile(profile)
    for other in (replace(profile, criteria=density((11, 20, 30))), replace(profile, name=BUILT_IN.name)):
        with pytest.raises(Refused) as refused:
            store.add_profile(other)
        assert refused.value.reason == ServiceReason.PROFILE_CONFLICT


STRAY = """
INSERT INTO public.scores (result_id, lab, position, measure, code, scheme, display, region, unit, n)
    SELECT result_id, lab, i, 'X' || i, 'X', '99X', 'x', 'all', '1', 0
    FROM unnest(ARRAY['{kept}', '{of}']::uuid[], ARRAY['LAB', '{lab}']) WITH ORDINALITY AS new (result_id, lab, i)
"""
SHADOWING = "CREATE TEMPORARY TABLE results (id, lab) AS VALUES ('{kept}'::uuid, 'LAB'), ('{of}', '{lab}')"


@pytest.mark.postgres
@pytest.mark.parametrize(("of", "lab"), [("00000000-0000-4000-8000-0000000000ff", "LAB"), (None, "OTHER")])
def test_scores_are_of_a_result_of_their_laboratory(
    store: PostgresStore, engine: sa.Engine, service_url: str, of: str | None, lab: str
) -> None:
    """Also where the caller has a table named as the results'."""
    claim = claimed(store)
    kept = result(claim.order.id)
    store.finish(claim, kept, [])
    said = {"kept": kept.id, "of": of or kept.id, "lab": lab}
    bound = connect(service_url)
    for caller, before in ((bound, "SET LOCAL chromogen.lab = '*'"), (engine, SHADOWING)):
        with caller.connect() as connection:
            connection.exec_driver_sql(before.format(**said))
            with pytest.raises(sa.exc.IntegrityError, match="isn't there"):
                connection.exec_driver_sql(STRAY.format(**said))
    bound.dispose()
    assert store.result(kept.id).scores == kept.scores

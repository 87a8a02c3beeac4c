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
from inference.nuclei import Histograms

from inference.grade import DensityThresholds, HueValueThresholds, counts
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import Claim, Delivery
from server.domain.profile import BUILT_IN, Profile, ProfileKey, choose
from server.domain.result import Result, ResultId
from server.domain.states import OrderState
from server.store import profiles, results
from server.store.store import PostgresStore
from tests.server.store.invented import request, result


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
    thresholds=THRESHOLDS,
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
    histograms = result(None, seed=seed, nuclei=nuclei).analysis.histograms
    np.testing.assert_array_equal(
        results.unpacked(results.packed(histograms.hue_value), (2, 360, 256)), histograms.hue_value
    )
    np.testing.assert_array_equal(results.unpacked(results.packed(histograms.density), (2, 301)), histograms.density)


def test_the_histograms_of_half_a_million_nuclei_take_less_than_a_megabyte() -> None:
    assert len(results.packed(result(None, nuclei=500_000).analysis.histograms.hue_value)) < 1_000_000


def assert_equal(a: Result, b: Result) -> None:
    def bare(r: Result) -> Result:
        return replace(
            r,
            analysis=replace(
                r.analysis,
                histograms=Histograms(hue_value=np.zeros(0, np.int64), density=np.zeros(0, np.int64)),
                seconds={},
            ),
        )

    for name in ("hue_value", "density"):
        left, right = (getattr(r.analysis.histograms, name) for r in (a, b))
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
    kept = result(claim.order.id, nuclei=5000, profile=replace(BUILT_IN, name="od", thresholds=density((20, 40, 60))))
    store.finish(claim, kept, [])
    back = store.result(kept.id)
    assert tuple(counts(back.analysis.histograms, back.profile.thresholds).sum(axis=0)) == back.scores.all.counts
    assert back.scores.epithelium.h_score_ci95 is None
    assert back.scores.all.h_score is not None
    assert math.isfinite(back.scores.all.h_score)


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
    good = Delivery(kind="ORU", destination="lis", path=file, message_id="same")
    bad = replace(good, message_id="other", kind="longer than the column's sixteen")
    with pytest.raises(Failed) as failed:
        store.finish(claim, result(claim.order.id), [good, bad])
    assert failed.value.reason == ServiceReason.DATABASE_FAILED
    with engine.connect() as connection:
        for table in ("results", "scores", "outbox"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0
    assert store.order(claim.order.id).state is OrderState.RUNNING
    store.finish(claim, result(claim.order.id), [good])
    assert store.order(claim.order.id).state is OrderState.DONE


@pytest.mark.postgres
def test_a_result_whose_report_is_missing_is_not_finished(store: PostgresStore, tmp_path: Path) -> None:
    claim = claimed(store)
    missing = Delivery(kind="SR", destination="archive", path=tmp_path / "sr.dcm", message_id="1.2")
    with pytest.raises(Failed) as failed:
        store.finish(claim, result(claim.order.id), [missing])
    assert failed.value.reason == ServiceReason.DELIVERY_FAILED
    assert store.order(claim.order.id).state is OrderState.RUNNING


@pytest.mark.postgres
def test_profiles_are_found_for_their_laboratory_and_the_built_in_one_for_all(store: PostgresStore) -> None:
    ours = Profile(
        name="er",
        revision=1,
        key=ProfileKey(lab="LAB", marker="ER"),
        thresholds=density((10, 20, 30)),
        valid_from=date(2026, 1, 1),
    )
    newer = replace(ours, revision=2, thresholds=HueValueThresholds(hue=100, left=50, right=90), source="calibrated")
    theirs = replace(ours, name="theirs", key=ProfileKey(lab="OTHER", marker="ER"))
    for profile in (ours, newer, theirs):
        store.add_profile(profile)
    assert store.profiles("LAB", "ER") == [BUILT_IN, ours, newer]
    assert choose(store.profiles("LAB", "ER"), lab="LAB", marker="ER", today=date(2026, 2, 2)) == newer
    assert store.profiles("LAB", "PR") == [BUILT_IN]


@pytest.mark.postgres
def test_a_revision_is_never_another_profile(store: PostgresStore) -> None:
    profile = Profile(name="er", revision=1, key=ProfileKey(), thresholds=density((10, 20, 30)))
    store.add_profile(profile)
    store.add_profile(profile)
    for other in (replace(profile, thresholds=density((11, 20, 30))), replace(profile, name=BUILT_IN.name)):
        with pytest.raises(Refused) as refused:
            store.add_profile(other)
        assert refused.value.reason == ServiceReason.PROFILE_CONFLICT

"""Which items of a worklist are ours: work of other machines is never claimed."""

from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from server.store.store import PostgresStore
from tests.integration.ups_items import item, performer, told
from tests.ups_peer import LABEL, UpsPeer, coded

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "more",
    [
        {"ScheduledStationNameCodeSequence": [coded("OTHER", "99TEST", "another")]},
        {"ScheduledStationNameCodeSequence": []},
        {"WorklistLabel": "OTHER"},
        {"InputReadinessState": "INCOMPLETE"},
    ],
)
def test_what_isn_t_for_us_or_isn_t_ready_is_left_alone(engine: sa.Engine, peer: UpsPeer, more: dict[str, Any]) -> None:
    uid = item(peer, **more)
    performer(engine, peer, label=LABEL).step()
    assert (peer.state(uid), PostgresStore(engine).orders()) == ("SCHEDULED", [])


def test_an_item_for_a_label_that_names_a_station_is_that_station_s(engine: sa.Engine, peer: UpsPeer) -> None:
    named, free = item(peer), item(peer, ScheduledStationNameCodeSequence=[])
    performer(engine, peer, label=LABEL, station="").step()
    assert (peer.state(named), peer.state(free)) == ("SCHEDULED", "IN PROGRESS")


def test_a_class_of_stations_is_looked_for_too(engine: sa.Engine, peer: UpsPeer) -> None:
    other = item(peer, ScheduledStationClassCodeSequence=[coded("SCANNER", "99TEST", "scans")])
    ours = item(peer, ScheduledStationClassCodeSequence=[coded("AI", "99TEST", "scores")])
    performer(engine, peer, station_class="AI").step()
    assert (peer.state(other), peer.state(ours)) == ("SCHEDULED", "IN PROGRESS")


OTHER_WORK = {"ScheduledWorkitemCodeSequence": [coded("CD3", "99TEST", "CD3")]}


@pytest.mark.parametrize("more", [OTHER_WORK, {"ScheduledWorkitemCodeSequence": []}])
def test_work_that_isn_t_scored_here_is_left_to_others_and_said_once(
    engine: sa.Engine, peer: UpsPeer, more: dict[str, Any]
) -> None:
    left, good = item(peer, **more), item(peer)
    doing = performer(engine, peer)
    with capture_logs() as logged:
        doing.step()
        doing.step()
    assert (peer.state(left), peer.state(good)) == ("SCHEDULED", "IN PROGRESS")
    assert [each["item"] for each in logged if each["event"] == "item_left"] == [left]
    assert len(PostgresStore(engine).orders()) == 1


def test_work_that_the_site_calls_ours_is_cancelled_with_the_reason_where_it_can_t_be_scored(
    engine: sa.Engine, peer: UpsPeer
) -> None:
    ours, er = item(peer, **OTHER_WORK), item(peer)
    performer(engine, peer, codes=("CD3",)).step()
    assert peer.state(ours) == "CANCELED"
    assert told(peer, ours).startswith("ASSAY_UNSUPPORTED: Scheduled Workitem Code names no stain")
    assert peer.state(er) == "SCHEDULED"
    assert PostgresStore(engine).orders() == []

"""Messages and values: there and back without loss, and what comes in checked. No server."""

import uuid
from datetime import UTC, date, datetime

import pytest
from chromogen.v1 import order_pb2, order_service_pb2, profile_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from inference.criteria import Criteria
from inference.grade import DensityThresholds, HueValueThresholds
from inference.measures import Score
from server.api import fields, pages
from server.api.convert_admin import STATES as DELIVERY_STATES
from server.api.convert_order import PRIORITIES, STATES, order_message, request_of
from server.api.convert_profile import STATES as PROFILE_STATES
from server.api.convert_profile import criteria_in, criteria_message
from server.api.convert_result import STATES as RESULT_STATES
from server.api.convert_result import score_in, score_messages
from server.domain.access import Caller, Role
from server.domain.errors import ChromogenError, ServiceReason
from server.domain.order import (
    EntityIdentifier,
    Order,
    OrderId,
    Patient,
    Priority,
    Request,
    Sender,
    SlideReference,
    Specimen,
)
from server.domain.ports import OrderView
from server.domain.states import DeliveryState, OrderState, ProfileState, ResultState

ACTOR = Caller(subject="lis|1", lab="LAB A", roles=frozenset({Role.LIS}))
WORDS = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=40)
NAMES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=40)
UIDS = st.lists(st.integers(0, 9999), min_size=1, max_size=8).map(lambda parts: ".".join(map(str, parts)))

REQUESTS = st.builds(
    lambda number, request, priority, marker, patient, specimen, slide, at, text: Request(
        lab=ACTOR.lab,
        sender=Sender(application=ACTOR.subject, facility=ACTOR.lab),
        message_control_id=str(uuid.uuid4()),
        message_type="chromogen.v1.CreateOrder",
        placer_order_number=number,
        placer_request=request,
        priority=priority,
        marker=marker,
        procedure_code=marker,
        procedure_text=text,
        patient=patient,
        specimen=specimen,
        slide=slide,
        requested_at=at,
    ),
    st.builds(EntityIdentifier, identifier=NAMES, namespace=WORDS, universal_id=WORDS, universal_type=WORDS),
    NAMES,
    st.sampled_from(Priority),
    st.sampled_from(["ER", "PR", "KI67", "P53"]),
    st.builds(
        Patient,
        id=NAMES,
        id_authority=WORDS,
        family_name=WORDS,
        given_name=WORDS,
        birth_date=st.none() | st.dates(),
        sex=st.sampled_from(["", *"FMOUAN"]),
    ),
    st.builds(Specimen, id=WORDS, container_id=WORDS, site_code=WORDS, site_scheme=WORDS, site_text=WORDS),
    st.builds(SlideReference, study_uid=st.just("") | UIDS, series_uid=UIDS, container_id=WORDS),
    st.none() | st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda d: d.replace(tzinfo=UTC)),
    WORDS,
)


@given(REQUESTS)
def test_an_order_that_is_sent_back_as_it_was_shown_is_the_same_request(request: Request) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    order = Order(id=OrderId(str(uuid.uuid4())), request=request, received_at=at)
    view = OrderView(
        order=order,
        state=OrderState.QUEUED,
        attempt=0,
        reason="",
        detail="",
        progress=0.0,
        result_id=None,
        updated_at=at,
    )
    shown = order_message(view, with_patient=True)
    assert (
        request_of(order_pb2.Order.FromString(shown.SerializeToString()), request.message_control_id, ACTOR) == request
    )
    assert not order_message(view).HasField("patient")


@given(
    st.one_of(
        st.tuples(st.integers(1, 300), st.integers(0, 254), st.integers(1, 255))
        .filter(lambda t: t[1] < t[2])
        .map(lambda t: HueValueThresholds(hue=t[0], left=t[1], right=t[2])),
        st.lists(st.integers(1, 300), min_size=3, max_size=3, unique=True).map(
            lambda cuts: DensityThresholds(weak=min(cuts), moderate=sorted(cuts)[1], strong=max(cuts))
        ),
    )
)
def test_criteria_come_back_as_they_went(criteria: Criteria) -> None:
    message = criteria_message(criteria)
    assert criteria_in(profile_pb2.Criteria.FromString(message.SerializeToString()), "criteria") == criteria


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (profile_pb2.Criteria(), "FIELD_MISSING"),
        (profile_pb2.Criteria(numbers={"hue": 1}), "FIELD_MISSING"),
        (profile_pb2.Criteria(method="guess", numbers={"hue": 1}), "PROFILE_INVALID"),
        (profile_pb2.Criteria(method="dab_od", numbers={"weak": 0.1, "moderate": 0.2}), "PROFILE_INVALID"),
        (
            profile_pb2.Criteria(method="hue_value", numbers={"hue": 1, "left": 1}, texts={"right": "2"}),
            "PROFILE_INVALID",
        ),
        (
            profile_pb2.Criteria(method="hue_value", numbers={"hue": 120, "left": 5, "right": 9}, texts={"hue": "1"}),
            "ARGUMENT_INVALID",
        ),
        (
            profile_pb2.Criteria(method="hue_value", numbers={"hue": 120.5, "left": 50, "right": 100}),
            "PROFILE_INVALID",
        ),
        (
            profile_pb2.Criteria(method="hue_value", numbers={"hue": float("nan"), "left": 50, "right": 100}),
            "PROFILE_INVALID",
        ),
    ],
)
def test_criteria_that_are_none_are_refused_by_the_kind_s_own_rules(asked: profile_pb2.Criteria, reason: str) -> None:
    with pytest.raises(ChromogenError) as refused:
        criteria_in(asked, "criteria")
    assert refused.value.reason == reason


NUMBERS = st.floats(allow_nan=False)


@given(
    st.lists(
        st.builds(
            Score,
            measure=NAMES,
            code=NAMES,
            display=WORDS,
            region=NAMES,
            unit=WORDS,
            n=st.integers(0, 2**40),
            value=st.none() | NUMBERS,
            category=st.none() | NAMES,
            interval=st.none() | st.tuples(NUMBERS, NUMBERS),
            scheme=NAMES,
        ),
        max_size=4,
    )
)
def test_scores_come_back_as_they_went_an_absent_one_as_absent_and_never_as_zero(scores: list[Score]) -> None:
    assert [score_in(message) for message in score_messages(scores)] == scores


def test_every_state_has_its_number() -> None:
    assert (set(STATES.values()), set(PRIORITIES.values())) == (set(OrderState), set(Priority))
    assert (set(RESULT_STATES.values()), set(PROFILE_STATES.values())) == (set(ResultState), set(ProfileState))
    assert set(DELIVERY_STATES.values()) == set(DeliveryState)
    assert 0 not in {*STATES, *PRIORITIES, *RESULT_STATES, *PROFILE_STATES, *DELIVERY_STATES}


@given(
    st.lists(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=50), min_size=1, max_size=3).map(tuple)
)
def test_g4_a_page_token_gives_back_where_the_page_ended(key: tuple[str, ...]) -> None:
    request = order_service_pb2.ListOrdersRequest(marker="ER", page_size=7)
    token = pages.token_for(key, request)
    if len(token) <= pages.LONGEST_TOKEN:
        assert (
            pages.key_of(token, order_service_pb2.ListOrdersRequest(marker="ER", page_size=9, page_token=token)) == key
        )


@given(st.text(max_size=200))
def test_g4_any_other_text_as_a_page_token_is_refused(token: str) -> None:
    try:
        assert pages.key_of(token, order_service_pb2.ListOrdersRequest()) == () == tuple(token)
    except ChromogenError as error:
        assert error.reason == ServiceReason.PAGE_TOKEN_INVALID  # noqa: PT017  either is right


def test_page_sizes_are_bounded() -> None:
    assert [pages.size_of(n) for n in (0, 1, 1000, 10**6)] == [pages.DEFAULT_SIZE, 1, 1000, 1000]
    with pytest.raises(ChromogenError, match="page_size"):
        pages.size_of(-1)


@pytest.mark.parametrize(("given_day", "expected"), [("", None), ("2024-02-29", date(2024, 2, 29))])
def test_days_are_read(given_day: str, expected: date | None) -> None:
    assert fields.day(given_day, "day") == expected


@pytest.mark.parametrize("wrong", ["2023-02-29", "20240229", "2024-2-9", "29.2.2024", "2024-W09-4", "x"])
def test_what_is_no_day_is_refused(wrong: str) -> None:
    with pytest.raises(ChromogenError, match="day is not a date"):
        fields.day(wrong, "day")


def test_a_time_beyond_the_calendar_is_refused() -> None:
    request = order_service_pb2.ListOrdersRequest(created_from=Timestamp(seconds=10**15))
    with pytest.raises(ChromogenError, match="created_from is no time"):
        fields.moment(request, "created_from")

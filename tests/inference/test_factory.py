import pytest

from inference.engines.factory import check_ready, make_engine
from inference.errors import Failed, Reason


def test_an_engine_of_this_process_is_usable_once_it_is_made() -> None:
    check_ready(make_engine("local"))


def test_servers_that_are_all_away_are_named_and_it_may_be_tried_again() -> None:
    with pytest.raises(Failed, match=r"127.0.0.1:1:.*127.0.0.1:2:") as failed:
        check_ready(make_engine("triton://127.0.0.1:1,127.0.0.1:2"))
    assert (failed.value.reason, failed.value.retryable) == (Reason.ENGINE_FAILED, True)

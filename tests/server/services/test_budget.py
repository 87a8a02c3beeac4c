"""Pictures in memory at once: issue 12, 7 (six of 8192² px took 1.9 GB)."""

import io
import threading

import pytest
from PIL import Image

from inference.assay import assay_of
from inference.errors import Refused
from inference.model import read_model, shipped_models
from server.api_service import opener
from server.domain.errors import Failed, ServiceReason
from server.services.limits import Budget


def test_no_more_than_there_is_and_who_waits_gets_it_next() -> None:
    budget, seen = Budget(10), list[int]()
    first = budget.take(7, 0)
    with pytest.raises(Failed) as failed:
        budget.take(4, 0.01)
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.TOO_MANY_CALLS, True)
    waiting = threading.Thread(target=lambda: seen.append(budget.take(4, 10) is not None))
    waiting.start()
    first()
    waiting.join(10)
    assert seen == [True]


def test_more_than_there_is_takes_all_of_it() -> None:
    budget = Budget(10)
    give_back = budget.take(1000, 0)
    with pytest.raises(Failed):
        budget.take(1, 0)
    give_back()
    budget.take(10, 0)


def test_a_picture_gives_its_pixels_back_when_it_is_closed_and_when_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.api_service.ROOM_WAIT_S", 0.01)
    monkeypatch.setattr("server.api_service.LARGEST_SIDE", 64)
    resolution = read_model(shipped_models(), assay_of("ER").model).resolution
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "PNG")
    open_image, picture = opener(icc=False), out.getvalue()
    for _ in range(3):
        with pytest.raises(Refused):
            open_image(picture[:60], 0.5, resolution)
        slide = open_image(picture, 0.5, resolution)
        with pytest.raises(Failed):
            open_image(picture, 0.5, resolution)
        slide.close()

"""Fixtures of the integration tests: the real Triton server, fetched once."""

import os

import pytest

from tests.triton_server import Unavailable, server_folder


@pytest.fixture(scope="session")
def tritonserver() -> None:
    """Skips where the server can't be had; under CI=true that is a failure."""
    try:
        server_folder()
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))

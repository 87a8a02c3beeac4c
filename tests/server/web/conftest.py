"""The page on the real store: the fixtures of the API, with its second door open."""

from collections.abc import Iterator

import pytest

from tests.server.api.conftest import (  # noqa: F401  pytest finds fixtures by name
    api,
    api_database,
    api_folder,
    api_service,
    api_settings,
    authority,
    issuer,
    lab,
)
from tests.server.api.harness import Api
from tests.server.web.browser import Page, page_of


@pytest.fixture(scope="session")
def page(api: Api) -> Iterator[Page]:  # noqa: F811
    with page_of(api) as made:
        yield made

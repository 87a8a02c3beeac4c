"""One server with TLS and tokens for all tests of the API, each test in laboratories of its own
where it counts rows.
"""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa

from server import settings
from server.api_service import api_server
from server.bootstrap import Service, bootstrap
from tests.conftest import DatabaseServer, execute
from tests.server.api.harness import Api
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def api_database(database_server: DatabaseServer) -> Iterator[str]:
    """Made and dropped by connections of their own: other tests end all that lie idle."""
    name = f"api_{uuid.uuid4().hex}"
    execute(database_server.url_of("postgres"), f'CREATE DATABASE "{name}" TEMPLATE chromogen')
    yield database_server.url_of(name)
    execute(database_server.url_of("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def api_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="chromogen-api-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def api_settings(api_database: str, api_folder: Path, issuer: Issuer, authority: Authority) -> settings.Settings:
    server = authority.issue("server", server=True)
    files = {"cert.pem": server.cert, "key.pem": server.key, "ca.pem": authority.pem, "jwks.json": issuer.jwks()}
    for name, data in files.items():
        (api_folder / name).write_bytes(data)
    (api_folder / "archive").mkdir()
    return settings.Settings(
        database=settings.Database(url=api_database),  # type: ignore[arg-type]  # pydantic wraps it
        data=settings.Data(folder=api_folder),
        archive=settings.Archive(folder=api_folder / "archive"),
        lis=settings.Lis(host="127.0.0.1", port=9),
        grpc=settings.Grpc(port=0, reflection=True, rate=100_000, streams=4),
        tls=settings.Tls(cert=api_folder / "cert.pem", key=api_folder / "key.pem"),
        oidc=settings.Oidc(issuer=ISSUER, audience=AUDIENCE, jwks=str(api_folder / "jwks.json")),
    )


@pytest.fixture(scope="session")
def api_service(api_settings: settings.Settings) -> Iterator[Service]:
    with bootstrap(api_settings) as service:
        yield service


@pytest.fixture(scope="session")
def api(
    api_service: Service, authority: Authority, issuer: Issuer, api_folder: Path, database_server: DatabaseServer
) -> Iterator[Api]:
    """The server, and a channel to it."""
    owner = sa.create_engine(database_server.owner_url_of(str(api_service.database.url.database)))
    server = api_server(api_service)
    port = server.start()
    credentials = grpc.ssl_channel_credentials(root_certificates=authority.pem)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        yield Api(channel=channel, port=port, issuer=issuer, service=api_service, folder=api_folder, owner=owner)
    server.stop(1)
    owner.dispose()


@pytest.fixture
def lab() -> str:
    """A laboratory of this test's own."""
    return f"LAB-{uuid.uuid4().hex[:8]}"

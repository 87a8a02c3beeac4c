"""The way to PostgreSQL with sslmode=verify-full, as deploy/kubernetes asks for it: nothing is said to who can't prove
its name.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from server.domain.errors import Failed, ServiceReason
from server.store.database import connect, libpq_url, transaction, unproven_hosts
from tests.server.api.issuer import Authority

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""PostgreSQL's protocol, 54.2.11: length 8, code 80877103; answered by S or N before anything else is said."""


@contextmanager
def server(context: ssl.SSLContext | None) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and what it got to read after the question for TLS; it hangs up then."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(10)
                assert connection.recv(8) == SSL_REQUEST
                connection.sendall(b"S" if context else b"N")
                try:
                    line = connection if context is None else context.wrap_socket(connection, server_side=True)
                    heard.append(line.recv(4096))
                    line.close()
                except OSError:
                    heard.append(b"")

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(listening.getsockname()[1]), heard
        thread.join(20)
    assert not thread.is_alive()


def by_psycopg2(url: str) -> None:
    engine = connect(url)
    try:
        with pytest.raises(Failed) as failed, transaction(engine) as connection:
            connection.execute(sa.text("SELECT 1"))
    finally:
        engine.dispose()
    assert failed.value.reason == ServiceReason.DATABASE_UNREACHABLE


def by_psycopg3(url: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(libpq_url(url))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ours", "theirs"):
        authority = Authority(name)
        pair = authority.issue("postgres", server=True)
        for kind, data in (("ca", authority.pem), ("cert", pair.cert), ("key", pair.key)):
            (tmp_path / f"{name}.{kind}").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("by", [by_psycopg2, by_psycopg3], ids=["ours", "procrastinate's"])
@pytest.mark.parametrize(
    ("who", "host", "trusted"),
    [
        ("ours", "localhost", True),
        ("theirs", "localhost", False),
        ("ours", "127.0.0.2", False),
        (None, "localhost", False),
    ],
    ids=["of our authority and of that name", "of another authority", "of another name", "plain text"],
)
def test_with_verify_full_the_account_is_told_to_the_right_server_alone(
    folder: Path, by: Callable[[str], None], who: str | None, host: str, trusted: bool
) -> None:
    context = None
    if who:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{who}.cert", folder / f"{who}.key")
    with server(context) as (port, heard):
        at = f"{host}:{port}/chromogen?hostaddr=127.0.0.1&gssencmode=disable"
        by(f"postgresql://chromogen_work:invented@{at}&sslmode=verify-full&sslrootcert={folder}/ours.ca")
    assert (b"chromogen_work" in b"".join(heard)) is trusted


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://a@db.example/x", ["db.example"]),
        ("postgresql://a@db.example/x?sslmode=require", ["db.example"]),
        ("postgresql://a@db.example/x?sslmode=verify-ca&sslrootcert=/ca", ["db.example"]),
        ("postgresql://a@db.example/x?sslmode=verify-full&sslrootcert=/ca", []),
        ("postgresql://a@/x?host=one.example&host=two.example", ["one.example", "two.example"]),
        ("postgresql://a@127.0.0.1:5432/x", ["127.0.0.1"]),
        ("postgresql://a@/x?host=/run/postgresql", []),
        ("postgresql:///x", []),
    ],
)
def test_only_verify_full_makes_a_host_prove_its_name(url: str, hosts: list[str]) -> None:
    assert unproven_hosts(url) == hosts

"""The accounts that deploy/roles.sh makes from files, and a service that takes its password from one."""

import base64
import hashlib
import hmac
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from server.domain.errors import Refused, ServiceReason
from server.settings import Database
from server.store import private
from server.store.database import address_of, connect
from tests.integration.processes import ROOT, OwnPostgres

ACCOUNTS = {"migrate": "migrate", "serve": "serve", "work": "work", "audit": "auditor", "scale": "scaler"}


@pytest.fixture(scope="module")
def database() -> Iterator[OwnPostgres]:
    made = OwnPostgres(migrated=False)
    yield made
    made.close()


def fits(stored: str, password: str) -> bool:
    """Is this PostgreSQL's verifier (RFC 5803: SCRAM-SHA-256$iterations:salt$stored key:server key) of the password?"""
    _, parameters, keys = stored.split("$")
    iterations, salt = parameters.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    key = hmac.digest(salted, b"Client Key", "sha256")
    return base64.b64encode(hashlib.sha256(key).digest()).decode() == keys.split(":")[0]


@pytest.mark.postgres
def test_each_account_gets_the_password_of_its_own_file(database: OwnPostgres, tmp_path: Path) -> None:
    for name in ACCOUNTS:
        (tmp_path / name).write_text(f"invented 'of' {name} $HOME\n")
    parts = urlsplit(database.owner_url.replace("+psycopg2", ""))
    environment = os.environ | {
        "PATH": f"{private._programs()}:{os.environ['PATH']}",
        "PGHOST": parse_qs(parts.query)["host"][0],
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_DB": parts.path[1:],
        "SECRETS_FOLDER": str(tmp_path),
        "ROLES": str(ROOT / "deploy" / "roles.sql"),
    }
    subprocess.run(["sh", str(ROOT / "deploy" / "roles.sh")], env=environment, check=True, capture_output=True)
    owner = connect(database.owner_url)
    with owner.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
        ).all()
    owner.dispose()
    stored = {row.rolname: row.rolpassword for row in rows}
    assert set(stored) == {f"chromogen_{account}" for account in ACCOUNTS.values()}
    for name, account in ACCOUNTS.items():
        assert fits(stored[f"chromogen_{account}"], f"invented 'of' {name} $HOME")
        assert not fits(stored[f"chromogen_{account}"], "invented")


@pytest.mark.postgres
def test_without_one_of_the_files_no_account_is_made(database: OwnPostgres, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "roles.sh")],
        env=os.environ | {"SECRETS_FOLDER": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0


def test_the_password_of_a_file_comes_into_the_address_whatever_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/w:rd%20 ü\n")
    url = address_of(Database(url="postgresql://someone@db.invalid/chromogen", password_file=tmp_path / "password"))  # type: ignore[arg-type]
    parsed = sa.make_url(url)
    assert (parsed.username, parsed.password, parsed.host) == ("someone", "p@ss/w:rd%20 ü", "db.invalid")


@pytest.mark.parametrize(
    ("url", "file", "said"),
    [
        ("postgresql://a:s3cret@h/d", "password", "no password beside"),
        ("postgresql://h/d", "password", "must name a user"),
        ("", "password", "no postgresql:// address"),
        ("postgresql://a@h/d", "absent", "can't be read"),
        ("postgresql://a@h/d", "empty", "is empty"),
    ],
)
def test_a_password_file_that_says_nothing_or_too_much_is_refused(
    tmp_path: Path, url: str, file: str, said: str
) -> None:
    (tmp_path / "password").write_text("s3cret-too")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(Refused, match=said) as refused:
        address_of(Database(url=url, password_file=tmp_path / file))  # type: ignore[arg-type]
    assert refused.value.reason == ServiceReason.SETTING_INVALID
    assert "s3cret" not in refused.value.message

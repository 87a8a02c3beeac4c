"""What `chromogen check` looks at: each function looks at one dependency, tells what it found, or raises with what to
do.
"""

import shutil
import socket
import ssl
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from cryptography import x509
from sqlalchemy import text

from inference.engines.factory import make_engine
from inference.engines.local import LocalEngine
from inference.engines.triton import TritonEngine
from inference.errors import Reason
from inference.infer import Engine
from server import api_service
from server.api.auth import authenticate_by
from server.api.keys import parse_keys, reader_of
from server.api.server import credentials_of
from server.bootstrap import Service, bootstrap
from server.domain.errors import Failed, Refused, ServiceReason
from server.settings import Settings, is_loopback
from server.store.database import transaction, unproven_hosts
from server.store.migrate import OLDER_TABLES, Standing, standing
from server.tls import engine_secure, listener_context, sender_context

LEAST_FREE_GB = 5.0
CONNECT_TIMEOUT_S = 3.0
RENEW_DAYS = 30

ROLES = text(
    "SELECT session_user,"
    " pg_has_role(current_user, 'chromogen_api', 'MEMBER'), pg_has_role(current_user, 'chromogen_worker', 'MEMBER')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check found, in a few words; `advice`, where it works today and will not for long."""

    text: str
    advice: str = ""


def engine(wanted: Settings) -> Found:
    """The configured engine: in this process, a blank tile is run; of Triton, every server is asked for its models."""
    made = make_engine(wanted.engine.name, secure=engine_secure(wanted.engine))
    if isinstance(made, TritonEngine):
        try:
            return _servers(made)
        finally:
            made.close()
    return Found(text=f"{wanted.engine.name}: {_blank_tile(made)}")


def _servers(made: TritonEngine) -> Found:
    answers = made.check()
    wrong = [f"{address}: {what}" for address, what in answers if what]
    if wrong:
        message = f"{'; '.join(wrong)}; start Triton with this release's models, or correct CHROMOGEN_ENGINE_NAME"
        raise Failed(Reason.ENGINE_FAILED, message)
    return Found(text=f"Triton at {', '.join(a for a, _ in answers)}, {made.facts.name} {made.facts.version}")


def _blank_tile(made: Engine) -> str:
    found = made.detect(np.full((1, 256, 256, 3), 240, np.uint8), made.counting_threshold)[0]
    facts = made.facts
    return f"{facts.name} {facts.version}, sha256 {facts.sha256[:12]}, {len(found.x)} nuclei on a blank tile"


def models(_: Settings) -> Found:
    """The networks that came with this release, which a slide's result names, whichever engine runs them."""
    return Found(text=_blank_tile(LocalEngine(threads=1)))


def folder(wanted: Settings) -> Found:
    """The data folder can be written to and has room."""
    place = wanted.data.folder
    free = _written(place, "CHROMOGEN_DATA_FOLDER", make=True)
    if free < LEAST_FREE_GB:
        advice = f"at least {LEAST_FREE_GB:g} are needed: make room (docs/operations.md, Retention)"
        raise Failed(ServiceReason.SETTING_INVALID, f"{free:.1f} GB free in {place}; {advice}")
    return Found(text=f"{place}, {free:.0f} GB free")


def _written(place: Path, name: str, *, make: bool) -> float:
    """GB free in a folder that can be written to. Raises Failed SETTING_INVALID."""
    probe = place / f".check-{uuid.uuid4().hex}"
    try:
        if make:
            place.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
        return shutil.disk_usage(place).free / 1e9
    except OSError as error:
        what = f"{place} can't be written ({type(error).__name__}); make it, let this account write, or set {name}"
        raise Failed(ServiceReason.SETTING_INVALID, what) from None


def database(wanted: Settings) -> Found:
    """Reached, by an account that may, and its tables are those of this version."""
    with bootstrap(wanted, sends=False) as service:
        who = _account(service)
        with transaction(service.database) as connection:
            found = standing(connection)
        if found is Standing.OLDER:
            raise Failed(ServiceReason.DATABASE_FAILED, OLDER_TABLES)
        kind = "private PostgreSQL" if service.private_postgres is not None else "configured PostgreSQL"
        told = f"{kind} as {who}, {len(service.store.due(1000))} orders due, {service.outbox.waiting()} reports waiting"
    if found is Standing.NEWER:
        return Found(text=told, advice="the tables are a newer version's: finish the upgrade of this program")
    return Found(text=told, advice=_database_line(service.database_url))


def _database_line(url: str) -> str:
    """What to do about it; empty: nothing."""
    if all(map(is_loopback, unproven_hosts(url))):
        return ""
    return (
        "patients go to whoever answers, readable where it asks: add sslmode=verify-full and "
        "sslrootcert to CHROMOGEN_DATABASE_URL"
    )


def _account(service: Service) -> str:
    with transaction(service.database) as connection:
        name, serves, works = connection.execute(ROLES).one()
    does = [command for command, may in (("serve", serves), ("work", works)) if may]
    if not does:
        advice = "make it a member of chromogen_api or chromogen_worker (deploy/roles.sql)"
        raise Failed(
            ServiceReason.SETTING_INVALID, f"the database's account {name} may neither serve nor work: {advice}"
        )
    return f"{name} (may {' and '.join(does)})"


def archive(wanted: Settings) -> Found:
    """The archive's folder is there, and takes objects."""
    place = wanted.archive_folder
    own = wanted.archive.folder is None  # ours, in the data folder
    if not own and not place.is_dir():
        raise Failed(
            ServiceReason.ARCHIVE_UNREACHABLE,
            f"{place} is not a folder; mount or make it, or set CHROMOGEN_ARCHIVE_FOLDER",
        )
    free = _written(place, "CHROMOGEN_ARCHIVE_FOLDER", make=own)
    return Found(text=f"{place}, {free:.0f} GB free")


def mllp(wanted: Settings) -> Found:
    """How orders come in."""
    where = f"orders at {wanted.mllp.host}:{wanted.mllp.port}"
    context = listener_context(wanted.mllp)
    if context is None:
        if is_loopback(wanted.mllp.host):
            return Found(text=f"{where}, plain text")
        return Found(
            text=f"{where}, plain text", advice="patients cross the network readable: set CHROMOGEN_MLLP_TLS_*"
        )
    return Found(text=f"{where}, TLS{', client certificates' if wanted.mllp.tls_client_ca else ''}")


def lis(wanted: Settings) -> Found:
    """The LIS accepts a connection, and its certificate fits, where one is set."""
    receiver, context = wanted.lis, sender_context(wanted.lis)
    if not receiver.host:
        return Found(text="none set; results are not sent to a LIS", advice="set CHROMOGEN_LIS_HOST")
    where = f"{receiver.host}:{receiver.port}"
    try:
        with socket.create_connection((receiver.host, receiver.port), CONNECT_TIMEOUT_S) as line:
            if context is not None:
                context.wrap_socket(line, server_hostname=receiver.host).close()
    except ssl.SSLError as error:
        advice = "its certificate must be of CHROMOGEN_LIS_TLS_CA's authority and name the host, and it must take ours"
        raise Failed(
            ServiceReason.DELIVERY_FAILED, f"{where} and we don't agree on TLS ({type(error).__name__}): {advice}"
        ) from None
    except OSError:
        raise Failed(ServiceReason.DELIVERY_FAILED, f"nothing answers at {where}; check CHROMOGEN_LIS_*") from None
    return Found(text=f"{where} answers{', TLS' if context is not None else ''}")


def api(wanted: Settings) -> Found:
    """The settings of the API fit together."""
    if not api_service.is_wanted(wanted):
        return Found(
            text="off", advice="set CHROMOGEN_TLS_* and CHROMOGEN_OIDC_*, or CHROMOGEN_GRPC_INSECURE=true on loopback"
        )
    authenticate_by(wanted)
    secure = credentials_of(wanted.grpc, wanted.tls) is not None
    mutual = ", client certificates" if wanted.tls.client_ca else ""
    return Found(
        text=f"{wanted.grpc.host}:{wanted.grpc.port}, "
        f"{f'TLS{mutual}' if secure else 'insecure, for this machine alone'}"
    )


def keys(wanted: Settings) -> Found:
    """The issuer's keys can be read now."""
    if not wanted.oidc.jwks:
        return Found(text="none set; nobody can call with a token")
    try:
        found = parse_keys(reader_of(wanted.oidc.jwks, wanted.oidc.ca)())
    except (OSError, ValueError) as error:
        what = f"{wanted.oidc.jwks}: no keys ({type(error).__name__}); check CHROMOGEN_OIDC_JWKS and the way to it"
        raise Failed(ServiceReason.KEYS_UNREACHABLE, what) from None
    return Found(text=f"{len(found)} of {wanted.oidc.issuer}")


def certificates(wanted: Settings) -> Found:
    """How long those that are set are good for."""
    days = {name: _days_left(name, path) for name, path in _files(wanted).items()}
    if not days:
        return Found(text="none set")
    over = sorted(name for name, left in days.items() if left < 0)
    if over:
        raise Failed(ServiceReason.SETTING_INVALID, f"{', '.join(over)}: not valid any more, or not yet; renew it")
    soon = sorted(name for name, left in days.items() if left < RENEW_DAYS)
    return Found(
        text=", ".join(f"{name} {left:.0f} days" for name, left in sorted(days.items())),
        advice=f"renew {', '.join(soon)}" if soon else "",
    )


def _files(wanted: Settings) -> dict[str, Path]:
    given = {
        "TLS_CERT": wanted.tls.cert,
        "TLS_CLIENT_CA": wanted.tls.client_ca,
        "MLLP_TLS_CERT": wanted.mllp.tls_cert,
        "MLLP_TLS_CLIENT_CA": wanted.mllp.tls_client_ca,
        "LIS_TLS_CA": wanted.lis.tls_ca,
        "LIS_TLS_CERT": wanted.lis.tls_cert,
        "ENGINE_CA": wanted.engine.ca,
        "ENGINE_CERT": wanted.engine.cert,
        "OIDC_CA": wanted.oidc.ca,
        "TRACES_CA": wanted.traces.ca,
        "CLIENT_CA": wanted.client.ca,
        "CLIENT_CERT": wanted.client.cert,
    }
    return {f"CHROMOGEN_{name}": path for name, path in given.items() if path is not None}


def _days_left(name: str, path: Path) -> float:
    """Of the one in the file that ends first; negative where one isn't valid now. Raises Refused SETTING_INVALID."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        raise Refused(
            ServiceReason.SETTING_INVALID, f"{name}: {path} holds no PEM certificate that can be read"
        ) from None
    now = datetime.now(UTC)
    if any(one.not_valid_before_utc > now for one in found):
        return -1
    return min((one.not_valid_after_utc - now).total_seconds() for one in found) / 86_400

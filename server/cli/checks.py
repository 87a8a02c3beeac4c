"""What `chromogen check` checks: each function asks one dependency, says what it found, or raises with what to do."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from cryptography import x509
from sqlalchemy import text

from inference.assay import assays
from inference.engines.factory import make_engine
from inference.engines.triton import TritonEngine
from inference.errors import Reason
from inference.infer import Engine
from server import api_service
from server.api.auth import authenticate_by
from server.api.keys import parse_keys, reader_of
from server.api.server import credentials_of
from server.bootstrap import Service, bootstrap
from server.disk import free_gb
from server.domain.errors import Failed, Refused, ServiceReason
from server.settings import Settings, is_loopback
from server.site_file import site_of
from server.store.database import transaction, unproven_hosts
from server.store.migrate import OLDER_TABLES, Standing, standing
from server.store.queue_metrics import outages
from server.tls import engine_secure, listener_context

LEAST_FREE_GB = 5.0
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
    """The configured engine with each model: a blank tile runs in this process; Triton servers are asked for it."""
    secure = engine_secure(wanted.engine)
    made = [make_engine(wanted.engine.name, model=model, secure=secure) for model in assay_models()]
    try:
        return Found(text=f"{wanted.engine.name}: {'; '.join(map(_runs, made))}")
    finally:
        for one in made:
            if isinstance(one, TritonEngine):
                one.close()


def assay_models() -> tuple[str, ...]:
    """The folder of each model that an assay needs."""
    return tuple(dict.fromkeys(assay.model for assay in assays()))


def _runs(made: Engine) -> str:
    """Raises Failed ENGINE_FAILED where a server doesn't serve the model."""
    if not isinstance(made, TritonEngine):
        return _blank_tile(made)
    wrong = [f"{address}: {what}" for address, what in made.check() if what]
    if wrong:
        message = f"{'; '.join(wrong)}; start Triton with this release's models, or correct CHROMOGEN_ENGINE_NAME"
        raise Failed(Reason.ENGINE_FAILED, message)
    return f"{made.facts.name} {made.facts.version}"


def _blank_tile(made: Engine) -> str:
    found = made.detect(np.full((1, 256, 256, 3), 240, np.uint8), made.model.counting_threshold)[0]
    facts, n = made.facts, len(found.columns.get("x", ()))
    return f"{facts.name} {facts.version}, sha256 {facts.sha256[:12]}, {n} cells on a blank tile"


def models(_: Settings) -> Found:
    """The networks that came with this release, which a slide's result names, whichever engine runs them."""
    return Found(text="; ".join(_blank_tile(make_engine(model=model)) for model in assay_models()))


def folder(wanted: Settings) -> Found:
    """The data folder can be written to and has room."""
    place = wanted.data.folder
    free = written(place, "CHROMOGEN_DATA_FOLDER", make=True)
    if free < LEAST_FREE_GB:
        advice = f"at least {LEAST_FREE_GB:g} are needed: make room (docs/operations.md, Retention)"
        raise Failed(ServiceReason.SETTING_INVALID, f"{free:.1f} GB free in {place}; {advice}")
    return Found(text=f"{place}, {free:.0f} GB free")


def written(place: Path, name: str, *, make: bool) -> float:
    """GB free in a folder that can be written to. Raises Failed SETTING_INVALID."""
    try:
        if make:
            place.mkdir(parents=True, exist_ok=True)
        return free_gb(place)
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
        with transaction(service.database) as connection:
            told += "".join(f", {n} orders wait: {reason}" for reason, n in outages(connection))
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


def mllp(wanted: Settings) -> Found:
    """How orders come in, but at listeners of the site file."""
    where = f"orders at {wanted.mllp.host}:{wanted.mllp.port}"
    context = listener_context(wanted.mllp)
    if context is None:
        if is_loopback(wanted.mllp.host):
            return Found(text=f"{where}, plain text")
        return Found(
            text=f"{where}, plain text", advice="patients cross the network readable: set CHROMOGEN_MLLP_TLS_*"
        )
    return Found(text=f"{where}, TLS{', client certificates' if wanted.mllp.tls_client_ca else ''}")


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
        "ENGINE_CA": wanted.engine.ca,
        "ENGINE_CERT": wanted.engine.cert,
        "OIDC_CA": wanted.oidc.ca,
        "TRACES_CA": wanted.traces.ca,
        "CLIENT_CA": wanted.client.ca,
        "CLIENT_CERT": wanted.client.cert,
    }
    named = {f"CHROMOGEN_{name}": path for name, path in given.items()}
    return {name: path for name, path in named.items() if path is not None} | dict(site_of(wanted).certificates)


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

"""Every setting, as CHROMOGEN_<GROUP>_<NAME> in the environment; read once, at the start, by `load`.

A variable that begins with CHROMOGEN_ and names no setting stops the start, and so does a value that doesn't fit.
"""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.domain.errors import Refused, ServiceReason

PREFIX = "CHROMOGEN_"

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Database(_Group):
    """`url` postgresql://...; empty: a private PostgreSQL in the data folder.

    `password_file` holds the password that it lacks.
    """

    url: SecretStr = SecretStr("")
    password_file: Path | None = None


class Data(_Group):
    """Where results, spooled slides and the private PostgreSQL lie."""

    folder: Path = Path("chromogen-data")


class Mllp(_Group):
    """Where orders are listened for; port 0: any free one.

    With `tls_cert` and `tls_key` (PEM) by TLS alone; with `tls_client_ca` only from who shows a certificate of that
    authority.
    """

    host: str = "127.0.0.1"
    port: Port = 2575
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None


class Archive(_Group):
    """The folder archive that slides come from and SR, ANN and SEG go to; empty: `archive` in the data folder.

    `wait_s` an order waits for a slide that isn't there yet, or not whole, looking now and then, before it is refused;
    0: refused at once. `spool_gb` of slides that came from archives are kept in the data folder for the next case,
    beside those in use.
    """

    folder: Path | None = None
    wait_s: Annotated[float, Field(ge=0, le=604_800)] = 900
    spool_gb: Annotated[float, Field(gt=0, le=1_000_000)] = 50


class Lis(_Group):
    """The MLLP receiver of ORU^R01; empty host: results are not sent to a LIS.

    A message that it answers `errors` times with AE or CE is given up, and the next goes out.

    With `tls_ca` (PEM) by TLS, to a receiver whose certificate is of that authority and names `host`; `tls_cert` and
    `tls_key` are our own, for a receiver that asks.
    """

    host: str = ""
    port: Port = 2576
    timeout_s: Seconds = 30
    errors: Annotated[int, Field(ge=1, le=10_000)] = 10
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


class Site(_Group):
    """`file` (TOML) names laboratories, archives, destinations and routes, in place of ARCHIVE_FOLDER and LIS_*; empty:
    one archive, one LIS, and orders are taken of any laboratory.
    """

    file: Path | None = None


class Grpc(_Group):
    """Where the API listens; port 0: any free one. It needs TLS and OIDC, or `insecure`, which is refused beyond
    loopback.

    `threads` calls and `streams` streams run at once, of one laboratory at most half of the streams; `rate` calls a
    second and caller. A call's message must come within `receive_s`, the call ends after `deadline_s`, a stream where
    nothing happens after `idle_s`. `local_lab` is whose a call is that comes without a token, which only `insecure`
    without OIDC allows. At `health_port` (empty: nowhere) health alone is answered, in plain text, for Kubernetes'
    probes, which speak no TLS.
    """

    host: str = "127.0.0.1"
    port: Port = 50051
    insecure: bool = False
    local_lab: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = "LOCAL"
    reflection: bool = False
    threads: Annotated[int, Field(ge=1, le=256)] = 8
    streams: Annotated[int, Field(ge=1, le=256)] = 16
    rate: Annotated[float, Field(gt=0, le=1_000_000)] = 1000
    deadline_s: Seconds = 60
    receive_s: Seconds = 10
    idle_s: Seconds = 300
    health_port: Port | None = None


class Web(_Group):
    """Where the HTTP door listens; empty `port`: nowhere. It has the API's certificate and takes its tokens; without a
    certificate it is for loopback only. `open_images`: DeepLIIF's endpoints ask no token there, on loopback alone.
    Images that people lay on the page are kept for `images_kept_s`; `terms_file` (plain text) is shown to each once.

    `address` is how browsers reach it, such as https://chromogen.hospital.example; another host that is asked for isn't
    answered. Empty: by any name beyond loopback, and nobody can sign in by OIDC. Who signed in is signed out after
    `idle_s` without a request, and after `session_s` in any case. `local_user` may sign in without a password: on
    loopback, with CHROMOGEN_GRPC_INSECURE, for a demonstration.
    """

    host: str = "127.0.0.1"
    port: Port | None = None
    address: Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9.\[\]:-]+)?$")] = ""
    idle_s: Seconds = 1800
    session_s: Seconds = 43_200
    local_user: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")] = ""
    open_images: bool = False
    images_kept_s: Annotated[float, Field(gt=0, le=31_536_000)] = 604_800
    terms_file: Path | None = None


class Tls(_Group):
    """PEM files of the API: its certificate and key, and the authority whose client certificates are asked for (empty:
    none).
    """

    cert: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None


class Oidc(_Group):
    """Whose tokens are taken: issuer, audience, and their keys as a JWKS file or https:// address, looked at each
    `refresh_s`.

    `ca` is the authority (PEM) of that address's certificate, and of the issuer's; empty: those that the system trusts.
    A token that was made to live longer than `lifetime_s` is refused, and one whose number (jti) or subject stands on a
    line of the file `revoked`, which may change at any time. `client_id` is ours at the issuer, for people who sign in
    at the page (code flow with PKCE); `client_secret_file` holds its secret, where it has one.
    """

    issuer: str = ""
    audience: str = ""
    jwks: str = ""
    ca: Path | None = None
    client_id: str = ""
    client_secret_file: Path | None = None
    refresh_s: Seconds = 300
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30
    lifetime_s: Annotated[float, Field(ge=1, le=31_536_000)] = 43_200
    revoked: Path | None = None


class Client(_Group):
    """The API as `chromogen order` and its kin reach it.

    Without `ca` the connection is not encrypted: loopback only.
    """

    server: str = "127.0.0.1:50051"
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    timeout_s: Seconds = 30


class Worker(_Group):
    """`lease_s` after which a silent worker's case is another's; `poll_s` between polls; `grace_s` for a case to end on
    SIGTERM.

    `stat_only` keeps a worker for STAT orders. `outlines` of nuclei are found too: a tenth of a second more a mm². A
    case that fails counts as one of `max_attempts`, unless archive, engine, database or disk was away: for that an
    order waits `outage_s` from its beginning.
    """

    lease_s: Seconds = 60
    poll_s: Seconds = 1
    grace_s: Seconds = 25
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    outage_s: Annotated[float, Field(ge=0, le=2_592_000)] = 259_200
    stat_only: bool = False
    outlines: bool = False


class Engine(_Group):
    """`name` local, or triton://host:port[,host:port]; tritons:// by TLS.

    That needs `ca` (PEM): whose certificate is of that authority and names its host is trusted. `cert` and `key` are
    our own, for servers that ask.
    """

    name: Annotated[str, Field(pattern=r"^(local|tritons?://[^/\s:,]+:\d{1,5}(,[^/\s:,]+:\d{1,5})*)$")] = "local"
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class Icc(_Group):
    """`use` true: colours are corrected by the slide's ICC profile before they are measured."""

    use: bool = False


class Slides(_Group):
    """Formats that are read though no file of theirs was ever tried (docs/slides.md), by OpenSlide's names, a comma
    between them.
    """

    untried: str = ""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.untried.split(",") if name.strip())


class Metrics(_Group):
    """Where Prometheus may ask, over plain HTTP; empty `port`: nowhere. Nothing in them is about a patient."""

    host: str = "127.0.0.1"
    port: Port | None = None


class Traces(_Group):
    """`endpoint` of an OpenTelemetry collector (OTLP by HTTP), such as http://127.0.0.1:4318/v1/traces; empty: no
    traces.

    `ca` is the authority (PEM) of its certificate; empty: those that the system trusts.
    """

    endpoint: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    ca: Path | None = None


class Log(_Group):
    """`format` auto: for people on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Settings(BaseSettings):
    """All of it. Equal environments give equal settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
    )

    database: Database = Database()
    data: Data = Data()
    mllp: Mllp = Mllp()
    archive: Archive = Archive()
    lis: Lis = Lis()
    site: Site = Site()
    grpc: Grpc = Grpc()
    web: Web = Web()
    tls: Tls = Tls()
    oidc: Oidc = Oidc()
    client: Client = Client()
    worker: Worker = Worker()
    engine: Engine = Engine()
    icc: Icc = Icc()
    slides: Slides = Slides()
    metrics: Metrics = Metrics()
    traces: Traces = Traces()
    log: Log = Log()

    @property
    def archive_folder(self) -> Path:
        return self.archive.folder or self.data.folder / "archive"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def variables() -> tuple[str, ...]:
    """The names of all settings, in the order of their groups."""
    groups = {name: field.annotation for name, field in Settings.model_fields.items()}
    return tuple(
        f"{PREFIX}{name}_{inner}".upper()
        for name, group in groups.items()
        if isinstance(group, type) and issubclass(group, BaseModel)
        for inner in group.model_fields
    )


def load() -> Settings:
    """Read the environment. Raises Refused SETTING_INVALID, naming the variable and never its value."""
    known = set(variables())
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise Refused(
            ServiceReason.SETTING_INVALID,
            f"{', '.join(unknown)}: no such setting; known are {', '.join(sorted(known))}",
        )
    try:
        return Settings()
    except ValidationError as error:
        raise Refused(
            ServiceReason.SETTING_INVALID, "; ".join(_complaint(e["loc"], e["msg"]) for e in error.errors())
        ) from None


def _complaint(where: tuple[int | str, ...], what: str) -> str:
    name = PREFIX + "_".join(str(part) for part in where).upper()
    return f"{name}: {what[:1].lower()}{what[1:]}"

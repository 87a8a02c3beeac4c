"""The engine that a name stands for, in settings and on the command line, and as a case of some urgency asks it."""

from pathlib import Path

from inference.engines.local import LocalEngine
from inference.engines.triton import TritonEngine
from inference.engines.triton_tls import Newest
from inference.errors import Failed, Reason, Refused
from inference.infer import Engine, Urgency

TRITON, TRITON_BY_TLS = "triton://", "tritons://"


def make_engine(
    name: str = "local", models: Path | None = None, *, together: bool = False, secure: Newest | None = None
) -> Engine:
    """`local`, or `triton://host:port[,host:port]`, which connects with the first tile; `tritons://` by TLS. Raises
    Refused.

    `secure` belongs to `tritons://`, which needs it. With `together` all cores share one tile, where it is this process
    that computes: for pictures, not for slides.
    """
    if name.startswith(TRITON_BY_TLS) is (secure is None):
        raise Refused(
            Reason.ENGINE_FAILED,
            f"{TRITON_BY_TLS} needs an authority (PEM) that its servers are trusted by; others none",
        )
    if name == "local":
        return LocalEngine(models, together=together)
    for scheme in (TRITON, TRITON_BY_TLS):
        if name.startswith(scheme):
            addresses = dict.fromkeys(
                address(part) for part in name.removeprefix(scheme).split(",")
            )  # each server once
            return TritonEngine(list(addresses), models, secure=secure)
    raise Refused(Reason.ENGINE_FAILED, f"engine {name!r} is neither local nor triton[s]://host:port[,host:port]")


def asked_with(engine: Engine, urgency: Urgency) -> Engine:
    """The engine for a case of this urgency. Only servers have queues in which it could overtake."""
    return engine.asked_with(urgency) if isinstance(engine, TritonEngine) else engine


def check_ready(engine: Engine) -> None:
    """Raises Failed ENGINE_FAILED, retryable, where no server of a Triton engine can be asked now or serves this
    release's models.

    Costs nothing while the last look was good and nothing has failed since. An engine of this process is usable once it
    is made.
    """
    found = engine.check() if isinstance(engine, TritonEngine) else []
    if found and all(trouble for _, trouble in found):
        said = "; ".join(f"{where}: {trouble}" for where, trouble in found)
        raise Failed(Reason.ENGINE_FAILED, said, retryable=True)


def address(text: str) -> str:
    """host:port as gRPC takes it. Raises Refused ENGINE_FAILED."""
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Refused(
            Reason.ENGINE_FAILED,
            f"{text!r} isn't host:port; name a Triton server's gRPC port, e.g. triton://localhost:8001",
        )
    return f"{host}:{port}"

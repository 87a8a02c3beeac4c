"""The engine that a name stands for, in settings and on the command line, and as a case of some urgency asks it."""

import threading
from pathlib import Path

from inference.assay import Assay, assays
from inference.engines.local import LocalEngine
from inference.engines.triton import TritonEngine
from inference.engines.triton_tls import Newest
from inference.errors import Failed, Reason, Refused
from inference.infer import Engine, Urgency
from inference.model import Model, read_model, shipped_models

TRITON, TRITON_BY_TLS = "triton://", "tritons://"


def make_engine(
    name: str = "local",
    models: Path | None = None,
    *,
    model: str,
    together: bool = False,
    secure: Newest | None = None,
) -> Engine:
    """`local`, or `triton://host:port[,host:port]`, which connects with the first tile; `tritons://` by TLS. Raises
    Refused.

    `model` is a folder of the repository `models`, the shipped one unless given. `secure` belongs to `tritons://`,
    which needs it. With `together` all cores share one tile, where it is this process that computes: for pictures, not
    for slides.
    """
    return Engines(name, models, together=together, secure=secure).of_model(model)


class Engines:
    """What runs the models of assays, all by the engine of one name: one engine a model, made when it is first
    asked for.

    Arguments as of `make_engine`; raises Refused ENGINE_FAILED for a name that is none. Safe to share between threads.
    """

    def __init__(
        self, name: str = "local", models: Path | None = None, *, together: bool = False, secure: Newest | None = None
    ) -> None:
        self._addresses = addresses_of(name, secure=secure is not None)
        self._models, self._together, self._secure = models or shipped_models(), together, secure
        self._made: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def of(self, assay: Assay) -> Engine:
        """Raises Refused MODEL_INVALID where the model isn't whole, or is of other cells than the assay's."""
        engine, schema = self.of_model(assay.model), assay.analyzer.schema
        if engine.model.cells != f"{schema.name}/{schema.version}":
            what = f"{assay.model} gives cells of {engine.model.cells}, which {assay.marker} isn't scored from"
            raise Refused(Reason.MODEL_INVALID, what)
        return engine

    def of_model(self, folder: str) -> Engine:
        """Raises Refused MODEL_INVALID."""
        with self._lock:
            if folder not in self._made:
                self._made[folder] = self._make(read_model(self._models, folder))
            return self._made[folder]

    def check_ready(self) -> None:
        """`check_ready` of the engine of every assay: an order of any may be next. Raises as `of`, too."""
        for engine in dict.fromkeys(self.of(assay) for assay in assays()):
            check_ready(engine)

    def _make(self, model: Model) -> Engine:
        if self._addresses:
            return TritonEngine(self._addresses, model, secure=self._secure)
        return LocalEngine(model, together=self._together)


def asked_with(engine: Engine, urgency: Urgency) -> Engine:
    """The engine for a case of this urgency. Only servers have queues in which it could overtake."""
    return engine.asked_with(urgency) if isinstance(engine, TritonEngine) else engine


def check_ready(engine: Engine) -> None:
    """Raises Failed ENGINE_FAILED, retryable, where no server of a Triton engine can be asked now or serves this
    release's models.

    Costs nothing while the last check was good and nothing has failed since. An engine of this process is usable once
    it is made.
    """
    found = engine.check() if isinstance(engine, TritonEngine) else []
    if found and all(trouble for _, trouble in found):
        said = "; ".join(f"{where}: {trouble}" for where, trouble in found)
        raise Failed(Reason.ENGINE_FAILED, said, retryable=True)


def addresses_of(name: str, *, secure: bool) -> tuple[str, ...]:
    """The Triton servers that a name names, each once; none for `local`. Raises Refused ENGINE_FAILED."""
    if name.startswith(TRITON_BY_TLS) is not secure:
        raise Refused(
            Reason.ENGINE_FAILED,
            f"{TRITON_BY_TLS} needs an authority (PEM) that its servers are trusted by; others none",
        )
    if name == "local":
        return ()
    for scheme in (TRITON, TRITON_BY_TLS):
        if name.startswith(scheme):
            return tuple(dict.fromkeys(address(part) for part in name.removeprefix(scheme).split(",")))
    raise Refused(Reason.ENGINE_FAILED, f"engine {name!r} is neither local nor triton[s]://host:port[,host:port]")


def address(text: str) -> str:
    """host:port as gRPC takes it. Raises Refused ENGINE_FAILED."""
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Refused(
            Reason.ENGINE_FAILED,
            f"{text!r} isn't host:port; name a Triton server's gRPC port, e.g. triton://localhost:8001",
        )
    return f"{host}:{port}"

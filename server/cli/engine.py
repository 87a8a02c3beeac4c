"""Which engine `--engine` names."""

from pathlib import Path

from inference.engines.local import LocalEngine
from inference.errors import Reason, Refused
from inference.infer import Engine


def make_engine(name: str = "local", models: Path | None = None) -> Engine:
    """`local`, the only one so far. Raises Refused MODEL_INVALID, ENGINE_FAILED."""
    if name == "local":
        return LocalEngine(models)
    raise Refused(Reason.ENGINE_FAILED, f"engine {name!r} isn't built in yet; use --engine local")

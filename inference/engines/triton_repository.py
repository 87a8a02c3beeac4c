"""The model repository for Triton: stamped with the graphs' hashes, checked, or rendered for a processor.

    python -m inference.engines.triton_repository stamp [MODELS]   after an export: hashes into config.pbtxt
    python -m inference.engines.triton_repository check [MODELS]   do configurations, graphs and model.json agree?
    python -m inference.engines.triton_repository cpu OUT [MODELS] the same models behind Triton's Python backend

The CPU variant is the production repository with another backend, instances on the processor and no accelerators. Its
`model.py` looks for chromogen and its libraries in PYTHONPATH: start the server with the environment's site-packages
there.
"""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inference.engines.graphs import DETECTION, GRADING
from inference.engines.local import read_model_file, read_model_folder, shipped_models
from inference.errors import ChromogenError, Reason, Refused

ENSEMBLE = "ihc_tile"
VERSION = "1"
PRODUCTION_SIDE = 1088
PIXELS_PER_PLACE = 64
MODEL_PY = """import os
import sys

# The backend's interpreter starts without looking at PYTHONPATH.
sys.path[:0] = [p for p in os.environ.get("PYTHONPATH", "").split(":") if p and p not in sys.path]

from inference.engines.python_backend import TritonPythonModel as TritonPythonModel
"""

_HASH = re.compile(r'(parameters \{ key: "sha256" value \{ string_value: ")[^"]*(" \} \})')


def read_config(path: Path) -> model_config_pb2.ModelConfig:
    """A config.pbtxt as Triton's own message. Raises Refused MODEL_INVALID."""
    try:
        return text_format.Parse(read_model_file(path).decode(), model_config_pb2.ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError):
        raise Refused(
            Reason.MODEL_INVALID, f"{path} isn't a model configuration of Triton; take the one that was shipped"
        ) from None


def stamp(models: Path) -> None:
    """Write the hashes of model.json, checked against the graphs, into the configurations."""
    folder = read_model_folder(models)
    for name in (DETECTION, GRADING):
        folder.graph(name)
        for path in configurations(models, name):
            text, count = _HASH.subn(rf"\g<1>{folder.sha256[name]}\g<2>", read_model_file(path).decode())
            if count != 1:
                raise Refused(Reason.MODEL_INVALID, f"{path} has no place for the graph's hash (parameters sha256)")
            path.write_text(text)


def check(models: Path) -> None:
    """Raises Refused MODEL_INVALID where a configuration, a graph and model.json name different files."""
    folder = read_model_folder(models)
    for name in (DETECTION, GRADING):
        folder.graph(name)
        for path in configurations(models, name):
            if sha256_of(read_config(path)) != folder.sha256[name]:
                raise Refused(
                    Reason.MODEL_INVALID, f"{path} names another graph than model.json; run the stamp command"
                )
    read_config(models / ENSEMBLE / "config.pbtxt")


def configurations(models: Path, name: str) -> list[Path]:
    """A model's configuration, and those that can be chosen in its place (`--model-config-name`)."""
    return [models / name / "config.pbtxt", *sorted((models / name / "configs").glob("*.pbtxt"))]


def sha256_of(config: model_config_pb2.ModelConfig) -> str:
    """The hash of the graph that a configuration names; empty where it names none."""
    return str(config.parameters["sha256"].string_value) if "sha256" in config.parameters else ""


def render_cpu(
    models: Path, out: Path, *, side: int = PRODUCTION_SIDE, instances: int = 1, max_batch: int | None = None
) -> None:
    """Write the CPU variant to `out`: tiles of `side` px, `instances` processes of one thread each
    for the detection.
    """
    check(models)
    for name in (DETECTION, GRADING, ENSEMBLE):
        config = read_config(models / name / "config.pbtxt")
        _resize(config, side, max_batch or config.max_batch_size)
        if name != ENSEMBLE:
            _on_processor(config, instances if name == DETECTION else 1)
        version = out / name / VERSION
        version.mkdir(parents=True, exist_ok=True)
        (out / name / "config.pbtxt").write_text(text_format.MessageToString(config))
        if name != ENSEMBLE:
            (version / "model.py").write_text(MODEL_PY)
            shutil.copyfile(models / name / VERSION / "model.onnx", version / "model.onnx")


def _on_processor(config: model_config_pb2.ModelConfig, instances: int) -> None:
    config.backend, config.default_model_filename = "python", "model.py"
    config.ClearField("optimization")
    del config.instance_group[:]
    config.instance_group.add(kind=model_config_pb2.ModelInstanceGroup.KIND_CPU, count=instances)


def _resize(config: model_config_pb2.ModelConfig, side: int, max_batch: int) -> None:
    """Sides and places of another tile: production has 18496 places."""
    swapped = {PRODUCTION_SIDE: side, PRODUCTION_SIDE**2 // PIXELS_PER_PLACE: side**2 // PIXELS_PER_PLACE}
    warmups = [w for sample in config.model_warmup for w in sample.inputs.values()]
    for tensor in (*config.input, *config.output, *warmups):
        tensor.dims[:] = [swapped.get(d, d) for d in tensor.dims]
    config.max_batch_size = max_batch
    for sample in config.model_warmup:
        sample.batch_size = min(sample.batch_size, max_batch)
    if config.HasField("dynamic_batching"):
        preferred = config.dynamic_batching.preferred_batch_size
        preferred[:] = sorted({min(n, max_batch) for n in preferred})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("stamp", "check", "cpu"):
        command = commands.add_parser(name)
        if name == "cpu":
            command.add_argument("out", type=Path)
            command.add_argument("--instances", type=int, default=1, help="processes of the detection, one thread each")
        command.add_argument("models", type=Path, nargs="?", default=shipped_models())
    args = parser.parse_args(arguments)
    try:
        if args.command == "cpu":
            render_cpu(args.models, args.out, instances=args.instances)
        else:
            (stamp if args.command == "stamp" else check)(args.models)
    except ChromogenError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

"""The model repository for Triton: stamped with the graphs' hashes, checked, or rendered for a processor.

    python -m inference.engines.triton_repository stamp [MODELS]   after an export: hashes into config.pbtxt
    python -m inference.engines.triton_repository check [MODELS]   do configurations, graphs and manifests agree?
    python -m inference.engines.triton_repository cpu OUT [MODELS] the same models behind Triton's Python backend

All models of the repository are taken. A model is an ensemble of its folder's name, which gives every output of its
graphs. The CPU variant is the production repository with another backend, instances on the processor and no
accelerators. Its `model.py` looks for chromogen and its libraries in PYTHONPATH: start the server with the
environment's site-packages there.
"""

import argparse
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inference.errors import ChromogenError, Reason, Refused
from inference.model import (
    FINGERPRINT_NUMBERS,
    MANIFEST,
    RUNNING,
    TILES,
    Dtype,
    Graph,
    Model,
    Role,
    models_of,
    read_model_file,
    shipped_models,
)

TYPES = {
    Dtype.FLOAT32: model_config_pb2.TYPE_FP32,
    Dtype.INT32: model_config_pb2.TYPE_INT32,
    Dtype.UINT8: model_config_pb2.TYPE_UINT8,
    Dtype.INT8: model_config_pb2.TYPE_INT8,
}
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
    """Write the hashes of the manifests, checked against the graphs, into the configurations."""
    for model in models_of(models):
        for graph in model.graphs:
            model.graph_bytes(graph)
            for path in configurations(models, graph.name):
                text, count = _HASH.subn(rf"\g<1>{graph.sha256[RUNNING]}\g<2>", read_model_file(path).decode())
                if count != 1:
                    raise Refused(Reason.MODEL_INVALID, f"{path} has no place for the graph's hash (parameters sha256)")
                path.write_text(text)


def check(models: Path) -> None:
    """Raises Refused MODEL_INVALID where configurations, graphs and manifests name different files or tensors."""
    for model in models_of(models):
        for graph in model.graphs:
            model.graph_bytes(graph)
            for path in configurations(models, graph.name):
                config = read_config(path)
                if sha256_of(config) != graph.sha256[RUNNING]:
                    what = f"{path} names another graph than the {MANIFEST} beside it; run the stamp command"
                    raise Refused(Reason.MODEL_INVALID, what)
                _check_tensors(path, config, model, graph.inputs, graph.output_names)
        ensemble = models / model.folder / "config.pbtxt"
        names = [name for graph in model.graphs for name in graph.output_names]
        _check_tensors(ensemble, read_config(ensemble), model, (TILES,), names)


def _check_tensors(
    path: Path, config: model_config_pb2.ModelConfig, model: Model, inputs: Iterable[str], outputs: Iterable[str]
) -> None:
    found = {(tensor.name, tensor.data_type, tuple(tensor.dims)) for tensor in (*config.input, *config.output)}
    if found != {(name, *_kind(model, name, model.tile.side)) for name in (*inputs, *outputs)}:
        raise Refused(Reason.MODEL_INVALID, f"{path} names other tensors than the manifests of {model.folder}")


def _kind(model: Model, name: str, side: int) -> tuple[int, tuple[int, ...]]:
    """Type and dims of a tensor of a model in Triton's configuration; one number a tile has the dims (1,) there."""
    if name == TILES:
        return model_config_pb2.TYPE_UINT8, (side, side, 3)
    tensor = next((tensor for tensor in model.tensors if tensor.name == name), None)
    if tensor is None:
        return model_config_pb2.TYPE_INT32, (FINGERPRINT_NUMBERS,)
    return TYPES[tensor.dtype], model.shape_of(tensor, side) or (1,)


def configurations(models: Path, name: str) -> list[Path]:
    """A model's configuration, and those that can be chosen in its place (`--model-config-name`)."""
    return [models / name / "config.pbtxt", *sorted((models / name / "configs").glob("*.pbtxt"))]


def sha256_of(config: model_config_pb2.ModelConfig) -> str:
    """The hash of the graph that a configuration names; empty where it names none."""
    return str(config.parameters["sha256"].string_value) if "sha256" in config.parameters else ""


def render_cpu(
    models: Path, out: Path, *, side: int | None = None, instances: int = 1, max_batch: int | None = None
) -> None:
    """Write the CPU variant to `out`: tiles of `side` px, or each model's own.

    `instances` processes of one thread each run what finds.
    """
    check(models)
    for model in models_of(models):
        for graph in model.graphs:
            _render(model, graph.name, out, side, max_batch, instances if graph.role is Role.FIND else 1)
            _copy_graph(graph, models, out)
        _render(model, model.folder, out, side, max_batch, None)


def _render(model: Model, name: str, out: Path, side: int | None, max_batch: int | None, instances: int | None) -> None:
    """A configuration; `instances` None: of an ensemble, which has none."""
    config = read_config(model.repository / name / "config.pbtxt")
    _resize(config, model, side or model.tile.side, max_batch or config.max_batch_size)
    if instances is not None:
        _on_processor(config, instances)
    (out / name / RUNNING).mkdir(parents=True, exist_ok=True)
    (out / name / "config.pbtxt").write_text(text_format.MessageToString(config))


def _copy_graph(graph: Graph, models: Path, out: Path) -> None:
    version = out / graph.name / RUNNING
    (version / "model.py").write_text(MODEL_PY)
    shutil.copyfile(models / graph.name / RUNNING / "model.onnx", version / "model.onnx")
    shutil.copyfile(models / graph.name / MANIFEST, version.parent / MANIFEST)


def _on_processor(config: model_config_pb2.ModelConfig, instances: int) -> None:
    config.backend, config.default_model_filename = "python", "model.py"
    config.ClearField("optimization")
    del config.instance_group[:]
    config.instance_group.add(kind=model_config_pb2.ModelInstanceGroup.KIND_CPU, count=instances)


def _resize(config: model_config_pb2.ModelConfig, model: Model, side: int, max_batch: int) -> None:
    """Shapes for tiles of another side, and batches of another size."""
    for tensor in (*config.input, *config.output):
        tensor.dims[:] = _kind(model, tensor.name, side)[1]
    config.max_batch_size = max_batch
    for sample in config.model_warmup:
        sample.batch_size = min(sample.batch_size, max_batch)
        for name in sample.inputs:
            sample.inputs[name].dims[:] = _kind(model, name, side)[1]
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

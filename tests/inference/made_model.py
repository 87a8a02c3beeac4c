"""A made-up model repository whose graphs have no name, output or runtime in common with the shipped ones.

`shade` answers with a map at stride 2, in OpenVINO. `dark` finds: place i is pixel i of the first row, the likelier a
peak the darker. `reds` measures at peaks, and reads the map. Both in ONNX Runtime.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.model import COUNT, TILES, Dtype, Graph, Model, Resolution, Role, Runtime, Tensor
from inference.tile import TileShape
from inference.training.fingerprint import fingerprinted
from inference.training.manifest import write_graph, write_model

STRIDE, PIXELS_PER_PLACE = 32, 64
FLOAT, INT32, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8
Made = tuple[list[onnx.NodeProto], Mapping[str, object]]


def lay_model(repository: Path) -> Model:
    """Write graphs and manifests; returns the model."""
    places = ("places",)
    graphs = (
        _lay(
            repository,
            _shade(),
            Graph(
                name="shade",
                role=Role.MAP,
                runtime=Runtime.OPENVINO,
                inputs=(TILES,),
                outputs=(Tensor(name="dusk", dtype=Dtype.FLOAT32, shape=("side/2", "side/2", 3), low=0, high=255),),
                fingerprint_output="shade_mark",
                sha256={"1": ""},
                fingerprint={"1": ""},
            ),
        ),
        _lay(
            repository,
            _dark(),
            Graph(
                name="dark",
                role=Role.FIND,
                runtime=Runtime.ONNX_RUNTIME,
                inputs=(TILES,),
                outputs=(
                    Tensor(name="x", dtype=Dtype.FLOAT32, shape=places, low=0, high="side"),
                    Tensor(name="y", dtype=Dtype.FLOAT32, shape=places, low=0, high="side"),
                    Tensor(name="likely", dtype=Dtype.FLOAT32, shape=places, low=0, high=1),
                    Tensor(name=COUNT, dtype=Dtype.INT32, shape=(), low=0),
                ),
                fingerprint_output="dark_mark",
                sha256={"1": ""},
                fingerprint={"1": ""},
                probability="likely",
            ),
        ),
        _lay(
            repository,
            _reds(),
            Graph(
                name="reds",
                role=Role.MEASURE,
                runtime=Runtime.ONNX_RUNTIME,
                inputs=("x", "likely", "dusk", TILES),
                outputs=(Tensor(name="pair", dtype=Dtype.FLOAT32, shape=("places", 2)),),
                fingerprint_output="reds_mark",
                sha256={"1": ""},
                fingerprint={"1": ""},
            ),
        ),
    )
    model = Model(
        repository=repository,
        folder="made_tile",
        name="made-up",
        version="3",
        cells="made/1",
        resolution=Resolution(working=0.25, finest=0.2, coarsest=0.3),
        tile=TileShape(core=64, halo=STRIDE, stride=STRIDE),
        pixels_per_place=PIXELS_PER_PLACE,
        counting_threshold=0.4,
        graphs=graphs,
    )
    write_model(model, multiply_adds_per_pixel=1)
    return model


def _lay(repository: Path, made: onnx.ModelProto, graph: Graph) -> Graph:
    fingerprint = fingerprinted(made, graph.fingerprint_output)
    path = repository / graph.name / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    onnx.save(made, path)
    fields = {name: getattr(graph, name) for name in Graph.__slots__}
    digests = {"sha256": {"1": hashlib.sha256(path.read_bytes()).hexdigest()}, "fingerprint": {"1": fingerprint}}
    laid = Graph(**{**fields, **digests})
    write_graph(repository, laid, opset=17)
    return laid


def _model(
    nodes: list[onnx.NodeProto], inputs: object, outputs: object, constants: Mapping[str, object]
) -> onnx.ModelProto:
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "made", list(inputs), list(outputs), held)  # type: ignore[call-overload]
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _value(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


TILES_IN = _value(TILES, UINT8, ["batch", "height", "width", 3])


def _shade() -> onnx.ModelProto:
    """Every second pixel of every second row."""
    nodes = [
        helper.make_node("Cast", [TILES], ["pixels"], to=FLOAT),
        helper.make_node("Slice", ["pixels", "from", "to", "axes", "steps"], ["dusk"]),
    ]
    constants = {"from": [0, 0], "to": [2**31, 2**31], "axes": [1, 2], "steps": [2, 2]}
    return _model(nodes, [TILES_IN], [_value("dusk", FLOAT, ["batch", "h", "w", 3])], constants)


def _dark() -> onnx.ModelProto:
    """Of tiles that are as wide as they have places: 64 px."""
    nodes = [
        helper.make_node("Shape", [TILES], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["height"]),
        helper.make_node("Gather", ["shape", "two"], ["width"]),
        helper.make_node("Mul", ["height", "width"], ["area"]),
        helper.make_node("Div", ["area", "per_place"], ["k"]),
        helper.make_node("Slice", [TILES, "zero3", "k3", "axes3"], ["row"]),
        helper.make_node("Concat", ["one", "k", "one"], ["k3"], axis=0),
        helper.make_node("Reshape", ["row", "flat"], ["first"]),
        helper.make_node("Cast", ["first"], ["red"], to=FLOAT),
        helper.make_node("Sub", ["white", "red"], ["blackness"]),
        helper.make_node("Div", ["blackness", "white"], ["likely"]),
        helper.make_node("Cast", ["likely"], ["there"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["there"], ["counted"], to=INT32),
        helper.make_node("ReduceSum", ["counted", "one"], [COUNT], keepdims=0),
        helper.make_node("Squeeze", ["k"], ["k0"]),
        helper.make_node("Range", ["start", "k0", "step"], ["columns"]),
        helper.make_node("Cast", ["columns"], ["across"], to=FLOAT),
        helper.make_node("Mul", ["likely", "none"], ["y"]),
        helper.make_node("Add", ["y", "across"], ["x"]),
    ]
    nodes[5], nodes[6] = nodes[6], nodes[5]
    constants = {
        "one": np.array([1]),
        "two": np.array([2]),
        "per_place": np.array([PIXELS_PER_PLACE]),
        "zero3": np.array([0, 0, 0]),
        "axes3": np.array([1, 2, 3]),
        "flat": np.array([0, -1]),
        "white": np.float32(255),
        "none": np.float32(0),
        "start": np.int64(0),
        "step": np.int64(1),
    }
    outputs = [_value(name, FLOAT, ["batch", "places"]) for name in ("x", "y", "likely")]
    return _model(nodes, [TILES_IN], [*outputs, _value(COUNT, INT32, ["batch"])], constants)


def _reds() -> onnx.ModelProto:
    """Of each peak: its x, and its probability plus the map's mean."""
    nodes = [
        helper.make_node("ReduceMean", ["dusk"], ["mean"], keepdims=0),
        helper.make_node("Add", ["likely", "mean"], ["sum"]),
        helper.make_node("Unsqueeze", ["x", "last"], ["left"]),
        helper.make_node("Unsqueeze", ["sum", "last"], ["right"]),
        helper.make_node("Concat", ["left", "right"], ["pair"], axis=2),
    ]
    inputs = [_value(name, FLOAT, ["batch", "n"]) for name in ("x", "likely")]
    inputs += [_value("dusk", FLOAT, ["batch", "h", "w", 3]), TILES_IN]
    return _model(nodes, inputs, [_value("pair", FLOAT, ["batch", "n", 2])], {"last": np.array([2])})

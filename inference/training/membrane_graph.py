"""Write the graph of membrane stains (ONNX, opset 17): tiles to densities of haematoxylin and DAB, and its manifests.

    python -m inference.training.membrane_graph [--out triton_models]

Nothing is trained: the graph unmixes the two stains (Ruifrok & Johnston 2001), and what is found and measured in its
maps follows in `inference/analyzers/membrane_cells.py`. Densities come as bytes: (byte - 20) / 150.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.analyzers.membrane_cells import HALO
from inference.analyzers.membrane_columns import MAP_UNIT, MAP_ZERO, SCHEMA
from inference.model import RUNNING, Dtype, Graph, Model, Resolution, Role, Runtime, Tensor
from inference.stain import unmixing
from inference.tile import TileShape
from inference.training.export import OPSET, file_of, marked
from inference.training.graphs import FINGERPRINTS
from inference.training.manifest import write_graph, write_model

GRAPH, FOLDER, NAME = "membrane_stains", "membrane", "chromogen-membrane"
RESOLUTION = Resolution(working=0.25, finest=0.2, coarsest=0.625)
TILE = TileShape(core=2048, halo=HALO, stride=32)
PIXELS_PER_PLACE = 64
OUTPUTS = ("haematoxylin", "dab")
MULTIPLY_ADDS = 8


def stains_model() -> onnx.ModelProto:
    """(b, h, w, 3) uint8 RGB to two (b, h, w) uint8 maps."""
    weights = unmixing().astype(np.float64)
    constants: dict[str, Any] = {
        "one": np.float32(1),
        "ln256": np.float32(np.log(256)),
        "zero": np.float32(0),
        "most": np.float32(255),
    }
    constants["shift"] = np.float32(MAP_ZERO)
    for i, name in enumerate(OUTPUTS):
        constants[f"{name}_weights"] = (weights[:, i : i + 1] / np.log(10) / MAP_UNIT).astype(np.float32)
    constants["last"] = np.array([3], np.int64)
    nodes = [
        helper.make_node("Cast", ["tiles"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["values", "one"], ["raised"]),
        helper.make_node("Log", ["raised"], ["logged"]),
        helper.make_node("Sub", ["ln256", "logged"], ["density"]),
    ]
    for name in OUTPUTS:
        nodes += [
            helper.make_node("MatMul", ["density", f"{name}_weights"], [f"{name}_amount"]),
            helper.make_node("Add", [f"{name}_amount", "shift"], [f"{name}_shifted"]),
            helper.make_node("Round", [f"{name}_shifted"], [f"{name}_whole"]),
            helper.make_node("Clip", [f"{name}_whole", "zero", "most"], [f"{name}_held"]),
            helper.make_node("Squeeze", [f"{name}_held", "last"], [f"{name}_plane"]),
            helper.make_node("Cast", [f"{name}_plane"], [name], to=TensorProto.UINT8),
        ]
    graph = helper.make_graph(
        nodes,
        GRAPH,
        [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [helper.make_tensor_value_info(n, TensorProto.UINT8, ["batch", "height", "width"]) for n in OUTPUTS],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def export(out: Path, version: str) -> None:
    """Write graph and manifests below `out`."""
    path = file_of(out, GRAPH)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(stains_model(), path)
    sha256, fingerprint = marked(out, GRAPH, RUNNING)
    graph = Graph(
        name=GRAPH,
        role=Role.MAP,
        runtime=Runtime.OPENVINO,
        inputs=("tiles",),
        outputs=tuple(
            Tensor(name=name, dtype=Dtype.UINT8, shape=("side", "side"), low=0, high=255) for name in OUTPUTS
        ),
        fingerprint_output=FINGERPRINTS[GRAPH],
        sha256=sha256,
        fingerprint=fingerprint,
    )
    write_graph(out, graph, opset=OPSET)
    model = Model(
        repository=out,
        folder=FOLDER,
        name=NAME,
        version=version,
        cells=f"{SCHEMA.name}/{SCHEMA.version}",
        resolution=RESOLUTION,
        tile=TILE,
        pixels_per_place=PIXELS_PER_PLACE,
        counting_threshold=0.0,
        graphs=(graph,),
    )
    write_model(model, multiply_adds_per_pixel=MULTIPLY_ADDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("triton_models"))
    parser.add_argument("--version", default="1")
    args = parser.parse_args()
    export(args.out, args.version)


if __name__ == "__main__":
    main()

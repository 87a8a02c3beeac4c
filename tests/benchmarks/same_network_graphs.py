"""The network as a peer wants it that finds peaks itself: its map in place of its peaks."""

import onnx
from onnx import TensorProto, helper
from onnx.utils import Extractor


def heat_map_graph(detection: onnx.ModelProto) -> onnx.ModelProto:
    """`nuclei_detection` cut before its search for peaks: tiles to `map` (b, h, w, 2) float32, at the tile's
    resolution.

    A channel for each compartment: the nucleus's probability in that of the likelier one, 0 in the other's.
    """
    (nucleus,) = (n.input[0] for n in detection.graph.node if n.op_type == "MaxPool")
    epithelium = _compartment(detection)
    cut = Extractor(detection).extract_model(["tiles"], [nucleus, epithelium])
    for name, shape, values in (("half", [], [0.5]), ("zero", [], [0.0]), ("scales", [4], [1.0, 1.0, 2.0, 2.0])):
        cut.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, shape, values))
    cut.graph.node.extend(
        [
            helper.make_node("GreaterOrEqual", [epithelium, "half"], ["is_epithelium"]),
            helper.make_node("Where", ["is_epithelium", "zero", nucleus], ["in_stroma"]),
            helper.make_node("Where", ["is_epithelium", nucleus, "zero"], ["in_epithelium"]),
            helper.make_node("Concat", ["in_stroma", "in_epithelium"], ["both"], axis=1),
            helper.make_node("Resize", ["both", "", "scales"], ["large"], mode="linear"),
            helper.make_node("Transpose", ["large"], ["map"], perm=[0, 2, 3, 1]),
        ]
    )
    del cut.graph.output[:]
    cut.graph.output.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, ["batch", "height", "width", 2]))
    onnx.checker.check_model(cut)
    return cut


def _compartment(detection: onnx.ModelProto) -> str:
    """The name of the map of the epithelium's probability: the sigmoid that follows the only mean over a window."""
    (name,) = (n.output[0] for n in detection.graph.node if n.op_type == "AveragePool")
    for node in detection.graph.node:
        if name in node.input:
            name = node.output[0]
            if node.op_type == "Sigmoid":
                return name
    raise ValueError("the graph has no sigmoid behind its mean: the export has changed")

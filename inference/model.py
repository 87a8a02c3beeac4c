"""A model as its manifest describes it, and the repository that models come in.

    REPOSITORY/MODEL/manifest.json    what a model is: its steps, tiles, resolution, cells, threshold
    REPOSITORY/GRAPH/manifest.json    what a graph is: its files' SHA-256 and fingerprints, its tensors
    REPOSITORY/GRAPH/1/model.onnx     the graph that runs; other folders hold the same in other arithmetic

Triton's `config.pbtxt` stand beside the manifests; a model is an ensemble there. Engines know graphs by manifests alone.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from inference.errors import Reason, Refused
from inference.tile import TileShape

Made = TypeVar("Made")

MANIFEST = "manifest.json"
RUNNING = "1"
"""The version of a graph that runs, where no other is asked for."""


class Role(StrEnum):
    """What a graph does for a tile: find peaks in it, measure at peaks that another found, or answer with maps."""

    FIND = "find"
    MEASURE = "measure"
    MAP = "map"


class Runtime(StrEnum):
    """What runs a graph in this process, the faster one for it."""

    OPENVINO = "openvino"
    ONNX_RUNTIME = "onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An output of a graph for one tile: `dtype` float32 or int32, `shape` of whole numbers or `places`.

    `low` and `high` bound what it can hold; `side` in a bound stands for the tile's.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One ONNX file in some arithmetics. `inputs` beside `tiles` are outputs of earlier steps.

    `sha256` and `fingerprint` (hexadecimal, 32 bytes: what the graph itself answers, to tell which one it was) by version;
    `fingerprint_output` is its name among the outputs. `probability` is the output by which peaks are kept or left.
    """

    name: str
    role: Role
    runtime: Runtime
    inputs: tuple[str, ...]
    outputs: tuple[Tensor, ...]
    fingerprint_output: str
    sha256: Mapping[str, str]
    fingerprint: Mapping[str, str]
    probability: str = ""

    @property
    def output_names(self) -> tuple[str, ...]:
        """In the graph's order, the fingerprint last."""
        return (*(tensor.name for tensor in self.outputs), self.fingerprint_output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """µm/px: what the model works at, and the finest and coarsest that is taken as it comes."""

    working: float
    finest: float
    coarsest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`graphs` in the order they run; `cells` names the schema of what they measure, as NAME/VERSION.

    `counting_threshold` is the probability from which a peak is counted, chosen on validation tiles; a tile of s x s px
    has s * s / `pixels_per_place` places for peaks.
    """

    repository: Path
    folder: str
    name: str
    version: str
    cells: str
    resolution: Resolution
    tile: TileShape
    pixels_per_place: int
    counting_threshold: float
    graphs: tuple[Graph, ...]

    def graph_bytes(self, graph: Graph, version: str = RUNNING) -> bytes:
        """Raises Refused MODEL_INVALID where they aren't those that the manifest names."""
        data = read_model_file(self.repository / graph.name / version / "model.onnx")
        if hashlib.sha256(data).hexdigest() != graph.sha256.get(version):
            message = f"{graph.name}/{version}/model.onnx isn't the file that its {MANIFEST} names (SHA-256 differs)"
            raise Refused(Reason.MODEL_INVALID, message)
        return data

    def digests(self, versions: Mapping[str, str] | None = None) -> tuple[tuple[str, str], ...]:
        """Name and SHA-256 of every graph; `versions` by graph where others than RUNNING run."""
        chosen = versions or {}
        return tuple((g.name, g.sha256.get(chosen.get(g.name, RUNNING), "")) for g in self.graphs)

    def digest(self, versions: Mapping[str, str] | None = None) -> str:
        """SHA-256 of all that answers depend on: name, graphs, threshold."""
        parts = (self.name, self.version, self.counting_threshold, self.digests(versions))
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def shipped_models() -> Path:
    """The model repository that came with chromogen: of the source tree, or inside the installed wheel."""
    root = Path(__file__).resolve().parents[1]
    inside = root / "server" / "_shipped" / "triton_models"
    return inside if inside.is_dir() else root / "triton_models"


def read_model(repository: Path, folder: str) -> Model:
    """A model of a repository and its graphs. Raises Refused MODEL_INVALID where a manifest is missing or not one."""
    return _read(repository / folder / MANIFEST, lambda card: _model(repository, folder, card))


def read_graph(repository: Path, name: str) -> Graph:
    """Raises Refused MODEL_INVALID."""
    return _read(repository / name / MANIFEST, lambda card: _graph(name, card))


def read_model_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Refused(
            Reason.MODEL_INVALID, f"{path} can't be read; name a model repository written by the export"
        ) from None


def _read(path: Path, make: Callable[[Any], Made]) -> Made:
    try:
        return make(json.loads(read_model_file(path)))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(Reason.MODEL_INVALID, f"{path} doesn't describe a model; export it again") from None


def _model(repository: Path, folder: str, card: Any) -> Model:
    return Model(
        repository=repository,
        folder=folder,
        name=str(card["name"]),
        version=str(card["version"]),
        cells=str(card["cells"]),
        resolution=Resolution(**{key: float(card["mpp"][key]) for key in ("working", "finest", "coarsest")}),
        tile=TileShape(**{key: int(card["tile"][key]) for key in ("core", "halo", "stride")}),
        pixels_per_place=int(card["tile"]["pixels_per_place"]),
        counting_threshold=float(card["counting_threshold"]),
        graphs=tuple(read_graph(repository, str(name)) for name in card["graphs"]),
    )


def _graph(name: str, card: Any) -> Graph:
    return Graph(
        name=name,
        role=Role(card["role"]),
        runtime=Runtime(card["runtime"]),
        inputs=tuple(map(str, card["inputs"])),
        outputs=tuple(_tensor(output) for output in card["outputs"]),
        fingerprint_output=str(card["fingerprint_output"]),
        sha256={version: str(file["sha256"]) for version, file in card["files"].items()},
        fingerprint={version: bytes.fromhex(file["fingerprint"]).hex() for version, file in card["files"].items()},
        probability=str(card.get("probability", "")),
    )


def _tensor(card: Any) -> Tensor:
    return Tensor(
        name=str(card["name"]),
        dtype=str(card["dtype"]),
        shape=tuple(card["shape"]),
        low=card.get("low"),
        high=card.get("high"),
    )

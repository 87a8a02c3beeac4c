"""A model as its manifest describes it, and the repository that models come in.

    REPOSITORY/MODEL/manifest.json    what a model is: its graphs, tiles, resolution, cells, threshold
    REPOSITORY/GRAPH/manifest.json    what a graph is: its files' SHA-256 and fingerprints, its tensors
    REPOSITORY/GRAPH/1/model.onnx     the graph that runs; other folders hold the same in other arithmetic

Triton's `config.pbtxt` stand beside the manifests; a model is an ensemble there. Engines know graphs by manifests
alone.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from inference.errors import Reason, Refused
from inference.json_text import read_json
from inference.tile import TileShape

Made = TypeVar("Made")

MANIFEST = "manifest.json"
RUNNING, FLOAT32 = "1", "float32"
"""Versions of a graph: the one that runs where no other is asked for, and its reference, where it has one."""
TILES, COUNT = "tiles", "count"
"""The input that is pixels, (b, side, side, 3) uint8 RGB; the output that counts all peaks, beyond the places too."""
FINGERPRINT_NUMBERS = 8


class Role(StrEnum):
    """What a graph does for a tile: find peaks in it, measure at peaks that another found, or answer with maps."""

    FIND = "find"
    MEASURE = "measure"
    MAP = "map"


class Runtime(StrEnum):
    """What runs a graph in this process, the faster one for it."""

    OPENVINO = "openvino"
    ONNX_RUNTIME = "onnxruntime"


class Dtype(StrEnum):
    """What a tensor holds; the value is NumPy's name."""

    FLOAT32 = "float32"
    INT32 = "int32"
    UINT8 = "uint8"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An output of a graph for one tile. `shape`: whole numbers, `places`, `side`, or `side/N` of a map at stride N.

    `low` and `high` bound what it can hold; the bound `side` is the tile's far edge, half a pixel beyond the last
    centre.
    """

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if "places" in self.shape[1:]:
            raise ValueError(f"places of {self.name} come first in its shape")

    @property
    def by_place(self) -> bool:
        """Is it a number, or several, of each place for a peak?"""
        return self.shape[:1] == ("places",)

    def bounds(self, side: int) -> tuple[float, float]:
        """Lowest and highest that it can hold (inclusive) in a tile of `side` px; infinite where nothing is said."""
        high = side - 0.5 if self.high == "side" else self.high
        return (-np.inf if self.low is None else float(self.low), np.inf if high is None else float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One ONNX file in some arithmetics. `inputs` in its order: `tiles`, and outputs of graphs that ran before.

    A graph that finds answers `x`, `y` in px of the tile, `count` (see COUNT) and `probability`, the output by which
    peaks are kept or left, 0 in places without a peak. `sha256` and `fingerprint` (hexadecimal, 32 bytes: what the
    graph itself answers, to tell which one it was) by version; `fingerprint_output` is its name among the outputs.
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

    def __post_init__(self) -> None:
        """Raises ValueError."""
        names = {tensor.name for tensor in self.outputs}
        if self.role is Role.FIND and not {"x", "y", COUNT, self.probability} <= names:
            raise ValueError(f"{self.name} finds peaks: it needs x, y, {COUNT} and a probability among its outputs")
        if self.role is Role.MEASURE and not all(tensor.by_place for tensor in self.outputs):
            raise ValueError(f"{self.name} measures at peaks: each of its outputs needs the shape of places")
        if RUNNING not in self.sha256:
            raise ValueError(f"{self.name} has no version {RUNNING}")

    @property
    def output_names(self) -> tuple[str, ...]:
        """In the graph's order, the fingerprint last."""
        return (*(tensor.name for tensor in self.outputs), self.fingerprint_output)

    def fingerprint_numbers(self, version: str = RUNNING) -> npt.NDArray[np.int32]:
        """(8,): what its fingerprint output holds for each tile."""
        return np.frombuffer(bytes.fromhex(self.fingerprint[version]), "<i4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """µm/px: what the model works at, and the finest and coarsest that is taken: as it comes, but for what is coarser
    than `enlarged_from`, or off by more than the share `kept_within`, which is brought to what the model works at.
    `coarser`: in which sizes cells that are large for the model are looked for too.
    """

    working: float
    finest: float
    coarsest: float
    enlarged_from: float = float("inf")
    kept_within: float = float("inf")
    coarser: tuple[float, ...] = ()

    def takes(self, mpp: float, *, within: float = 0.0) -> bool:
        """As it comes, or coarser or finer by `within` µm/px at most?"""
        return self.finest - within <= mpp <= self.coarsest + within

    def keeps(self, mpp: float) -> bool:
        """Are pixels of a size that it takes seen as they come?"""
        return mpp <= self.enlarged_from and abs(mpp / self.working - 1) <= self.kept_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`graphs` in the order they run; `cells` names the schema of what they measure, as NAME/VERSION.

    `counting_threshold` is the probability from which a peak is counted, chosen on validation tiles; a tile of s x s px
    has s * s / `pixels_per_place` places for peaks. `postprocess`: numbers by name that what reads its maps goes by.
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
    postprocess: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError."""
        names = [name for graph in self.graphs for name in graph.output_names]
        if not names or len(names) != len(set(names)):
            raise ValueError(f"{self.folder} needs graphs, and a name of its own for each of their outputs")
        if sum(graph.role is Role.FIND for graph in self.graphs) > 1:
            raise ValueError(f"{self.folder} has more than one graph that finds peaks")
        if self.finder is None and any(graph.role is Role.MEASURE for graph in self.graphs):
            raise ValueError(f"{self.folder} measures at peaks that no graph of it finds")

    @property
    def finder(self) -> Graph | None:
        """The graph that finds peaks, where there is one."""
        return next((graph for graph in self.graphs if graph.role is Role.FIND), None)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that the graphs answer, in their order, but for the fingerprints."""
        return tuple(tensor for graph in self.graphs for tensor in graph.outputs)

    @property
    def columns(self) -> tuple[Tensor, ...]:
        """What is answered of each peak."""
        return tuple(tensor for tensor in self.tensors if tensor.by_place)

    @property
    def maps(self) -> tuple[Tensor, ...]:
        """What else is answered of a tile."""
        return tuple(tensor for tensor in self.tensors if not tensor.by_place and tensor.name != COUNT)

    def shape_of(self, tensor: Tensor, side: int) -> tuple[int, ...]:
        """For one tile of `side` px."""
        return tuple(self._length(entry, side) for entry in tensor.shape)

    def _length(self, entry: int | str, side: int) -> int:
        if isinstance(entry, int):
            return entry
        return side * side // self.pixels_per_place if entry == "places" else along_side(entry, side)

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
        """SHA-256 of all that answers depend on: name, graphs, threshold, post-processing where there is any."""
        parts: tuple[object, ...] = (self.name, self.version, self.counting_threshold, self.digests(versions))
        if self.postprocess:
            parts += (tuple(sorted(self.postprocess.items())),)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def along_side(entry: int | str, length: int) -> int:
    """What `side` or `side/N` in a tensor's shape is for a tile of that length."""
    name, _, stride = str(entry).partition("/")
    if name != "side":
        raise ValueError(f"{entry} is no length")
    return length // int(stride or 1)


def shipped_models() -> Path:
    """The model repository that came with chromogen: of the source tree, or inside the installed wheel."""
    root = Path(__file__).resolve().parents[1]
    inside = root / "server" / "_shipped" / "triton_models"
    return inside if inside.is_dir() else root / "triton_models"


def read_model(repository: Path, folder: str) -> Model:
    """A model of a repository and its graphs. Raises Refused MODEL_INVALID where a manifest is missing or not one."""
    return _read(repository / folder / MANIFEST, lambda card: _model(repository, folder, card))


def models_of(repository: Path) -> tuple[Model, ...]:
    """Every model of a repository, by folder. Raises Refused MODEL_INVALID where one isn't whole, or none is there."""
    folders = sorted(path.parent.name for path in repository.glob(f"*/{MANIFEST}"))
    models = [folder for folder in folders if _read(repository / folder / MANIFEST, lambda card: "graphs" in card)]
    if not models:
        raise Refused(
            Reason.MODEL_INVALID, f"{repository} holds no model; name a model repository written by the export"
        )
    return tuple(read_model(repository, folder) for folder in models)


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
        return make(read_json(read_model_file(path)))
    except KeyError as missing:
        raise _no_model(path, f"{missing.args[0]} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise _no_model(path, str(error)) from None


def _no_model(path: Path, why: str) -> Refused:
    return Refused(Reason.MODEL_INVALID, f"{path} doesn't describe a model ({why}); correct it, or export it again")


def _model(repository: Path, folder: str, card: Any) -> Model:
    return Model(
        repository=repository,
        folder=folder,
        name=str(card["name"]),
        version=str(card["version"]),
        cells=str(card["cells"]),
        resolution=_resolution(card["mpp"]),
        tile=TileShape(**{key: int(card["tile"][key]) for key in ("core", "halo", "stride")}),
        pixels_per_place=int(card["tile"]["pixels_per_place"]),
        counting_threshold=float(card["counting_threshold"]),
        graphs=tuple(read_graph(repository, str(name)) for name in card["graphs"]),
        postprocess={str(name): float(value) for name, value in card.get("postprocess", {}).items()},
    )


def _resolution(card: Any) -> Resolution:
    enlarged_from = card.get("enlarged_from", float("inf"))
    return Resolution(
        working=float(card["working"]),
        finest=float(card["finest"]),
        coarsest=float(card["coarsest"]),
        enlarged_from=float(enlarged_from),
        kept_within=float(card.get("kept_within", float("inf"))),
        coarser=tuple(float(mpp) for mpp in card.get("coarser", ())),
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
    low, high = card.get("low"), card.get("high")
    return Tensor(
        name=str(card["name"]),
        dtype=Dtype(card["dtype"]),
        shape=tuple(_entry(entry) for entry in card["shape"]),
        low=None if low is None else float(low),
        high=high if high is None or high == "side" else float(high),
    )


def _entry(entry: Any) -> int | str:
    """Raises ValueError."""
    if entry == "places":
        return "places"
    if isinstance(entry, int):
        return entry
    along_side(entry, 1)
    return str(entry)

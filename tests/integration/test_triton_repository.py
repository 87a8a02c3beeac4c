"""The model repository: production's configurations, and the CPU variant that differs from them only where it must."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import model_config_pb2

from inference.engines.factory import make_engine
from inference.engines.triton_repository import check, main, read_config, render_cpu, sha256_of, stamp
from inference.errors import Refused
from inference.infer import Urgency
from inference.model import FINGERPRINT_NUMBERS, MANIFEST, RUNNING, models_of, shipped_models
from tests.models import DETECTION, GRADING, IHC_TILE, SHAPE

ENSEMBLE = IHC_TILE.folder
MODELS = (DETECTION, GRADING, ENSEMBLE)
ON_A_PROCESSOR = {"backend", "default_model_filename", "instance_group", "optimization"}
"""What the CPU variant may say otherwise."""

Config: Any = model_config_pb2.ModelConfig


def production(name: str) -> Any:
    return read_config(shipped_models() / name / "config.pbtxt")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped repository that a test may spoil."""
    return Path(shutil.copytree(shipped_models(), tmp_path / "models"))


@pytest.mark.parametrize("name", MODELS)
def test_the_cpu_variant_is_production_field_by_field_but_for_the_backend(tmp_path: Path, name: str) -> None:
    render_cpu(shipped_models(), tmp_path, instances=2)
    ours, theirs = production(name), read_config(tmp_path / name / "config.pbtxt")
    different = {f.name for f in Config.DESCRIPTOR.fields if getattr(ours, f.name) != getattr(theirs, f.name)}
    assert different == (
        set() if name == ENSEMBLE else ON_A_PROCESSOR & (different | {"backend", "default_model_filename"})
    )
    assert name == ENSEMBLE or (theirs.backend, theirs.default_model_filename) == ("python", "model.py")
    assert all(g.kind == model_config_pb2.ModelInstanceGroup.KIND_CPU for g in theirs.instance_group)


@pytest.mark.parametrize("side", [256, 512])
def test_another_side_changes_shapes_alone_and_scales_the_places(tmp_path: Path, side: int) -> None:
    render_cpu(shipped_models(), tmp_path, side=side)
    for name in MODELS:
        config, shapes = read_config(tmp_path / name / "config.pbtxt"), {"input", "output", "model_warmup"}
        same = {f.name for f in Config.DESCRIPTOR.fields} - shapes - ON_A_PROCESSOR
        assert all(getattr(config, f) == getattr(production(name), f) for f in same)
        places = {d for t in (*config.input, *config.output) for d in t.dims} - {3, 1, FINGERPRINT_NUMBERS, side}
        assert places == {side * side // IHC_TILE.pixels_per_place}


def test_production_takes_the_tiles_that_the_path_cuts() -> None:
    assert [list(t.dims) for t in production(ENSEMBLE).input] == [[SHAPE.side, SHAPE.side, 3]]


def test_the_shipped_repository_is_stamped_with_the_graphs_it_holds() -> None:
    check(shipped_models())
    assert {g.name: sha256_of(production(g.name)) for g in IHC_TILE.graphs} == dict(IHC_TILE.digests())


@pytest.mark.parametrize("name", MODELS)
def test_versions_and_sizes_are_fixed_so_that_nothing_is_left_to_be_guessed(name: str) -> None:
    config = production(name)
    assert list(config.version_policy.specific.versions) == [int(RUNNING)]
    assert all(d > 0 for t in (*config.input, *config.output) for d in t.dims)
    assert config.max_batch_size > 1
    assert config.backend == "onnxruntime" or config.platform == "ensemble"


def test_the_ensemble_gives_every_output_of_its_steps_under_the_same_name_and_type() -> None:
    steps = {n: production(n) for n in (DETECTION, GRADING)}
    told = {(t.name, t.data_type, tuple(t.dims)) for n in steps for t in steps[n].output}
    assert told == {(t.name, t.data_type, tuple(t.dims)) for t in production(ENSEMBLE).output}
    for step in production(ENSEMBLE).ensemble_scheduling.step:
        assert dict(step.output_map) == {t.name: t.name for t in steps[step.model_name].output}
        assert dict(step.input_map) == {t.name: t.name for t in steps[step.model_name].input}


@pytest.mark.parametrize("name", [DETECTION, GRADING])
def test_queues_are_bounded_reject_and_let_stat_pass_asap_and_that_routine(name: str) -> None:
    queue = production(name).dynamic_batching
    assert (queue.priority_levels, queue.default_priority_level) == (len(Urgency), Urgency.ROUTINE)
    policies = [queue.default_queue_policy, *(queue.priority_queue_policy[u] for u in (Urgency.STAT, Urgency.ASAP))]
    assert all(p.max_queue_size > 0 and p.default_timeout_microseconds > 0 for p in policies)
    assert all(p.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT for p in policies)
    assert len(production(name).model_warmup) > 0


def test_tensorrt_is_a_choice_that_changes_the_accelerator_alone() -> None:
    chosen = read_config(shipped_models() / DETECTION / "configs" / "tensorrt.pbtxt")
    different = {
        f.name for f in Config.DESCRIPTOR.fields if getattr(chosen, f.name) != getattr(production(DETECTION), f.name)
    }
    assert different == {"optimization"}
    assert [a.name for a in chosen.optimization.execution_accelerators.gpu_execution_accelerator] == ["tensorrt"]


def test_a_graph_that_was_exchanged_is_found_and_stamping_refuses_it(copied: Path) -> None:
    (copied / GRADING / RUNNING / "model.onnx").write_bytes(b"another graph")
    for command in (check, stamp):
        with pytest.raises(Refused, match=r"MODEL_INVALID: staining_grading.*SHA-256 differs"):
            command(copied)


def test_a_new_graph_needs_a_new_stamp(copied: Path) -> None:
    theirs, ours = (json.loads((copied / name / MANIFEST).read_text()) for name in (GRADING, DETECTION))
    shutil.copyfile(copied / GRADING / RUNNING / "model.onnx", copied / DETECTION / RUNNING / "model.onnx")
    ours["files"][RUNNING]["sha256"] = theirs["files"][RUNNING]["sha256"]
    (copied / DETECTION / MANIFEST).write_text(json.dumps(ours))
    with pytest.raises(Refused, match="run the stamp command"):
        check(copied)
    main(["stamp", str(copied)])
    check(copied)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (GRADING, '"hue" data_type: TYPE_INT32', '"hue" data_type: TYPE_FP32'),
        (DETECTION, '"label" data_type: TYPE_INT32 dims: [ 18496 ]', '"label" data_type: TYPE_INT32 dims: [ 18495 ]'),
        (DETECTION, '{ name: "label"', '{ name: "class"'),
        (ENSEMBLE, '  { name: "value" data_type: TYPE_INT32 dims: [ 18496 ] },', ""),
    ],
)
def test_a_configuration_of_other_tensors_than_the_manifests_say_is_found(
    copied: Path, name: str, before: str, after: str
) -> None:
    path = copied / name / "config.pbtxt"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(Refused, match=f"MODEL_INVALID.*{name}/config.pbtxt names other tensors"):
        check(copied)


def test_a_repository_of_two_models_is_checked_stamped_and_rendered_whole(copied: Path, tmp_path: Path) -> None:
    twin = {DETECTION: "other_detection", GRADING: "other_grading", ENSEMBLE: "other_tile"}
    for name, other in twin.items():
        shutil.copytree(copied / name, copied / other)
        for path in [*(copied / other).rglob("*.pbtxt"), copied / other / MANIFEST]:
            text = path.read_text()
            for before, after in twin.items():
                text = text.replace(f'"{before}"', f'"{after}"')
            path.write_text(text)
    main(["stamp", str(copied)])
    check(copied)
    render_cpu(copied, tmp_path / "cpu", side=256)
    shipped = {
        name for model in models_of(shipped_models()) for name in (model.folder, *(g.name for g in model.graphs))
    }
    assert {path.name for path in (tmp_path / "cpu").iterdir()} == shipped | set(twin.values())
    (copied / twin[GRADING] / RUNNING / "model.onnx").write_bytes(b"another graph")
    with pytest.raises(Refused, match=r"MODEL_INVALID: other_grading.*SHA-256 differs"):
        check(copied)


def test_a_folder_without_models_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"MODEL_INVALID.*holds no model"):
        main(["check", str(tmp_path)])


@pytest.mark.parametrize("text", ["name: ", 'nome: "x"', ""])
def test_a_configuration_that_is_none_or_names_no_graph_is_refused(copied: Path, text: str) -> None:
    (copied / DETECTION / "config.pbtxt").write_text(text)
    with pytest.raises(Refused, match="MODEL_INVALID"):
        check(copied)
    with pytest.raises(SystemExit, match="MODEL_INVALID"):
        main(["check", str(copied)])


@pytest.mark.parametrize(
    "name",
    [
        "triton://",
        "triton://host",
        "triton://host:0",
        "triton://host:x",
        "triton://a:1,",
        "triton://h/p:1",
        "grpc://h:1",
        "",
        "tritons://h:1",
    ],
)
def test_engines_that_are_none_are_refused_by_name(name: str) -> None:
    with pytest.raises(Refused, match="ENGINE_FAILED"):
        make_engine(name, model="ihc_tile")


def test_an_engine_on_two_servers_connects_with_nothing_until_asked() -> None:
    engine = make_engine("triton://127.0.0.1:1,[::1]:2,127.0.0.1:1", model="ihc_tile")
    assert engine.facts.engine == "triton"
    assert engine.workers == 8

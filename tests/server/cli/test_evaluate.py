"""`chromogen evaluate` on invented tiles: the metric's keys are fixed, bad data sets are refused by name."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inference.analyzers.nuclear import COMPARTMENTS
from inference.errors import Reason, Refused
from server.cli.evaluate import evaluate, printable, read_labels, read_picture


def dataset(folder: Path, labels: str = "50 50 0\n90 90 1\n", channels: int = 3) -> Path:
    image = np.full((140, 140, channels), 230, np.uint8)
    for x, y in ((50, 50), (90, 90)):
        cv2.circle(image, (x, y), 5, (150, 80, 90, 255)[:channels], -1)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    cv2.imwrite(str(folder / "images" / "1.png"), image)
    (folder / "labels" / "1.txt").write_text(labels)
    return folder


def test_the_object_begins_with_the_metric_and_every_figure_is_json(tmp_path: Path) -> None:
    done = CliRunner().invoke(evaluate, [str(dataset(tmp_path))], catch_exceptions=False)
    figures = json.loads(done.stdout, parse_constant=lambda v: pytest.fail(f"{v} isn't JSON"))
    assert list(figures)[:5] == [*COMPARTMENTS, "mAP", "agnostic", "f1"]
    assert figures["n"] == 2
    assert set(figures["counting"]) == {*COMPARTMENTS, "all"}


def test_a_figure_that_doesnt_exist_is_null() -> None:
    assert printable({"a": float("nan"), "b": (0.123456, 2)}) == {"a": None, "b": [0.1235, 2]}


def test_transparent_pixels_are_glass(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 4), np.uint8)
    image[:2] = (10, 20, 30, 255)
    cv2.imwrite(str(tmp_path / "1.png"), image)
    picture = read_picture(tmp_path / "1.png")
    assert picture[0, 0].tolist() == [30, 20, 10]
    assert picture[3, 3].tolist() == [255, 255, 255]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no images") as refused:
        CliRunner().invoke(evaluate, [str(tmp_path)], catch_exceptions=False)
    assert refused.value.reason is Reason.DATASET_INVALID


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2", "line 1: expected"),
        ("1 2 0\n3 4 x", "line 2: expected"),
        ("1 2 7", "class 7"),
        ("nan 2 0", "isn't a place"),
    ],
)
def test_a_bad_label_is_refused_by_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "1.txt").write_text(text)
    with pytest.raises(Refused, match=said):
        read_labels(tmp_path / "1.txt")


def test_a_tile_without_nuclei_has_an_empty_label_file(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("")
    assert len(read_labels(tmp_path / "1.txt").xy) == 0


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"text"])
def test_a_picture_that_doesnt_decode_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(Refused, match="isn't a colour picture"):
        read_picture(tmp_path / "1.png")


def test_a_grey_picture_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(Refused, match="save it as RGB"):
        read_picture(tmp_path / "1.png")

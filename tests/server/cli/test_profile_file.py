"""Profile files: criteria of any kind by its own codec, and every mistake named with the file."""

import json
from pathlib import Path

import pytest

from inference.criteria import Criteria
from inference.errors import Reason, Refused
from inference.grade import DensityThresholds, HueValueThresholds
from server.cli.profile_file import read_profile


def written(folder: Path, text: object) -> Path:
    path = folder / "profile.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


@pytest.mark.parametrize(
    ("thresholds", "criteria"),
    [
        (
            {"method": "hue_value", "hue": 130, "left": 60, "right": 105},
            HueValueThresholds(hue=130, left=60, right=105),
        ),
        (
            {"method": "dab_od", "weak": 0.2, "moderate": 0.4, "strong": 0.6},
            DensityThresholds(weak=20, moderate=40, strong=60),
        ),
    ],
)
def test_a_profile_is_read_with_what_its_file_says(tmp_path: Path, thresholds: object, criteria: Criteria) -> None:
    fields = {"name": "er", "revision": 3, "marker": "ER", "clone": "SP1", "thresholds": thresholds, "source": "here"}
    found = read_profile(written(tmp_path, fields))
    assert (found.label, found.criteria, found.source) == ("er/3", criteria, "here")
    assert (found.key.marker, found.key.clone, found.key.scanner) == ("ER", "SP1", "*")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "isn't JSON"),
        ("[" * 100_000, "isn't JSON"),
        ("[]", "needs name, revision and thresholds"),
        ({"name": "a", "revision": True, "thresholds": {}}, "whole number from 1"),
        ({"name": "a", "revision": 0, "thresholds": {}}, "whole number from 1"),
        ({"name": "a", "revision": 1, "thresholds": []}, "need a method"),
        ({"name": "a", "revision": 1, "thresholds": {"method": 7}}, "need a method"),
        ({"name": "a", "revision": 1, "thresholds": {"method": "guess"}}, "hue_value"),
        ({"name": "a", "revision": 1, "thresholds": {"method": "dab_od", "weak": "x"}}, "weak, moderate, strong"),
        (
            {"name": "a", "revision": 1, "thresholds": {"method": "hue_value", "hue": True, "left": 1, "right": 2}},
            "hue must be a number",
        ),
        ({"name": "a", "revision": 1, "typo": 1, "thresholds": {}}, "unknown keys: typo"),
    ],
)
def test_a_file_that_holds_no_profile_is_refused_by_its_name(tmp_path: Path, text: object, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(Refused, match=said) as refused:
        read_profile(path)
    assert refused.value.reason is Reason.PROFILE_INVALID
    assert str(path) in refused.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="can't be read"):
        read_profile(tmp_path / "none.json")

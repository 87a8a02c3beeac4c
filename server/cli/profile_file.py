"""A profile as a JSON file: what `--profile` reads. `thresholds` holds criteria of any kind that an assay is scored by.

{"name": "er-sp1", "revision": 3, "marker": "ER", "thresholds": {"method": "hue_value", "hue": 130, "left": 60, "right":
105}} {"name": "er-od", "revision": 1, "thresholds": {"method": "dab_od", "weak": 0.2, "moderate": 0.4, "strong": 0.6}}
"""

from pathlib import Path
from typing import Any

from inference.assay import criteria_of
from inference.criteria import Criteria
from inference.errors import Reason, Refused
from inference.json_text import read_json
from server.domain.profile import ANY, Profile, ProfileKey

KEY_PARTS = ("lab", "marker", "clone", "stainer", "scanner", "pathologist")
KEYS = {"name", "revision", *KEY_PARTS, "thresholds", "source"}


def read_profile(path: Path) -> Profile:
    """Raises Refused PROFILE_INVALID naming the file and what is wrong."""
    fields = _read(path)
    key = ProfileKey(**{k: str(fields.get(k, ANY)) for k in KEY_PARTS})
    if type(fields["revision"]) is not int or fields["revision"] < 1:  # True is an int too
        raise Refused(Reason.PROFILE_INVALID, f"{path}: revision must be a whole number from 1")
    return Profile(
        name=str(fields["name"]),
        revision=fields["revision"],
        key=key,
        criteria=read_criteria(path, fields["thresholds"]),
        source=str(fields.get("source", "")),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = read_json(path.read_text())
    except OSError:
        raise Refused(Reason.PROFILE_INVALID, f"{path} can't be read") from None
    except ValueError:
        raise Refused(Reason.PROFILE_INVALID, f"{path} isn't JSON") from None
    if not isinstance(fields, dict) or not {"name", "revision", "thresholds"} <= set(fields):
        raise Refused(Reason.PROFILE_INVALID, f"{path} needs name, revision and thresholds")
    if unknown := set(fields) - KEYS:
        raise Refused(Reason.PROFILE_INVALID, f"{path} has unknown keys: {', '.join(sorted(unknown))}")
    return fields


def read_criteria(path: Path, fields: Any) -> Criteria:
    """The `thresholds` object of a profile."""
    if not isinstance(fields, dict) or not isinstance(fields.get("method"), str):
        raise Refused(Reason.PROFILE_INVALID, f"{path}: thresholds need a method and its values")
    try:
        return criteria_of(fields["method"], {name: value for name, value in fields.items() if name != "method"})
    except Refused as error:
        raise Refused(error.reason, f"{path}: {error.message}") from None

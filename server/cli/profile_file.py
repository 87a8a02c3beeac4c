"""A profile as a JSON file: what `--profile` reads.

{"name": "er-sp1", "revision": 3, "marker": "ER", "thresholds": {"method": "hue_value", "hue": 130, "left": 60, "right":
105}} {"name": "er-od", "revision": 1, "thresholds": {"method": "dab_od", "weak": 0.2, "moderate": 0.4, "strong": 0.6}}
"""

import json
from pathlib import Path
from typing import Any

from inference.errors import Reason, Refused
from inference.grade import DensityThresholds, HueValueThresholds, Thresholds
from server.domain.profile import ANY, Profile, ProfileKey

KEYS = {"name", "revision", "lab", "marker", "clone", "stainer", "scanner", "thresholds", "source"}


def read_profile(path: Path) -> Profile:
    """Raises Refused PROFILE_INVALID naming the file and what is wrong."""
    try:
        fields = json.loads(path.read_text())
    except OSError:
        raise Refused(Reason.PROFILE_INVALID, f"{path} can't be read") from None
    except ValueError:
        raise Refused(Reason.PROFILE_INVALID, f"{path} isn't JSON") from None
    if not isinstance(fields, dict) or not {"name", "revision", "thresholds"} <= set(fields):
        raise Refused(Reason.PROFILE_INVALID, f"{path} needs name, revision and thresholds")
    if unknown := set(fields) - KEYS:
        raise Refused(Reason.PROFILE_INVALID, f"{path} has unknown keys: {', '.join(sorted(unknown))}")
    key = ProfileKey(**{k: str(fields.get(k, ANY)) for k in ("lab", "marker", "clone", "stainer", "scanner")})
    if not isinstance(fields["revision"], int) or fields["revision"] < 1:
        raise Refused(Reason.PROFILE_INVALID, f"{path}: revision must be a whole number from 1")
    thresholds = read_thresholds(path, fields["thresholds"])
    return Profile(
        name=str(fields["name"]),
        revision=fields["revision"],
        key=key,
        thresholds=thresholds,
        source=str(fields.get("source", "")),
    )


def read_thresholds(path: Path, fields: Any) -> Thresholds:
    """The `thresholds` object of a profile. Densities are given in optical density, kept in hundredths."""
    try:
        match fields:
            case {"method": "hue_value", "hue": hue, "left": left, "right": right, **rest} if not rest:
                return HueValueThresholds(hue=_whole(hue), left=_whole(left), right=_whole(right))
            case {"method": "dab_od", "weak": weak, "moderate": moderate, "strong": strong, **rest} if not rest:
                return DensityThresholds(weak=_centi(weak), moderate=_centi(moderate), strong=_centi(strong))
    except (TypeError, ValueError):
        raise Refused(Reason.PROFILE_INVALID, f"{path}: thresholds must be numbers") from None
    message = f"{path}: thresholds need method hue_value with hue, left, right, or dab_od with weak, moderate, strong"
    raise Refused(Reason.PROFILE_INVALID, message)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _centi(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return round(value * 100)

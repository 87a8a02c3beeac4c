"""Why a result has its profile, as the JSON that is kept and printed."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from server.domain.choice import Against, Alternative, Preparation, ProfileChoice, Validated


def choice_json(choice: ProfileChoice) -> dict[str, Any]:
    slide, held = asdict(choice.preparation), choice.validated
    return {
        "preparation": slide | {"by_slide": list(choice.preparation.by_slide)},
        "validated": None if held is None else asdict(held) | {"on": held.on.isoformat()},
        "alternatives": [{"profile": a.label, "against": a.against.value} for a in choice.alternatives],
    }


def choice_in(kept: Mapping[str, Any]) -> ProfileChoice:
    slide, held = kept["preparation"], kept.get("validated")
    return ProfileChoice(
        preparation=Preparation(**{**slide, "by_slide": tuple(slide["by_slide"])}),
        alternatives=tuple(
            Alternative(label=a["profile"], against=Against(a["against"])) for a in kept["alternatives"]
        ),
        validated=None if held is None else Validated(**{**held, "on": date.fromisoformat(held["on"])}),
    )

"""Why a result has its profile, as the JSON that is kept and printed."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from server.domain.choice import Against, Alternative, Preparation, ProfileChoice


def choice_json(choice: ProfileChoice) -> dict[str, Any]:
    slide = asdict(choice.preparation)
    return {
        "preparation": slide | {"by_slide": list(choice.preparation.by_slide)},
        "alternatives": [{"profile": a.label, "against": a.against.value} for a in choice.alternatives],
    }


def choice_in(kept: Mapping[str, Any]) -> ProfileChoice:
    slide = kept["preparation"]
    return ProfileChoice(
        preparation=Preparation(**{**slide, "by_slide": tuple(slide["by_slide"])}),
        alternatives=tuple(
            Alternative(label=a["profile"], against=Against(a["against"])) for a in kept["alternatives"]
        ),
    )

"""JSON that somebody else wrote."""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """Raises ValueError for what is no JSON, and for what is nested deeper than a stack holds."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None

"""A guideline's category in a result message, followed by its comment and rule."""

from dataclasses import replace
from pathlib import Path

import pytest

from server.hl7.oru import build_oru, build_rejection
from tests.made import made_order, made_result


@pytest.mark.parametrize(
    ("marker", "category", "answer"),
    [
        ("ER", "negative", "LA6577-6^Negative^LN"),
        ("ER", "ER Low Positive", "ER_STATUS_ER_LOW_POSITIVE^ER Low Positive^99CHROMOGEN"),
        ("PR", "positive", "LA6576-8^Positive^LN"),
        ("KI67", "between", "between"),
    ],
)
def test_a_guideline_s_category_is_followed_by_its_comment_and_rule(
    tmp_path: Path, marker: str, category: str, answer: str
) -> None:
    made, codes = made_result(tmp_path, marker=marker), ("ER_STATUS", "PGR_STATUS", "KI67_GROUP")
    said = {"category": category, "comment": "Because | so.", "rule": "RULE 2020"}
    rows = tuple(replace(row, **said) if row.measure in codes else row for row in made.scores)
    message = build_oru(replace(made, scores=rows), made_order(marker=marker))
    lines = message.decode().split("\r")
    (at,) = (i for i, line in enumerate(lines) if line.startswith("OBX|") and f"|{answer}|" in line)
    assert lines[at + 1 : at + 3] == [f"NTE|1|L|{category}. Because \\F\\ so.", "NTE|2|L|Rule: RULE 2020"]
    numbers = [int(line.split("|")[1]) for line in lines if line.startswith("OBX|")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "RULE 2020" not in build_rejection(replace(made, scores=rows), made_order(marker=marker), "x").decode()

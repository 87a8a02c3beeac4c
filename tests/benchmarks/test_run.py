"""`make bench` itself: a benchmark of the set runs and prints its lines."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import run


def test_a_benchmark_of_the_set_prints_and_keeps_its_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_LINES", str(tmp_path / "lines"))
    run("slide", "--side", "1024", "--repeat", "1", "--folder", str(tmp_path))
    printed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["benchmark"] for line in printed] == [
        "slide_decode_alone",
        "slide_network_alone",
        "slide_end_to_end",
        "slide",
    ]
    assert printed[-1]["efficiency"] > 0
    assert [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()] == printed

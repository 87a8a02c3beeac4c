"""What holds of every file of the project."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400


def test_no_python_file_is_longer_than_one_reads_in_a_sitting() -> None:
    ours = [
        path for top in ("server", "inference", "migrations", "deploy", "tests") for path in (ROOT / top).rglob("*.py")
    ]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ours}
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}

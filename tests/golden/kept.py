"""The golden files: `CASE-DOCUMENT` beside this module, a line an element, UTF-8."""

from pathlib import Path

from tests.golden.compare import Documents

FOLDER = Path(__file__).parent
_SUFFIXES = (".json", ".txt")


def read(case: str) -> Documents:
    """A case's golden documents by name, such as `oru.txt`."""
    texts = {path.name.removeprefix(f"{case}-"): path.read_text(encoding="utf-8") for path in _files(case)}
    return {name: text.removesuffix("\n").split("\n") for name, text in texts.items()}


def write(case: str, documents: Documents) -> list[Path]:
    """Put these in place of a case's golden documents; returns their files."""
    for path in _files(case):
        path.unlink()
    for name, lines in documents.items():
        (FOLDER / f"{case}-{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return _files(case)


def _files(case: str) -> list[Path]:
    return sorted(path for path in FOLDER.glob(f"{case}-*") if path.suffix in _SUFFIXES)

"""The folder of `chromogen score --out`: what lies there is of one run."""

import re
from pathlib import Path

from inference.assay import assays
from server.cli.objects import BUILDERS

_PART = re.compile(r"[a-z]+-\d+\.dcm")  # ann-2.dcm, ...
_ALWAYS = ("result.json", "overlay.png")


def move_files(made: Path, out: Path) -> None:
    """Put what a run made into its folder; what an earlier run left there and this one didn't make is removed."""
    names = {path.name for path in made.iterdir()}
    for name in sorted(names):
        (made / name).replace(out / name)
    for path in out.iterdir():
        if path.name not in names and (path.name in own_names() or _PART.fullmatch(path.name)):
            path.unlink()


def own_names() -> set[str]:
    """Every file that a run may write, of any assay."""
    stems = {assay.analyzer.file_stem for assay in assays()}
    cells = {f"{stem}.{suffix}" for stem in stems for suffix in ("parquet", "geojson")}
    return {*_ALWAYS, *cells, *(f"{kind.value.lower()}.dcm" for kind in BUILDERS)}

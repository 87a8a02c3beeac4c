"""The folder of `chromogen score --out`: what lies there is of one run."""

from pathlib import Path

from inference.assay import assays
from server.cli.objects import BUILDERS

_ALWAYS = ("result.json", "overlay.png")


def move_files(made: Path, out: Path) -> None:
    """Put what a run made into its folder; what an earlier run left there and this one didn't make is removed."""
    names = {path.name for path in made.iterdir()}
    for name in sorted(names):
        (made / name).replace(out / name)
    for name in own_names() - names:
        (out / name).unlink(missing_ok=True)


def own_names() -> set[str]:
    """Every file that a run may write, of any assay."""
    stems = {assay.analyzer.file_stem for assay in assays()}
    cells = {f"{stem}.{suffix}" for stem in stems for suffix in ("parquet", "geojson")}
    return {*_ALWAYS, *cells, *(f"{kind.value.lower()}.dcm" for kind in BUILDERS)}

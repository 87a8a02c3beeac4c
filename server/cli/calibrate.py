"""`chromogen calibrate`: criteria of one's own from annotated regions, as a profile that `score --profile` takes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.nuclear import COMPARTMENTS
from inference.annotations import read_names
from inference.assay import Assay, assay_of, criteria_values
from inference.calibrate import Calibration, by_one
from inference.calibrate import calibrate as calibrated
from inference.calibration.doubts import misplaced
from inference.calibration.fit import HueBy, Objective, Settings
from inference.calibration.membrane import fit_scale
from inference.calibration.observers import Observed, agreement_of, observers_of
from inference.criteria import COLOUR, Criteria
from inference.engines.factory import make_engine
from inference.errors import Reason, Refused
from inference.grade import Colour, DensityThresholds, HueValueThresholds
from server.cli.calibration_plots import write_plots
from server.cli.her2_manifest import gather_known, read_her2_manifest
from server.cli.manifest import ManifestRow, read_manifest
from server.cli.progress import progress_bar
from server.cli.regions import Gathered, gather
from server.cli.table import aligned
from server.report.calibration_json import calibration_json, observers_json, source_text

METHODS = (HueValueThresholds.method, DensityThresholds.method)


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--marker", required=True, help="the stain that the profile is for")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="profile file to write")
@click.option("--by", type=click.Choice([o.value for o in Objective]), default=Objective.H_SCORE.value)
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], help="kind of criteria")
@click.option(
    "--hue-by", type=click.Choice([h.value for h in HueBy]), default=HueBy.SEARCH.value, help="search, or two peaks"
)
@click.option(
    "--colour",
    type=click.Choice([c.value for c in Colour]),
    default=Colour.RAW.value,
    help="raw, or divided by each image's white point: for whole slides, whose glass shows it",
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path, dir_okay=False),
    help='JSON of class names, such as {"2+": {"class": "tumour", "grade": 2}}; null passes over a class',
)
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="folder for pictures, PNG and SVG")
@click.option("--json", "as_json", is_flag=True, help="print the outcome as one JSON object")
def calibrate(
    manifest: Path,
    marker: str,
    out: Path,
    by: str,
    method: str,
    hue_by: str,
    colour: str,
    classes: Path | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Fit the thresholds of a nuclear stain to the regions of MANIFEST, and show the error on slides left out.

    MANIFEST is a CSV, slide,image,mpp,annotation and optionally region, annotator and scores a region (README). A
    region is fitted by its graded nuclei where it has any, else by its scores. With two annotators a profile of each is
    written too.
    """
    if (membranes := assay_of(marker, "--marker")).analyzer is MEMBRANE:
        if plots:
            raise Refused(
                Reason.ASSAY_UNSUPPORTED, f"--plots draws nuclear stains, not {membranes.marker}: leave it out"
            )
        calibrate_membranes(manifest, membranes, out, as_json=as_json)
        return
    assay = nuclear(assay_of(marker, "--marker"))
    check_folder(out)
    names = read_names(read_text(classes), classes.name) if classes else {}
    rows = read_manifest(manifest, assay.analyzer)
    settings = Settings(method=method, colour=Colour(colour), by=Objective(by), hue_by=HueBy(hue_by))
    engine = make_engine("local", model=assay.model)
    with progress_bar("calibrating") as progress:
        gathered = gather(rows, engine, assay, names, progress)
    found = calibrated(gathered.samples, settings)
    seen = observed(rows, gathered)
    advice = (*gathered.advice, *misplaced(seen, gathered.samples), *found.advice)
    shown = {"marker": assay.marker, **calibration_json(found, advice, COMPARTMENTS)}
    of_each = {who: by_one(seen, gathered.samples, who, settings) for who in observers_of(seen)}
    if of_each:
        thresholds = {who: criteria_values(one.chosen.fit.criteria) for who, one in of_each.items()}
        shown["annotators"] = observers_json(agreement_of(seen), thresholds)
    for path, one in zip((out, *beside(out, list(of_each))), (found, *of_each.values()), strict=True):
        write_profile(path, assay, one)
    if plots:
        write_plots(plots, gathered.samples, found)
    if as_json:
        click.echo(json.dumps(shown))
    else:
        show(shown, found, out)
    for said in advice:
        click.echo(f"warning: {said.concern}: {said.text}", err=True)


def calibrate_membranes(manifest: Path, assay: Assay, out: Path, *, as_json: bool) -> None:
    """Fit the density scale to slides of known HER2 score."""
    check_folder(out)
    rows, engine = read_her2_manifest(manifest), make_engine("local", model=assay.model)
    with progress_bar("calibrating") as progress:
        known = gather_known(rows, engine, assay, progress)
    fit = fit_scale(known)
    said = [f"{row.name} is {row.known}, and found {row.found or 'without cells'}" for row in fit.wrong]
    counted = f"chromogen calibrate: {len(known)} slides and cores of known score, {len(fit.wrong)} of them found other"
    write(out, assay, fit.criteria, f"{counted}; scales from {fit.low:g} to {fit.high:g} give as many scores right")
    shown = {
        "marker": assay.marker,
        "thresholds": criteria_values(fit.criteria),
        "as_well": [fit.low, fit.high],
        "slides": [{"slide": row.name, "known": row.known, "found": row.found} for row in fit.rows],
        "warnings": ["SCORES_DIFFER"] if said else [],
    }
    if as_json:
        click.echo(json.dumps(shown))
    else:
        for line in aligned(["slide", "known", "found"], [[r.name, r.known, r.found or "none"] for r in fit.rows]):
            click.echo(line)
        click.echo(f"od_scale {fit.criteria.od_scale:g}; {fit.low:g} to {fit.high:g} give as many scores right")
        click.echo(f"written to {out}; research use only, not validated on patient material")
    for line in said:
        click.echo(f"warning: SCORES_DIFFER: {line}", err=True)


def nuclear(assay: Assay) -> Assay:
    """Raises Refused ASSAY_UNSUPPORTED for a stain that isn't graded by nucleus."""
    if HueValueThresholds not in assay.analyzer.criteria:
        raise Refused(Reason.ASSAY_UNSUPPORTED, f"{assay.marker} isn't graded by nucleus: calibrate fits no other yet")
    return assay


def read_text(path: Path) -> str:
    """Raises Refused ANNOTATION_INVALID."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise Refused(Reason.ANNOTATION_INVALID, f"{path} can't be read as text") from None


def observed(rows: Sequence[ManifestRow], gathered: Gathered) -> list[Observed]:
    return [
        Observed(image=row.image, region=row.region, annotator=row.annotator, annotated=sample.annotated, mpp=mpp)
        for row, sample, mpp in zip(rows, gathered.samples, gathered.mpps, strict=True)
    ]


def check_folder(out: Path) -> None:
    """Raises Refused OUTPUT_NOT_WRITABLE, before anything is fitted."""
    if not out.parent.is_dir():
        raise Refused(Reason.OUTPUT_NOT_WRITABLE, f"{out.parent} isn't there: make the folder of --out")


def beside(out: Path, annotators: Sequence[str]) -> list[Path]:
    """The files of the annotators' profiles, each another."""
    plain = ["".join(c if c.isalnum() else "-" for c in who) or "unnamed" for who in annotators]
    numbered = [f"{name}-{plain[:i].count(name) + 1}" if name in plain[:i] else name for i, name in enumerate(plain)]
    return [out.with_name(f"{out.stem}-{name}{out.suffix}") for name in numbered]


def write_profile(path: Path, assay: Assay, found: Calibration) -> None:
    write(path, assay, found.chosen.fit.criteria, source_text(found))


def write(path: Path, assay: Assay, criteria: Criteria, source: str) -> None:
    """As `--profile` takes it."""
    profile = {
        "name": path.stem,
        "revision": 1,
        "marker": assay.marker,
        "thresholds": criteria_values(criteria),
        "source": source,
    }
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(profile, indent=2) + "\n")
    part.replace(path)


def show(shown: Mapping[str, Any], found: Calibration, out: Path) -> None:
    """What a person needs to judge the fit by."""
    chosen = found.chosen
    flat, interval = chosen.fit.flat.ranges, chosen.intervals
    rows = [
        [name, f"{value:g}", ends(interval.get(name)), ends(flat.get(name))]
        for name, value in ((n, float(v)) for n, v in chosen.fit.criteria.values().items() if n != COLOUR)
    ]
    for line in aligned(["threshold", "fitted", "95 %", "within a point"], rows):
        click.echo(line)
    for by, way in shown["hue_by"].items():
        if way is not None:
            said = ", ".join(f"{k} {v:g}" for k, v in way["thresholds"].items() if k != "method")
            click.echo(f"hue by {by}: {said}; left-out error {number(way['mean_error'])}")
    rows = [
        [r.slide, r.part, str(r.n), f"{r.annotated:.1f}", f"{r.fitted:.1f}", f"{abs(r.error):.1f}"]
        for r in (*chosen.left_out, *(() if chosen.left_out == chosen.left_out_all else chosen.left_out_all))
    ]
    for line in aligned(["left out", "compartment", "nuclei", "annotated", "fitted", "error"], rows) if rows else ():
        click.echo(line)
    click.echo(f"mean error {number(shown['mean_error'])}, kappa {number(shown['kappa'])}, nuclei {found.n}")
    if "annotators" in shown:
        click.echo("annotators: " + ", ".join(f"{k} {v}" for k, v in shown["annotators"].items() if k != "thresholds"))
    click.echo(f"written to {out}; research use only")


def ends(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:g} to {interval[1]:g}"


def number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"

"""`chromogen score`: one slide without a database."""

import json
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from inference.analyze import Options
from inference.analyzers.outlined import check_outlines
from inference.area import box_area
from inference.assay import USUAL_MARKER, assay_of
from inference.engines.factory import Engines
from inference.errors import Reason, Refused
from inference.geometry import Region
from inference.model import read_model, shipped_models
from server.cli.drawn import control_cores, drawn_regions
from server.cli.objects import source_of, write_objects
from server.cli.out_folder import move_files
from server.cli.profile_file import read_profile
from server.cli.progress import progress_bar
from server.cli.table import guideline_lines, score_lines
from server.control_gate import gate_of
from server.domain.profile import built_in, check_marker
from server.domain.result import Result
from server.report.control_text import control_notes
from server.report.identity import use_of
from server.report.scope_text import use_notes, whole_tissue_notes
from server.scoring import score_slide
from server.settings import Engine, Slides
from server.slides.opening import open_slide
from server.slides.view import View
from server.tls import engine_secure

PEM = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("slide", type=click.Path(path_type=Path))
@click.option(
    "--mpp", type=float, help="pixel size in µm of the largest level, where the slide doesn't say or is wrong"
)
@click.option("--marker", default=USUAL_MARKER, help="the stain; one that isn't scored here is refused")
@click.option(
    "--profile",
    "profile_file",
    type=click.Path(path_type=Path),
    help="JSON file with criteria; the marker's built-in ones else",
)
@click.option("--region", metavar="X,Y,W,H", help="score only this box, in pixels of the largest level")
@click.option(
    "--region-file",
    type=click.Path(path_type=Path),
    help="GeoJSON polygons: score only what is drawn as `tumour`, nothing that is drawn as `exclude`",
)
@click.option(
    "--control-file",
    type=click.Path(path_type=Path),
    help="GeoJSON polygons of control tissue: measured first, no score where it fails",
)
@click.option("--pyramid", metavar="N", help="of a DICOM slide with several: its number in the refusal, or Pyramid UID")
@click.option("--optical-path", metavar="ID", help="of a DICOM slide with several; the first bright-field one else")
@click.option("--focal-plane", type=int, metavar="N", help="of a DICOM slide with several, from 1; the middle one else")
@click.option("--engine", default="local", help="local, triton://host:port, or by TLS tritons://host:port")
@click.option(
    "--engine-ca", type=PEM, envvar="CHROMOGEN_ENGINE_CA", help="authority that tritons:// servers are trusted by"
)
@click.option(
    "--engine-cert", type=PEM, envvar="CHROMOGEN_ENGINE_CERT", help="our certificate, for tritons:// servers that ask"
)
@click.option("--engine-key", type=PEM, envvar="CHROMOGEN_ENGINE_KEY", help="its key")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder for result.json, cells, overlay, QuPath file",
)
@click.option("--dicom", "as_dicom", is_flag=True, help="write SR, ANN and SEG of a DICOM slide into --out too")
@click.option("--outlines", is_flag=True, help="find the outline of each nucleus too: nuclear stains")
@click.option("--untried", envvar="CHROMOGEN_SLIDES_UNTRIED", default="", help="formats to read that were never tried")
@click.option("--anyway", is_flag=True, help="score a slide that looks like another stain than the marker's too")
@click.option("--json", "as_json", is_flag=True, help="print the result as one JSON object")
def score(
    slide: Path,
    mpp: float | None,
    marker: str,
    profile_file: Path | None,
    region: str | None,
    region_file: Path | None,
    control_file: Path | None,
    pyramid: str | None,
    optical_path: str | None,
    focal_plane: int | None,
    engine: str,
    out: Path | None,
    as_dicom: bool,
    outlines: bool,
    untried: str,
    anyway: bool,
    as_json: bool,
    engine_ca: Path | None,
    engine_cert: Path | None,
    engine_key: Path | None,
) -> None:
    """Score SLIDE: a DICOM folder or file, SVS, TIFF, or a PNG/JPEG with --mpp.

    One that looks like H&E, or whose brown lies elsewhere in cells than the marker's, is refused with the reason.
    """
    assay = assay_of(marker, "--marker")  # before the slide is opened
    if outlines:
        check_outlines(assay.analyzer)
    box = parse_region(region) if region else None
    profile = read_profile(profile_file) if profile_file else built_in(assay)
    check_marker(profile, assay)
    wanted = Engine.model_construct(
        name=engine, ca=engine_ca, cert=engine_cert, key=engine_key
    )  # Engines reads the name
    secure = None if engine == "local" else engine_secure(wanted)
    view = View(pyramid=pyramid, optical_path=optical_path, focal_plane=focal_plane)
    if as_dicom and out is None:
        raise click.UsageError("--dicom writes objects: name their folder by --out")
    with ExitStack() as stack:
        opened = open_slide(
            slide,
            read_model(shipped_models(), assay.model).resolution,
            mpp=mpp,
            view=view,
            untried=Slides(untried=untried).names,
        )
        stack.callback(opened.close)
        source = source_of(slide, opened.facts) if as_dicom else []
        if out:
            out.mkdir(parents=True, exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".chromogen-", dir=out)))
        options = drawn_regions(region_file, opened.facts.size) if region_file else Options()
        options = replace(options, region=box, outlines=outlines, refuse_mismatch=not anyway)
        cores = control_cores(control_file, assay, opened.facts.size) if control_file else []
        progress = stack.enter_context(progress_bar("scoring"))
        runs = Engines(engine, secure=secure).of(assay)
        result = score_slide(
            opened,
            runs,
            assay,
            profile,
            folder,
            gate=lambda slide: gate_of(slide, runs, profile, cores, assay),
            options=options,
            progress=progress,
        )
        if as_dicom:
            areas = (*options.among, *([box_area("region", box)] if box else []))
            result = write_objects(result, source, folder, areas)
        text = (folder / "result.json").read_text()
        if out:  # all of it or nothing
            move_files(folder, out)
    if as_json:
        click.echo(json.dumps(json.loads(text)))
    else:
        show(result, out)
    if result.control.withheld:
        raise Refused(
            Reason.CONTROL_FAILED, f"{result.control.detail}: no score; stain the slide again with its control"
        )


def parse_region(text: str) -> Region:
    """X,Y,W,H in whole pixels. Raises Refused REGION_INVALID."""
    try:
        x, y, width, height = (int(v) for v in text.split(","))
    except ValueError:
        raise Refused(Reason.REGION_INVALID, f"region {text!r} isn't X,Y,W,H in whole pixels") from None
    return Region(x=x, y=y, width=width, height=height)


def show(result: Result, out: Path | None) -> None:
    """The scores as a small table, warnings below it."""
    for line in score_lines(result.assay, result.scores):
        click.echo(line)
    for line in guideline_lines(result.scores):
        click.echo(line)
    region = result.clinical_region
    click.echo(f"marker {result.marker}, clinical region {region}, profile {result.profile.label}; {use_of(result)}")
    facts = result.analysis
    model = f"model {facts.model.name} {facts.model.version}"
    spent = f"{facts.tiles.analysed} tiles, {facts.seconds['total']:.1f} s"
    click.echo(f"{model}, {facts.tissue_mm2:.2f} mm² of tissue, {spent}")
    for note in use_notes(result):
        click.echo(note)
    for line in (*control_notes(result.control), *whole_tissue_notes(result)):
        click.echo(line)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if out:
        click.echo(f"written to {out}: {', '.join(sorted(p.name for p in out.iterdir()))}")

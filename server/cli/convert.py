"""`chromogen convert`: an SVS or TIFF as a DICOM slide."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import click

from inference.errors import Reason, Refused
from server.cli.progress import progress_bar
from server.report.identity import software_version
from server.settings import Slides
from server.slides.conversion import Conversion, ConvertedWords, conversion_of, open_to_convert
from server.slides.framed_slide import FramedSlide
from server.slides.inspection import size_text
from server.slides.scanner import Made, made_by
from server.slides.slide_header import PHOTOMETRIC
from server.slides.slide_writer import write_dicom_slide

ALL_LEVELS = 32  # halved until one frame holds the slide
SHORT, LONG = 16, 64
"""Characters of DICOM's short and long strings (PS3.5, 6.2)."""

Check = Callable[[click.Context, click.Parameter, str], str]


def at_most(length: int) -> Check:
    """A check that a text can stand in a DICOM header. Raises click.BadParameter."""

    def check(ctx: click.Context, param: click.Parameter, text: str) -> str:
        if len(text) > length or "\\" in text or not (text or " ").isprintable():
            raise click.BadParameter(f"at most {length} characters, no backslash and no line break")
        return text

    return check


@click.command()
@click.argument("slide", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="new or empty folder for level-N.dcm"
)
@click.option(
    "--mpp", type=float, help="pixel size in µm of the largest level, where the slide doesn't say or is wrong"
)
@click.option(
    "--quality",
    type=click.IntRange(50, 100),
    default=90,
    help="of the JPEG that is made here, where frames aren't kept",
)
@click.option("--accession", default="", callback=at_most(SHORT), help="accession number of the case")
@click.option("--patient-id", default="", callback=at_most(LONG))
@click.option("--patient-name", default="", callback=at_most(LONG), help="FAMILY^GIVEN")
@click.option("--container", default="", callback=at_most(LONG), help="identifier of the glass; `unknown` else")
@click.option("--specimen", default="", callback=at_most(LONG), help="identifier of the section; the container's else")
@click.option("--stain", default="", callback=at_most(LONG), help="what it is stained with, such as ER or HE")
@click.option("--untried", envvar="CHROMOGEN_SLIDES_UNTRIED", default="", help="formats to read that were never tried")
def convert(
    slide: Path,
    out: Path,
    mpp: float | None,
    quality: int,
    accession: str,
    patient_id: str,
    patient_name: str,
    container: str,
    specimen: str,
    stain: str,
    untried: str,
) -> None:
    """Write SLIDE, an SVS, a TIFF or what else is read here, as DICOM: a file a level.

    JPEG tiles are kept as they are where DICOM can hold them, other pixels encoded as JPEG. Label, macro picture and
    thumbnail are left out. What isn't given of patient and case stays empty.
    """
    if out.is_dir() and any(out.iterdir()):
        raise Refused(Reason.OUTPUT_NOT_WRITABLE, f"{out} isn't empty: name a new or empty folder")
    with ExitStack() as stack:
        opened = open_to_convert(slide, mpp=mpp, untried=Slides(untried=untried).names)
        stack.callback(opened.close)
        made = made_by(slide)
        words = ConvertedWords(
            software=software_version(),
            made=made,
            profile=opened.profile,
            accession=accession,
            patient_id=patient_id,
            patient_name=patient_name,
            container=container,
            specimen=specimen,
            stain=stain,
        )
        tell = stack.enter_context(progress_bar("converting"))
        how = conversion_of(opened, quality=quality, tell=tell)
        files = _written(opened, how, out, words, quality)
    click.echo(f"written to {out}: {', '.join(path.name for path in files)}")
    kept = "the largest level's frames are the slide's own" if how.passed_through else f"encoded at quality {quality}"
    facts = opened.facts
    click.echo(f"{size_text(facts.size)} of {facts.mpp:.6g} µm, JPEG {PHOTOMETRIC[how.colour]}: {kept}")
    for warning in _warnings(opened, made, container):
        click.echo(f"warning: {warning}", err=True)


def _written(slide: FramedSlide, how: Conversion, out: Path, words: ConvertedWords, quality: int) -> list[Path]:
    """The files, largest level first. On an error the folder is as it was."""
    was_there = out.exists()
    try:
        return write_dicom_slide(
            out,
            how.frames,
            mpp=slide.facts.mpp,
            identity=words,
            levels=ALL_LEVELS,
            quality=quality,
            colour=how.colour,
        )
    except BaseException:
        with suppress(OSError):  # not there, or no longer empty
            if not was_there:
                out.rmdir()
        raise


def _warnings(slide: FramedSlide, made: Made, container: str) -> Iterator[str]:
    yield from slide.facts.notes
    if not slide.profile:
        yield "the slide has no ICC profile: sRGB is said"
    if made.at is None:
        yield "the slide doesn't say when it was scanned: the time of the conversion is said"
    if not container:
        yield "no --container: the glass is called `unknown`, and no order will find it by its container"

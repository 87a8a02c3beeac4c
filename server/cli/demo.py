"""`chromogen demo`: from an order to the reports on a drawn slide, the score beside the truth."""

from pathlib import Path

import click

from inference.measures import ALL, NONE, Score
from server.cli.table import by_region, interval_text
from server.demo.pacs import PacsAddress, address_of
from server.demo.run import SIDE_PX, Outcome, run_demo
from server.demo.web import run_web
from server.observability import set_up
from server.report.identity import use_of


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-out"), help="folder for what it makes"
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, help="which slide is drawn")
@click.option("--h-score", type=click.FloatRange(0, 300), default=150.0, help="the drawn slide's H-score, about")
@click.option("--difficult", is_flag=True, help="draw large pale nuclei in nests, a colour cast, uneven light")
@click.option("--keep", is_flag=True, help="leave the database, archive and case in OUT/service")
@click.option(
    "--archive",
    "pacs",
    metavar="URL",
    callback=lambda _, __, text: None if text is None else _address(text),
    help="a PACS to store the slide and its reports at: dicomweb://user:password@host:port/path, by TLS dicomwebs://",
)
@click.option(
    "--web",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="leave the page running at this port of 127.0.0.1, with a demo user, until interrupted",
)
def demo(
    out: Path, seed: int, h_score: float, difficult: bool, keep: bool, pacs: PacsAddress | None, web: int | None
) -> None:
    """Draw a slide whose nuclei are known, order its score by HL7, and print what comes back beside the truth."""
    set_up(level="warning")
    if web is not None:
        if pacs is not None:
            raise click.UsageError("--web shows the demo on its own folder: leave --archive out")
        run_web(
            out,
            seed=seed,
            h_score=h_score,
            keep=keep,
            port=web,
            side=SIDE_PX,
            say=click.echo,
            difficult=difficult,
        )
        return
    outcome = run_demo(
        out,
        seed=seed,
        h_score=h_score,
        keep=keep,
        say=lambda line: click.echo(f"  {line}", err=True),
        pacs=pacs,
        difficult=difficult,
    )
    show(outcome, out)


def _address(text: str) -> PacsAddress:
    try:
        return address_of(text)
    except ValueError as error:  # its text doesn't repeat the password
        raise click.BadParameter(str(error)) from None


def show(outcome: Outcome, out: Path) -> None:
    """A table of found and true by region, then the files."""
    assay, first = outcome.result.assay, outcome.result.assay.measures[0]
    found, true = (by_region(first, scores) for scores in (outcome.result.scores, outcome.truth))
    click.echo(f"{'':<12}{'nuclei':>8}{'true':>8}{first.title:>10}{'true':>8}{'95 %':>14}")
    for region in (r.name for r in assay.analyzer.regions):
        counts = f"{found[region].n:>8}{true[region].n:>8}"
        values = f"{_number(found[region]):>10}{_number(true[region]):>8}{interval_text(found[region]):>14}"
        click.echo(f"{region:<12}{counts}{values}")
    off = abs((found[ALL].value or 0) - (true[ALL].value or 0))
    said = f"{_number(found[ALL])}, truth {_number(true[ALL])}"
    click.echo(f"{first.title} of all nuclei {said}, off by {off:.1f}")
    for warning in outcome.result.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"profile {outcome.result.profile.label}; {use_of(outcome.result)}")
    for path in (out / "slide", out / "truth.json", *outcome.files):
        click.echo(f"  {path}")


def _number(score: Score) -> str:
    return NONE if score.value is None else f"{score.value:.1f}"

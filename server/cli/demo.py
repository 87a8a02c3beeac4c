"""`chromogen demo`: from an order to the reports on a drawn slide, the score beside the truth."""

from pathlib import Path

import click

from server.demo.run import Outcome, run_demo
from server.domain.result import Scores
from server.observability import set_up


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-out"), help="folder for what it makes"
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, help="which slide is drawn")
@click.option("--h-score", type=click.FloatRange(0, 300), default=150.0, help="the drawn slide's H-score, about")
@click.option("--keep", is_flag=True, help="leave the database, archive and case in OUT/service")
def demo(out: Path, seed: int, h_score: float, keep: bool) -> None:
    """Draw a slide whose nuclei are known, order its score by HL7, and print what comes back beside the truth."""
    set_up(level="warning")
    outcome = run_demo(out, seed=seed, h_score=h_score, keep=keep, say=lambda line: click.echo(f"  {line}", err=True))
    show(outcome, out)


def show(outcome: Outcome, out: Path) -> None:
    """A table of found and true, then the files."""
    click.echo(f"{'':<12}{'nuclei':>8}{'true':>8}{'H-score':>10}{'true':>8}{'95 %':>14}")
    for name in Scores.__dataclass_fields__:
        found, true = getattr(outcome.result.scores, name), getattr(outcome.truth, name)
        interval = found.h_score_ci95
        text = f"{interval[0]:.0f} to {interval[1]:.0f}" if interval else "-"
        click.echo(f"{name:<12}{found.n:>8}{true.n:>8}{_number(found.h_score):>10}{_number(true.h_score):>8}{text:>14}")
    found, true = outcome.result.scores.all.h_score, outcome.truth.all.h_score
    off = abs((found or 0) - (true or 0))
    click.echo(f"H-score of all nuclei {_number(found)}, truth {_number(true)}, off by {off:.1f}")
    for warning in outcome.result.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"profile {outcome.result.profile.label}; research use only")
    for path in (out / "slide", out / "truth.json", *outcome.files):
        click.echo(f"  {path}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"

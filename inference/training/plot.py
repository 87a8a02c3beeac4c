"""Draw the reliability of a model's confidence from what `chromogen evaluate` printed.

chromogen evaluate FOLDER > figures.json; python -m inference.training.plot --figures figures.json --out docs/models
"""

import argparse
import json
from pathlib import Path
from typing import Any

INK, LINE, FILL = "#1b1b1b", "#8a8a8a", "#7a4b2a"


def draw_reliability(figures: dict[str, Any], out: Path) -> None:
    """A picture (SVG): share of hits over mean confidence, the number of predictions below; the diagonal is perfect."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "chromogen"  # the same figures give the same file
    from matplotlib import pyplot

    bins, error = figures["reliability"]["bins"], figures["reliability"]["error"]
    confidence = [b["confidence"] for b in bins]
    figure, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(4.6, 5.4), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    upper.plot([0, 1], [0, 1], color=LINE, linewidth=1, linestyle="--")
    upper.plot(confidence, [b["hits"] for b in bins], color=FILL, marker="o")
    upper.set(ylabel="share of hits", ylim=(0, 1), title=f"Validation tiles: expected calibration error {error:.3f}")
    lower.bar(confidence, [b["n"] for b in bins], width=0.06, color=FILL)
    lower.set(xlabel="confidence", ylabel="predictions", xlim=(0, 1))
    for axes in (upper, lower):
        axes.tick_params(colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out / "reliability.svg", metadata={"Date": None})
    pyplot.close(figure)


def draw_robustness(figures: dict[str, Any], out: Path) -> None:
    """A picture (SVG): mAP over the levels of each curve, one small plot each."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "chromogen"
    from matplotlib import pyplot

    rows = figures["robustness"]
    names = list(dict.fromkeys(r["curve"] for r in rows))
    figure, axes = pyplot.subplots(2, -(-len(names) // 2), figsize=(11, 4.4), sharey=True, layout="constrained")
    for place, name in zip(axes.flat, names, strict=False):
        mine = [r for r in rows if r["curve"] == name]
        place.plot([r["level"] for r in mine], [r["mAP"] for r in mine], color=FILL, marker="o", markersize=4)
        place.set_title(f"{name.replace('_', ' ')} ({mine[0]['unit']})", fontsize=9)
        place.set_ylim(0.5, 1)
        place.spines[["top", "right"]].set_visible(False)
    for place in axes[:, 0]:
        place.set_ylabel("mAP")
    figure.savefig(out / "robustness.svg", metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--figures", type=Path, required=True, help="what `chromogen evaluate` printed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    args = parser.parse_args()
    figures = json.loads(args.figures.read_text())
    draw_reliability(figures, args.out)
    if "robustness" in figures:
        draw_robustness(figures, args.out)


if __name__ == "__main__":
    main()

"""Fit the calibration and the counting threshold on the validation tiles, and show how reliable the result is.

    python -m inference.training.calibrate --checkpoint RUN/best.pt --endonuke FOLDER --out RUN/calibration.json

Nucleus: slope and offset of the logit (Platt), compartment: slope of its logit, both by maximum likelihood; monotone,
so the ranking of nuclei doesn't change. The threshold is the calibrated nucleus probability that counts with the least
bias at nearly the best class-agnostic F1; with --consep, the one of the best mean F1 over the tiles and over sets
unlike them (H&E of the fold made IHC, invented nuclei), of those that count the tiles themselves to within BIAS.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from inference.evaluation.metric import Points, matches
from inference.keypoints import MATCH_RADIUS_UM
from inference.training import data, groups
from inference.training.evaluate import BORDER, PLACES, RAW, logits_of
from inference.training.model import NucleusNet, load
from inference.training.peaks import Calibration, find_peaks
from inference.training.recoloured import consep_as_ihc
from inference.training.rendered import rendered

STEPS = 200  # of the optimiser; the problem is convex and has three parameters
NEARLY_BEST = 0.002  # of F1
BIAS = 0.05  # of the count on the tiles themselves, that a threshold for other tissue may cost
INVENTED = 24  # tiles for the threshold
FIRST_SEED = 80_000_000  # of invented tiles: neither training's nor those of `stress`
RECOLOURED_SEED = 13
CUTS = np.arange(0.05, 0.95, 0.01)
FAINTEST = 1e-4  # raw nucleus probability from which a peak takes part


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A calibration and the calibrated nucleus probability from which a nucleus is counted."""

    calibration: Calibration
    counting_threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """All peaks of a set, n of them: logits, whether the peak hit an annotation, and whether that is epithelium (NaN:
    no hit).
    """

    nucleus: npt.NDArray[np.float64]
    epithelium: npt.NDArray[np.float64]
    hit: npt.NDArray[np.bool_]
    truly_epithelium: npt.NDArray[np.float64]
    annotations: int


def read_fitted(path: Path) -> Fitted:
    """Raises KeyError, TypeError, ValueError or OSError on a file that `main` didn't write."""
    kept = json.loads(path.read_text())
    return Fitted(calibration=Calibration(**kept["calibration"]), counting_threshold=float(kept["counting_threshold"]))


def samples(net: NucleusNet, tiles: list[data.Tile]) -> Samples:
    """Every peak of the tiles, matched as the metric does."""
    columns: list[npt.NDArray[np.float64]] = []
    for tile in tiles:
        p = find_peaks(logits_of(net, tile.image), top=PLACES, calibration=RAW, faintest=FAINTEST)
        x, y, nucleus, share, label = (v[0].double().numpy() for v in (p.x, p.y, p.nucleus, p.confidence, p.label))
        h, w = tile.image.shape[:2]
        x, y = x - BORDER, y - BORDER
        keep = (nucleus > 0) & (x >= -0.5) & (y >= -0.5) & (x < w - 0.5) & (y < h - 0.5)
        share = np.clip(share[keep] / nucleus[keep], 0.5, 1 - 1e-6)
        logit = np.log(share / (1 - share)) * np.where(label[keep] == 1, 1, -1)
        found = Points(xy=np.stack([x, y], 1)[keep], label=label[keep].astype(np.int64), confidence=nucleus[keep])
        partner = matches(found, tile.points, MATCH_RADIUS_UM / 0.5)
        truth = (
            np.where(partner >= 0, tile.points.label[np.maximum(partner, 0)], np.nan) if len(tile.points.xy) else np.nan
        )
        sigmoid = np.clip(nucleus[keep], 1e-9, 1 - 1e-9)
        columns.append(np.stack([np.log(sigmoid / (1 - sigmoid)), logit, partner >= 0, truth * np.ones(len(partner))]))
    table = np.concatenate(columns, axis=1)
    annotations = sum(len(t.points.xy) for t in tiles)
    return Samples(
        nucleus=table[0], epithelium=table[1], hit=table[2] > 0, truly_epithelium=table[3], annotations=annotations
    )


def fit(s: Samples) -> Fitted:
    """Maximum likelihood of slope and offset, then of the compartment's slope, then the threshold of the best F1."""
    slope, offset = _logistic(s.nucleus, s.hit, offset=True)
    compartment, _ = _logistic(s.epithelium[s.hit], s.truly_epithelium[s.hit] == 1, offset=False)
    calibration = Calibration(nucleus_slope=slope, nucleus_offset=offset, compartment_slope=compartment)
    return Fitted(
        calibration=calibration, counting_threshold=best_threshold(calibrated(s, calibration), s.hit, s.annotations)
    )


def best_threshold(probability: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_], annotations: int) -> float:
    """The probability (to 0.01) that counts nearest to the truth, where F1 is within NEARLY_BEST of the best."""
    f1, counted = _by_cut(probability, hit, annotations)
    bias = np.where(f1 >= f1.max() - NEARLY_BEST, np.abs(counted - annotations), np.inf)
    return round(float(np.median(CUTS[bias == bias.min()])), 2)


def threshold_for_all(own: Samples, others: list[Samples], calibration: Calibration) -> float:
    """The probability of the best mean F1 over all sets, of those that count `own` to within BIAS (none: the least
    biased).
    """
    curves = [_by_cut(calibrated(s, calibration), s.hit, s.annotations) for s in (own, *others)]
    bias = np.abs(curves[0][1] / max(own.annotations, 1) - 1)
    allowed = bias <= max(BIAS, float(bias.min()))
    mean = np.where(allowed, np.mean([f1 for f1, _ in curves], axis=0), 0)
    return round(float(CUTS[int(np.argmax(mean))]), 2)


def calibrated(s: Samples, c: Calibration) -> npt.NDArray[np.float64]:
    """(n,) probabilities of a nucleus."""
    return np.asarray(1 / (1 + np.exp(-(c.nucleus_slope * s.nucleus + c.nucleus_offset))), np.float64)


def _by_cut(
    probability: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_], annotations: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """F1 and the number counted at each of CUTS."""
    counted = np.array([np.sum(probability >= c) for c in CUTS], np.float64)
    return 2 * np.array([hit[probability >= c].sum() for c in CUTS]) / (counted + annotations), counted


def unlike(consep: Path, fold: int) -> list[list[data.Tile]]:
    """Tiles of other tissue for the threshold: H&E of the fold made IHC, invented ones of all sizes."""
    _, held = groups.split(consep_as_ihc(consep, (1.0,), RECOLOURED_SEED), fold, "consep")
    return [held, [rendered(FIRST_SEED + i) for i in range(INVENTED)]]


def _logistic(logit: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], *, offset: bool) -> tuple[float, float]:
    x, y = torch.from_numpy(logit), torch.from_numpy(truth).double()
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        z = x * parameters[0] + (parameters[1] if offset else 0)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    slope, shift = (round(float(v), 4) for v in parameters.detach())
    return slope, shift


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--consep", type=Path, help="H&E tiles: the threshold is one for tissue unlike the tiles too")
    parser.add_argument(
        "--fold", type=int, choices=range(groups.FOLDS), help="of groups.json to fit on; default: split.json"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    tiles = data.endonuke(args.endonuke)
    _, validation = data.split(tiles) if args.fold is None else groups.split(tiles, args.fold)
    net = load(args.checkpoint)
    own = samples(net, validation)
    fitted = fit(own)
    if args.consep:
        others = [samples(net, tiles) for tiles in unlike(args.consep, args.fold or 0)]
        print(f"alone: {fitted.counting_threshold}")
        fitted = replace(fitted, counting_threshold=threshold_for_all(own, others, fitted.calibration))
    args.out.write_text(json.dumps(asdict(fitted), indent=2) + "\n")
    print(args.out.read_text(), end="")


if __name__ == "__main__":
    main()

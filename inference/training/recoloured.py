"""H&E tiles with instance masks as if they were IHC: eosin washed out, DAB painted into nuclei chosen at random.

CoNSeP's nuclei are large, pale and vesicular where they are malignant, and of many kinds: endometrium doesn't show
that.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.training import data
from inference.training.augment import STAINS, Image
from inference.training.wide import DAB, HAEMATOXYLIN, Floats, densities, field, pixels

PLASMA = np.array([0.40, 0.55, 0.72], np.float32)  # what is left of eosin, yellowish as in IHC
Maps = npt.NDArray[np.int32]


def recoloured(image: Image, instance: Maps, random: np.random.Generator) -> Image:
    """(h, w, 3) H&E with its instance map (h, w) (0 none) to a picture of haematoxylin and DAB."""
    amounts = densities(image) @ np.linalg.inv(STAINS)
    blue, pink = np.clip(amounts[..., 0], 0, None), np.clip(amounts[..., 1], 0, None)
    dab = painted(blue, instance, random)
    kept = random.uniform(0.5, 1.7) * np.where(dab > 0.05, random.uniform(0.3, 0.9), 1.0)
    halo = random.uniform(0, 0.12) * cv2.GaussianBlur(dab, (0, 0), 6.0)
    plasma = random.uniform(0.05, 0.4) * pink
    layers = [(blue * kept, HAEMATOXYLIN), (dab + halo, DAB), (plasma, PLASMA)]
    density = sum((amount[..., None].astype(np.float32) * vector for amount, vector in layers), np.zeros(3, np.float32))
    return pixels(np.asarray(density, np.float32))


def painted(blue: Floats, instance: Maps, random: np.random.Generator) -> Floats:
    """DAB (h, w): in a share of the nuclei, neighbours alike, from a trace to strong without a gap."""
    n = int(instance.max()) + 1
    affinity = random.standard_normal(n) * 0.5
    rows, columns = np.nonzero(instance)
    ids = instance[rows, columns]
    size = np.maximum(np.bincount(ids, minlength=n), 1)
    region = field(instance.shape[:2], random)[rows, columns]
    affinity += 2 * np.bincount(ids, region, minlength=n) / size
    chosen = affinity > np.quantile(affinity, 1 - random.uniform(0, 0.95))
    amount = np.where(chosen, np.exp(random.uniform(np.log(0.12), np.log(1.5), n)), 0)
    amount[0] = 0
    mean = np.bincount(ids, blue[rows, columns], minlength=n) / size
    plane = np.zeros(instance.shape[:2], np.float32)
    texture = 0.55 + 0.45 * np.clip(blue[rows, columns] / np.maximum(mean[ids], 0.05), 0, 2)
    plane[rows, columns] = (amount[ids] * texture).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), random.uniform(0.8, 2.0)), np.float32)


def consep_as_ihc(folder: Path, zooms: tuple[float, ...] = (1.0, 1.5), seed: int = 11) -> list[data.Tile]:
    """Each training tile once at each zoom (1: 0.5 µm/px), stained anew each time; names and classes as in `consep`."""
    tiles = []
    for number, plain in enumerate(data.consep(folder)):
        path = folder / f"{plain.name}.png"
        instance = np.load(path.with_suffix(".npz"))["inst_map"].astype(np.int32)
        large = data.read_image(path)
        for turn, zoom in enumerate(zooms):
            random = np.random.default_rng((seed, number, turn))
            picture = recoloured(large, instance, random)
            picture = np.asarray(
                cv2.resize(picture, None, fx=zoom / 2, fy=zoom / 2, interpolation=cv2.INTER_AREA), np.uint8
            )
            tiles.append(data.Tile(name=plain.name, image=picture, points=data.zoomed(plain.points, zoom)))
    return tiles

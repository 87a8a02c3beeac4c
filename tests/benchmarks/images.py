"""DeepLIIF's endpoints: seconds of one image of 1,024 px at 20x, and of a large one by batch with its peak of memory.

    python -m tests.benchmarks.images [--repeat 5] [--large 0]

The image is drawn. `--large 20000` sends one of so many px a side too (a tile laid again and again, as PNG). One JSON
line; `peak_mb` is of this process, which is server and client.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from inference.draw import draw_slide
from inference.geometry import Region, Size
from tests.benchmarks.measure import Figures, in_process, report

SIDE = 1024


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--large", type=int, default=0)
    args = parser.parse_args()
    figures = in_process(one, args.repeat)
    if args.large:
        figures |= in_process(large, args.large)
    report("images", **figures)


def one(repeat: int) -> Figures:
    from tests.server.web.deepliif_client import png_of
    from tests.server.web.test_deepliif import serving

    image, times, spent = png_of(drawn()), [], []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as plugin:
        for _ in range(repeat + 1):
            began, cpu = time.perf_counter(), time.process_time()
            found = plugin.post("/api/infer?resolution=20x", {"img": image}).body
            times.append(time.perf_counter() - began)
            spent.append(time.process_time() - cpu)
    nuclei = found["scoring"]["num_total"]
    return {"side": SIDE, "nuclei": nuclei, "s": statistics.median(times[1:]), "cpu_s": statistics.median(spent[1:])}


def large(side: int) -> Figures:
    from tests.benchmarks.measure import peak_mb
    from tests.server.web.test_deepliif import serving

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.png"
        lay(path, side)
        with serving(Path(folder)) as plugin:
            began = time.perf_counter()
            begun = plugin.post("/api/batch/infer?resolution=40x", {"img": path.read_bytes()}).body["task_id"]
            done = Path(folder) / "tasks" / begun
            while not ((done / "answer.json").exists() or (done / "failed.json").exists()):
                time.sleep(0.5)
            said = (done / "answer.json").read_text() if (done / "answer.json").exists() else "failed"
            seconds = time.perf_counter() - began
    return {"large_side": side, "large_s": round(seconds, 1), "large_peak_mb": peak_mb(), "large_said": said[-160:]}


def drawn() -> np.ndarray:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=5, h_score=150)
    return drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))


def lay(path: Path, side: int) -> None:
    """The drawn image at 40x beside itself until so many px are full, row by row."""
    from inference.multiplex.png import PngWriter

    tile = np.asarray(Image.fromarray(drawn()).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC))
    row = np.concatenate([tile] * -(-side // len(tile)), axis=1)[:, :side]
    with PngWriter(path, width=side, height=side) as file:
        for top in range(0, side, len(tile)):
            file.write(row[: min(len(tile), side - top)])


if __name__ == "__main__":
    main()

"""A slide from Orthanc by DICOMweb beside a plain download of the same bytes, in one run; one JSON line.

    python -m tests.benchmarks.archive [--side 20480] [--repeat 3]

`plain_s` is the same WADO-RS request with its answer written to a file and nothing else; `file_s` Orthanc's own
download, without DICOMweb; `spooled_s` ours: list, choice, download, digest, checks. Medians. Noise, so that JPEG
doesn't shrink it.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import urllib3

from inference.geometry import Region, Size
from inference.slide import Rgb
from server.archive.dicomweb import AS_STORED
from server.demo.slide_header import SlideIdentity
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.benchmarks.measure import median, peak_mb, report
from tests.orthanc import PASSWORD, USER, Orthanc, orthanc

ONE = SlideIdentity(key="benchmark/archive")
HEADERS = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")


class Noise:
    def __init__(self, side: int) -> None:
        self.size = Size(width=side, height=side)

    def read(self, region: Region) -> Rgb:
        made = np.random.default_rng(region.x * 7 + region.y)
        return made.integers(0, 256, (region.size.height, region.size.width, 3), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=20_480)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, orthanc(Path(name) / "pacs") as pacs:
        folder = Path(name)
        (path,) = write_dicom_slide(
            folder / "slide", JpegFrames(Noise(args.side), quality=95), mpp=0.5, identity=ONE, levels=1
        )
        pacs.archive(folder).store([path])
        measured(pacs, folder, path.stat().st_size / 1e6, args.repeat)


def measured(pacs: Orthanc, folder: Path, mb: float, repeat: int) -> None:
    before, took = peak_mb(), dict[str, list[float]]()
    for _ in range(repeat):
        for name, fetch in ways(pacs, folder).items():
            begun = time.perf_counter()
            fetch()
            took.setdefault(name, []).append(time.perf_counter() - begun)
    seconds = {f"{name}_s": median(values) for name, values in took.items()}
    ratio = round(seconds["plain_s"] / seconds["spooled_s"], 3)
    report("archive", mb=round(mb), **seconds, of_plain=ratio, more_mb=peak_mb() - before)


def ways(pacs: Orthanc, folder: Path) -> dict[str, Callable[[], None]]:
    (name,) = pacs.ask("/instances")
    instance = f"/studies/{ONE.study_uid}/series/{ONE.series_uid}/instances/{ONE.uid('level/0')}"
    return {
        "file": lambda: download(f"http://127.0.0.1:{pacs.http_port}/instances/{name}/file", "*/*", folder / "plain"),
        "plain": lambda: download(f"{pacs.url}{instance}", AS_STORED, folder / "plain"),
        "spooled": lambda: spooled(pacs, folder),
    }


def download(url: str, accept: str, target: Path) -> None:
    answer = urllib3.request("GET", url, headers=HEADERS | {"accept": accept}, preload_content=False, timeout=300)
    with target.open("wb") as file:
        for chunk in answer.stream(1 << 20):
            file.write(chunk)


def spooled(pacs: Orthanc, folder: Path) -> None:
    """Into an empty spool."""
    for used in ("spool-cache", "case"):
        shutil.rmtree(folder / used, ignore_errors=True)
    query = SlideQuery(slide=SlideReference(study_uid=ONE.study_uid, series_uid=ONE.series_uid))
    pacs.archive(folder, timeout_s=300).fetch(query, folder / "case")


if __name__ == "__main__":
    main()

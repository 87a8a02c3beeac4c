"""The page in a real browser on a result of many nuclei: the first picture, a threshold's move, frames while it pans.

    python -m tests.benchmarks.page [--nuclei 1000000]

One JSON line. The browser renders in software where there is no graphics card; the slide itself is away.
"""

import argparse
import json
import resource
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.cells.file import CellWriter
from inference.geometry import Size
from inference.slide import Level
from server import api_service
from server.bootstrap import Service, bootstrap
from server.demo.people import make_people
from server.demo.web import web_settings
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.result import Result
from server.observability import set_up
from server.services.page_cells import folder_of, prepare
from tests.e2e.browsing import chromium
from tests.made import made_nuclei, made_result
from tests.server.store.invented import request

SIDE = 80_000
PAN = """async ([dx, n]) => {
  const times = [];
  const canvas = document.querySelector('#slide .openseadragon-canvas');
  let last = performance.now();
  for (let k = 0; k < n; k++) {
    const key = new KeyboardEvent('keydown', { key: k % 20 < 10 ? 'ArrowRight' : 'ArrowLeft', bubbles: true });
    canvas.dispatchEvent(key);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  return times;
}"""


def many(folder: Path, nuclei: int) -> Result:
    """A result of so many nuclei, in clusters as tissue has them; its histograms and scores are a smaller one's."""
    made = made_result(folder, n=5000, seed=1)
    path, size = folder / "many.parquet", Size(width=SIDE, height=SIDE)
    with CellWriter(path, made.assay.analyzer.schema, mpp=0.25) as writer:
        for k in range(0, nuclei, 100_000):
            writer.add(made_nuclei(min(100_000, nuclei - k), seed=k, width=SIDE, height=SIDE))
    facts = replace(made.analysis.slide, size=size, levels=(Level(size=size, mpp=0.25),))
    files = (Artifact(kind=ArtifactKind.CELLS, path=path),)
    return replace(made, analysis=replace(made.analysis, slide=facts), artifacts=files)


def kept(service: Service, made: Result) -> str:
    order, _ = service.store.accept(request(lab="DEMO-LAB"))
    claim = service.store.claim(order.id, 60)
    assert claim is not None
    service.store.finish(claim, replace(made, order_id=order.id), [])
    return made.id


def figures(address: str, result_id: str) -> dict[str, Any]:
    with chromium() as context:
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="Sign in as").click()
        page.locator("#search").wait_for()
        opened: list[float] = []
        for _ in range(2):
            began = time.perf_counter()
            page.goto(f"{address}/case/{result_id}")
            while not page.evaluate("performance.getEntriesByName('nuclei').length"):
                page.wait_for_timeout(20)
            opened.append(time.perf_counter() - began)
        slider = page.locator("#slider-left")
        slider.focus()
        for _ in range(20):
            slider.press("ArrowRight")
        moves = page.evaluate("performance.getEntriesByName('threshold').map((e) => e.duration)")
        whole = page.evaluate(PAN, [1, 60])
        for _ in range(4):
            page.get_by_role("button", name="Zoom in").click()
            page.wait_for_timeout(700)
        near = page.evaluate(PAN, [1, 60])
    return {
        "first_picture_s": round(opened[0], 2),
        "again_s": round(opened[1], 2),
        "threshold_ms": round(statistics.median(moves), 1),
        "threshold_worst_ms": round(max(moves), 1),
        "frames_s_whole": round(1000 / statistics.mean(whole), 1),
        "frames_s_near": round(1000 / statistics.mean(near), 1),
    }


def main() -> None:
    set_up(level="warning")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nuclei", type=int, default=1_000_000)
    nuclei = parser.parse_args().nuclei
    folder = Path(tempfile.mkdtemp(prefix="chromogen-bench-"))
    folder.chmod(0o711)
    try:
        people = make_people(folder / "people")
        with bootstrap(web_settings(folder, 9, people, 0)) as service:
            doors = api_service.start(service)
            assert doors is not None
            assert doors.web is not None
            made = many(folder, nuclei)
            result_id = kept(service, made)
            began, spent = time.perf_counter(), time.process_time()
            prepare(made, folder_of(service.results_folder))  # as a worker does when a case ends
            index = {
                "index_s": round(time.perf_counter() - began, 2),
                "index_cpu_s": round(time.process_time() - spent, 2),
            }
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            found = figures(f"http://127.0.0.1:{doors.web.port}", result_id)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            doors.stop(1)
        print(json.dumps({"benchmark": "page", "nuclei": nuclei, **index, **found, "grew_mb": round(after - before)}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

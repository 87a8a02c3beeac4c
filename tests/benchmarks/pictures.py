"""The lines of a benchmark run as pictures, and as the tables of docs/performance.md.

    python -m tests.benchmarks --lines bench.jsonl && python -m tests.benchmarks.pictures bench.jsonl

Of lines that appear twice the last one counts. matplotlib is needed, and nothing else here needs it.
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLUE, BROWN, GREY = "#3b5b92", "#8a5a2b", "#9a9a9a"

Line = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lines", type=Path)
    lines = [json.loads(text) for text in parser.parse_args().lines.read_text().splitlines()]
    page = DOCS / "performance.md"
    text = page.read_text()
    (DOCS / "pictures").mkdir(exist_ok=True)
    for name, (table, picture) in SECTIONS.items():
        there = {json.dumps([line.get(k) for k in KEYS]): line for line in lines if line["benchmark"].startswith(name)}
        if there:
            text = replaced(text, name, table(list(there.values())))
            picture(list(there.values()))
            plt.tight_layout()
            plt.savefig(DOCS / "pictures" / f"performance-{name}.png", dpi=110)
            plt.close()
    page.write_text(text)


KEYS = ("benchmark", "what", "runtime", "side", "batch", "way", "threads", "nuclei", "who", "network")
"""What makes two lines the same measurement."""


def replaced(text: str, name: str, table: str) -> str:
    """The page with a new table between the marks of that name."""
    marks = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(marks, lambda m: m.group(1) + table + "\n" + m.group(2), text, flags=re.DOTALL)


def rows(header: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *([str(c) for c in row] for row in body)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def stages(lines: list[Line]) -> list[Line]:
    return [
        line
        for name in ("decode_alone", "network_alone", "end_to_end")
        for line in lines
        if line["benchmark"] == f"slide_{name}"
    ]


def slide_table(lines: list[Line]) -> str:
    body = [
        [s["benchmark"].removeprefix("slide_").replace("_", " "), s["s_per_mm2"], s["cpu_s_per_mm2"], s["peak_mb"]]
        for s in stages(lines)
    ]
    table = rows(["stage", "s/mm²", "core-seconds/mm²", "peak MB"], body)
    (s,) = [line for line in lines if line["benchmark"] == "slide"]
    told = (
        f"\n\n{s['side']} x {s['side']} px ({s['source']} tiles), {s['cores']} cores, median of "
        f"{s['runs']} run(s): efficiency "
        f"{s['efficiency']} by the clock, {s['efficiency_cpu']} by processor seconds; {s['peak_mb']:.0f} MB, and "
        f"{s['peak_mb_of_a_sixteenth']} MB for a sixteenth of it."
    )
    return table + told


def slide_picture(lines: list[Line]) -> None:
    shown = stages(lines)
    plt.figure(figsize=(6, 2.2))
    names = [s["benchmark"].removeprefix("slide_").replace("_", " ") for s in shown]
    plt.barh(names[::-1], [s["cpu_s_per_mm2"] for s in shown][::-1], color=[BROWN, BLUE, GREY])
    plt.xlabel("core-seconds/mm² of tissue")


def engine_table(lines: list[Line]) -> str:
    return rows(
        ["graph", "runtime", "tile px", "batch", "ms per 256 x 256 px"],
        [[e["what"], e["runtime"], e["side"], e["batch"], e["ms_per_256px"]] for e in lines],
    )


def engine_picture(lines: list[Line]) -> None:
    shown = [e for e in lines if e["what"] == "detection" and e["side"] > 256]
    plt.figure(figsize=(6, 2.6))
    plt.barh([e["runtime"] for e in shown][::-1], [e["ms_per_256px"] for e in shown][::-1], color=BLUE)
    plt.xlabel(f"ms of one core for 256 x 256 px, tiles of {shown[0]['side']} px")


def triton_table(lines: list[Line]) -> str:
    body = [
        [t["model"], t["way"], t["side"], t["batch"], t["tiles_per_s"], t["ratio"], t["ratio_cpu"]]
        for t in lines
        if "way" in t
    ]
    return rows(
        ["model", "pixels go by", "tile px", "batch", "tiles/s", "of in process, clock", "of in process, core-seconds"],
        body,
    )


def triton_picture(lines: list[Line]) -> None:
    shown = [t for t in lines if "way" in t]
    plt.figure(figsize=(6.5, 3))
    plt.barh(
        [f"{t['way']}, {t['batch']} x {t['side']} px" for t in shown][::-1],
        [t["ratio_cpu"] for t in shown][::-1],
        color=BLUE,
    )
    plt.axvline(0.93, color=BROWN, linestyle="--")
    plt.xlabel("of in process, by core-seconds (aim 0.93)")


def peers_table(lines: list[Line]) -> str:
    return rows(
        ["who", "core-seconds a gigapixel"], [[p["who"], p["core_s_per_gigapixel"]] for p in lines if "who" in p]
    )


def peers_picture(lines: list[Line]) -> None:
    shown = [p for p in lines if "who" in p]
    plt.figure(figsize=(6.5, 2.6))
    colours = [BLUE if p["who"].startswith("chromogen") else GREY for p in shown]
    plt.barh([p["who"] for p in shown][::-1], [p["core_s_per_gigapixel"] for p in shown][::-1], color=colours[::-1])
    plt.xlabel("core-seconds a gigapixel")


SHARES = ("our_cost_of_its", "our_cost_beyond_network_of_its", "our_peak_of_its")


def same_network_table(lines: list[Line]) -> str:
    lines = [p for p in lines if "who" in p]
    header = ["network", "who", "core-seconds a gigapixel", "of it the network", "nuclei kept", "peak MB"]
    body = [
        [
            p["network"],
            p["who"],
            p["core_s_per_gigapixel"],
            p["of_it_network"],
            f"{p['found']:,.0f}",
            f"{p['peak_mb']:,.0f}",
        ]
        + [p.get(share, "") for share in SHARES]
        for p in lines
    ]
    return rows([*header, "our cost of its", "beyond the network", "our peak of its"], body)


def same_network_picture(lines: list[Line]) -> None:
    measured = [p for p in lines if "who" in p]
    shown = [p for p in measured if p["network"] == measured[0]["network"]][::-1]
    plt.figure(figsize=(8, 3))
    plt.barh([p["who"] for p in shown], [p["core_s_per_gigapixel"] for p in shown], color=GREY)
    plt.barh([p["who"] for p in shown], [p["of_it_network"] for p in shown], color=BLUE, label="of it the network")
    plt.xlabel("core-seconds a gigapixel")
    plt.legend()


def scaling_table(lines: list[Line]) -> str:
    threads = [[s["threads"], s["s_per_mm2"], s["speedup"]] for s in lines if s["benchmark"] == "scaling_threads"]
    nuclei = [
        [f"{s['nuclei']:,}", s["seconds"], s["peak_mb"], s["file_mb"]]
        for s in lines
        if s["benchmark"] == "scaling_nuclei"
    ]
    slides = [
        [s["side"], s["mm2"], s["s_per_mm2"], s["cpu_s_per_mm2"], s["peak_mb"]]
        for s in lines
        if s["benchmark"] == "scaling_slide"
    ]
    return "\n\n".join(
        [
            rows(["threads", "s/mm² of the network", "speed-up"], threads),
            rows(["nuclei, no network", "seconds", "peak MB", "Parquet MB"], nuclei),
            rows(["side px", "mm²", "s/mm²", "core-seconds/mm²", "peak MB"], slides),
        ]
    )


def scaling_picture(lines: list[Line]) -> None:
    _, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
    for axes, name, key, label in (
        (left, "scaling_slide", "mm2", "slide, mm² of tissue"),
        (right, "scaling_nuclei", "nuclei", "nuclei"),
    ):
        shown = [s for s in lines if s["benchmark"] == name]
        axes.plot([s[key] for s in shown], [s["peak_mb"] for s in shown], "o-", color=BLUE)
        axes.set(ylim=(0, 1000), xlabel=label, ylabel="peak MB")


SECTIONS: dict[str, tuple[Callable[[list[Line]], str], Callable[[list[Line]], None]]] = {
    "slide": (slide_table, slide_picture),
    "engine": (engine_table, engine_picture),
    "triton": (triton_table, triton_picture),
    "scaling": (scaling_table, scaling_picture),
    "peers": (peers_table, peers_picture),
    "same_network": (same_network_table, same_network_picture),
}

if __name__ == "__main__":
    main()

"""All benchmarks, one JSON line each: what `make bench` runs.

    python -m tests.benchmarks [--quick] [--lines FILE]

Half an hour or more on two cores that do nothing else; `--quick` takes a smaller slide and fewer runs: do all run?
`--lines` keeps the lines, which `python -m tests.benchmarks.pictures FILE` draws for docs/performance.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lines", type=Path)
    args = parser.parse_args()
    if args.lines:
        os.environ["BENCH_LINES"] = str(args.lines.resolve())
    repeat = ["--repeat", "1" if args.quick else "3"]
    with tempfile.TemporaryDirectory() as folder:
        where = ["--folder", folder]
        run("slide", *where, *repeat, "--side", "4096" if args.quick else "20480")
        run(
            "scaling",
            *where,
            *repeat,
            "--sides",
            *(("1024", "2048", "4096") if args.quick else ("2560", "5120", "10240", "20480")),
        )
        run("peers", *where, *repeat, "--side", "2048" if args.quick else "8192")
        run("same_network", *where, *repeat, "--side", "2048" if args.quick else "8192")
    run("he", *repeat, "--side", "4096" if args.quick else "12288")
    run("opening", *repeat, "--frames", "400", "4000" if args.quick else "180000")
    run("engines", *repeat)
    run("orders")
    run("calibration", *repeat)
    run("stains", *(("--stains", "1", "--slides", "3") if args.quick else ()))
    run("fields")
    run("outlines", *repeat)
    run("page", "--nuclei", "50000" if args.quick else "1000000")
    run("annotations", "--cells", "20000" if args.quick else "1000000")
    run("annotations", "--outlines", "--cells", "20000" if args.quick else "1000000")
    run("annotations", "--contours", "--cells", "20000" if args.quick else "1000000")
    run("archive", *repeat, "--side", "4096" if args.quick else "20480")
    run("jobs")
    run("messages")
    run("audit", "--rows", "20000" if args.quick else "1000000")
    run("triton", "--repeat", "1" if args.quick else "5", "--seconds", "2" if args.quick else "4")
    run("killed")


def run(benchmark: str, *arguments: str) -> None:
    """A benchmark as from the command line, in a process of its own."""
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{benchmark}", *arguments], check=True)


if __name__ == "__main__":
    main()

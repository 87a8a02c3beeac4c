"""Rewrites the golden files from what the code answers now: `python -m tests.golden.make`.

`git diff` then says what moved, without any tolerance: on one machine that is the strict proof.
"""

import tempfile
from pathlib import Path

from tests.golden import kept
from tests.golden.cases import CASES, documents


def main() -> None:
    for case, build in CASES.items():
        with tempfile.TemporaryDirectory(prefix="chromogen-golden-") as folder:
            build(Path(folder))
            for path in kept.write(case, documents(Path(folder))):
                print(f"{path.stat().st_size:7} {path.name}")


if __name__ == "__main__":
    main()

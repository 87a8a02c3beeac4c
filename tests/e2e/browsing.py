"""A browser and the demo that it looks at, as processes of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".venv" / "node" / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """axe.run().then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
  .map((v) => [v.id, v.nodes[0].html]))"""
"""Those that axe finds in a page, the heavier ones."""
START_S, CASE_S = 60, 180
RUN = "from server.demo.web import run_web; from pathlib import Path; run_web(Path({out!r}), seed=3, h_score=150, keep=True, port=0, side=1536, say=lambda line: print(line, flush=True))"  # noqa: E501


@dataclass
class Demo:
    """What it printed so far is `said`."""

    process: subprocess.Popen[str]
    out: Path
    said: list[str]

    def until(self, pattern: str, timeout_s: float) -> re.Match[str]:
        """The first line that holds it; what is said meanwhile is kept."""
        assert self.process.stdout is not None
        ends = time.monotonic() + timeout_s
        for line in self.said:
            if found := re.search(pattern, line):
                return found
        while time.monotonic() < ends:
            line = self.process.stdout.readline()
            assert line, f"the demo ended: {self.said[-5:]}"
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"the demo never said {pattern}: {self.said[-5:]}")

    @property
    def address(self) -> str:
        return self.until(r"page\s+(http://\S+?)/\s", START_S)[1]

    @property
    def messages(self) -> list[str]:
        """What the LIS got, oldest first."""
        files = sorted((self.out / "service" / "received").iterdir(), key=lambda p: p.stat().st_mtime_ns)
        return [file.read_text() for file in files]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def demo(command: list[str], out: Path) -> Iterator[Demo]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHROMOGEN_")}
    with (out.parent / "demo.err").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True
        )
        made = Demo(process=process, out=out, said=[])
        try:
            yield made
        finally:
            if process.poll() is None:
                made.stop()
            assert process.stdout is not None
            process.stdout.close()


def small_demo(out: Path) -> list[str]:
    """Of a slide that is scored in seconds."""
    return [sys.executable, "-c", RUN.format(out=str(out))]


@contextmanager
def chromium(**more: Any) -> Iterator[Any]:
    """A page of a browser; whatever it complains of is kept in `page.complaints`."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **more)
        context.set_default_timeout(20_000)
        yield context
        browser.close()


def watched(context: Any) -> tuple[Any, list[str]]:
    """A page, and the errors that it shows: of scripts and of the policy."""
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" and "401" not in m.text else None)
    return page, complaints

"""The wheel, built and installed elsewhere, scores a slide with torch not importable, and brings its models and
migrations.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from inference.draw import draw_slide
from inference.geometry import Region, Size
from tests.integration.processes import ROOT, environment

SIDE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where the wheel's content lies, and how Python is run on it."""

    folder: Path
    wheel: Path

    def python(self, *arguments: str) -> str:
        """What it prints."""
        absent = self.folder.parent / "absent"
        absent.mkdir(exist_ok=True)
        (absent / "torch.py").write_text("raise ImportError('torch is not installed')\n")
        path = os.pathsep.join(map(str, (absent, self.folder)))  # before the site-packages, and what is editable there
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=absent,
            env=environment({"PYTHONPATH": path}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target"]
    subprocess.run([*pip, folder / "site", wheel], check=True, capture_output=True)
    return Installed(folder=folder / "site", wheel=wheel)


def test_it_scores_a_drawn_slide_without_torch(installed: Installed, tmp_path: Path) -> None:
    drawn = draw_slide(size=Size(width=SIDE, height=SIDE), seed=11, h_score=150)
    Image.fromarray(drawn.read(Region(x=0, y=0, width=SIDE, height=SIDE))).save(tmp_path / "slide.png")
    out = tmp_path / "out"
    score = ["-m", "server.cli.main", "score", str(tmp_path / "slide.png"), "--mpp", "0.5", "--out", str(out), "--json"]
    found = json.loads(installed.python(*score))
    assert found["compartments"]["all"]["n"] > 100
    assert 0 < found["compartments"]["all"]["h_score"] < 300
    assert (out / "nuclei.parquet").is_file()


def test_its_code_models_and_migrations_are_its_own(installed: Installed) -> None:
    code = (
        "import server, inference, chromogen.v1, inference.model as l, server.store.migrate as m;"
        "print(*[p.__file__ for p in (server, inference, chromogen.v1)], l.shipped_models(), m.scripts(), sep='\\n')"
    )
    places = [Path(line) for line in installed.python("-c", code).splitlines()]
    assert all(place.is_relative_to(installed.folder) for place in places)
    models, scripts = places[-2:]
    assert sorted(p.parent.name for p in models.glob("*/manifest.json")) == sorted(
        p.parent.name for p in (ROOT / "triton_models").glob("*/manifest.json")
    )
    for files in ("versions/*.py", "sql/*.sql"):
        shipped = sorted(p.name for p in scripts.glob(files))
        assert shipped == sorted(p.name for p in (ROOT / "migrations").glob(files)) != []


def test_torch_really_is_absent_there(installed: Installed) -> None:
    code = "import importlib, pytest\ntry:\n    import torch\nexcept ImportError as error:\n    print(error)"
    assert installed.python("-c", code).strip() == "torch is not installed"


def test_it_holds_no_test_no_training_data_and_is_of_bearable_size(installed: Installed) -> None:
    files = [p.relative_to(installed.folder) for p in installed.folder.rglob("*") if p.is_file()]
    assert {p.parts[0] for p in files if "dist-info" not in p.parts[0] and p.parts[0] != "bin"} == {
        "server",
        "inference",
        "chromogen",
    }
    assert not [p for p in files if p.suffix in (".pt", ".png", ".svs", ".dcm")]
    assert installed.wheel.stat().st_size < 60e6


@pytest.mark.postgres
def test_its_migrations_make_the_tables(installed: Installed, database_url: str) -> None:
    down_and_up = f"revert({database_url!r}, 'base'); migrate({database_url!r}); print('made')"
    made = installed.python("-c", f"from server.store.migrate import migrate, revert; {down_and_up}")
    assert made.strip() == "made"


OPEN = """
import http.client
from server.services.health import Health
from server.settings import Settings, Web
from server.web.files import routes
from server.web.groups import RouteGroup
from server.web.server import WebServer

page = WebServer(Settings(web=Web(port=0)), Health(()), None, None, lambda _: [RouteGroup(routes=tuple(routes()))])
port = page.start()
for path in ("/", "/case/x", "/static/main.js", "/static/page.css", "/static/vendor/openseadragon.js",
             "/static/vendor/openseadragon.LICENSE.txt"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", path)
    answer = client.getresponse()
    print(path, answer.status, len(answer.read()))
    client.close()
page.stop()
"""


def test_the_page_opens_from_it_with_all_its_files(installed: Installed) -> None:
    answers = [line.split() for line in installed.python("-c", OPEN).splitlines()]
    assert [status for _, status, _ in answers] == ["200"] * 6
    assert all(int(size) > 500 for _, _, size in answers)
    shipped, written = (folder / "server" / "web" / "static" for folder in (installed.folder, ROOT))
    assert sorted(p.name for p in shipped.rglob("*")) == sorted(p.name for p in written.rglob("*"))

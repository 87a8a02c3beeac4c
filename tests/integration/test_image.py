"""deploy/Dockerfile, built without a registry: on a Debian of debootstrap's in place of the image that it wants,
by buildah. With SOAK=1, as root, where both are installed: it takes minutes, and pip fetches every package.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import ROOT

PROGRAMS = ("buildah", "debootstrap")
BASE = "localhost/python:3.11-slim-bookworm"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
PIP_CONFIG, AUTHORITIES = Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("SOAK"), reason="SOAK=1 builds the container image"),
    pytest.mark.skipif(
        os.getuid() != 0 or not all(map(shutil.which, PROGRAMS)), reason="needs root, buildah and debootstrap"
    ),
]


class Buildah:
    """With images and containers of a folder's own; it needs no daemon."""

    def __init__(self, folder: Path) -> None:
        own = [f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}", "--storage-driver=vfs"]
        self._command = ["buildah", *own]

    def __call__(self, *arguments: str) -> str:
        """What it prints."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, (arguments[0], (done.stdout + done.stderr)[-4000:])
        return done.stdout.strip()

    def make_base(self, folder: Path) -> None:
        """Python 3.11 of Debian's, as far as the Dockerfile asks for it: `python`, and a PATH."""
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm", folder],
            check=True,
            capture_output=True,
        )
        (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        shutil.copyfile(AUTHORITIES, folder / AUTHORITIES.relative_to("/"))  # whom this machine trusts
        container = self("from", "scratch")
        self("add", "--quiet", container, str(folder), "/")
        self("config", f"--env=PATH={PATH}", container)
        self("commit", "--quiet", container, BASE)
        self("rm", container)

    def build(self) -> None:
        secret = [f"--secret=id=pip_config,src={PIP_CONFIG}"] if PIP_CONFIG.exists() else []
        build = ["bud", "--isolation=chroot", "--pull-never", "--network=host", f"--build-arg=BASE={BASE}", *secret]
        self(*build, "--file=deploy/Dockerfile", "--tag=chromogen", ".")

    def run(self, container: str, *command: str) -> str:
        """As the image's user; what it prints."""
        return self("run", "--isolation=chroot", "--user=10001:10001", container, "--", *command)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    folder = tmp_path_factory.mktemp("image")
    made = Buildah(folder)
    made.make_base(folder / "root")
    made.build()
    yield made
    made("rm", "--all")
    made("rmi", "--all", "--force")


@pytest.mark.timeout(3600)
def test_the_image_is_built_from_the_digests_and_runs_a_case_as_nobody_of_importance(buildah: Buildah) -> None:
    container = buildah("from", "--pull-never", "localhost/chromogen:latest")
    assert "uid=10001(chromogen) gid=10001(chromogen)" in buildah.run(container, "id")
    assert "chromogen:chromogen" in buildah.run(container, "stat", "-c", "%U:%G", "/data", "/archive")
    assert buildah.run(container, "sh", "-c", "test -w /opt/chromogen && echo yes || echo no") == "no"
    assert "serve" in buildah.run(container, "chromogen", "--help")
    said = buildah.run(container, "sh", "-c", "cd /tmp && chromogen demo --out /tmp/demo-out 2>&1")
    assert "H-score" in said

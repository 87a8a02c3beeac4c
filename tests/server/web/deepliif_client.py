"""What DeepLIIF's plug-in does with an image, written anew: batch, poll, keep the pictures, read `Seg` by itself."""

import base64
import http.client
import io
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any


@dataclass
class Plugin:
    """A client of one server; `headers` go with each request."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, files: Mapping[str, bytes], filename: str = "field.png") -> Reply:
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode()
            + data
            + b"\r\n"
            for name, data in files.items()
        ]
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return self.send("POST", path, body, {"content-type": f"multipart/form-data; boundary={boundary}"})

    def send(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, {**self.headers, **headers})
            found = connection.getresponse()
            return Reply(found.status, json.loads(found.read()))
        finally:
            connection.close()

    def batch(self, image: bytes, query: str) -> Any:
        """Send, ask until it is done; the result."""
        begun = self.post(f"/api/batch/infer?{query}", {"img": image})
        assert begun.status == 200, begun.body
        for _ in range(600):
            asked = self.send("GET", f"/api/batch/infer/{begun.body['task_id']}")
            assert asked.status == 200, asked.body
            if asked.body["state"] == "SUCCESS":
                return asked.body["result"]
            assert asked.body["state"] not in ("FAILURE", "REVOKED"), asked.body
            time.sleep(0.1)
        raise AssertionError("the task doesn't end")


def pictures_of(result: Any) -> dict[str, Pixels]:
    return {name: pixels_of(base64.b64decode(png)) for name, png in result["images"].items()}


def kept(result: Any, folder: Path, name: str) -> dict[str, bytes]:
    """NAME_<key>.png for each picture, as the plug-in leaves them."""
    for key, png in result["images"].items():
        (folder / f"{name}_{key}.png").write_bytes(base64.b64decode(png))
    return {key: (folder / f"{name}_{key}.png").read_bytes() for key in result["images"]}


def pixels_of(encoded: bytes) -> Pixels:
    image = Image.open(io.BytesIO(encoded))
    assert image.mode == "RGB"
    return np.asarray(image)


def png_of(pixels: Pixels, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def counted(seg: Pixels, threshold: int, least: int) -> tuple[int, int]:
    """Positive and negative nuclei of a map, by flooding pixel after pixel."""
    red, green, blue = (seg[..., channel].astype(int) for channel in range(3))
    positive = (red > threshold) & (green <= 80) & (blue <= red)
    negative = (blue > threshold) & (green <= 80) & (red < blue)
    left = set(zip(*(axis.tolist() for axis in np.nonzero(positive | negative)), strict=True))
    found = [0, 0]
    while left:
        edge = [left.pop()]
        nucleus = list(edge)
        while edge:
            row, column = edge.pop()
            near = {(row + dr, column + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)} & left
            left -= near
            edge.extend(near)
            nucleus.extend(near)
        if len(nucleus) >= least:
            votes = sum(1 for pixel in nucleus if positive[pixel])
            found[0 if 2 * votes >= len(nucleus) else 1] += 1
    return found[0], found[1]

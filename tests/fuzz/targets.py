"""What is fuzzed: each target makes its samples once, and then tries one change of them after the other."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from chromogen.v1 import control_service_pb2, order_service_pb2, profile_service_pb2
from google.protobuf.message import Message
from PIL import Image

from inference.annotations import read_geojson
from inference.area import read_areas
from inference.draw import draw_slide
from inference.errors import ChromogenError
from inference.geometry import Region, Size
from server.api.convert_calibration import adoption_of, asked_of
from server.api.convert_control import range_in
from server.api.convert_order import request_of
from server.api.convert_profile import profile_of
from server.api.gate import LARGEST_CALL
from server.api.receive import parsed
from server.cli.profile_file import read_profile
from server.demo.lis import order_message
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller, Role
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order, OrderId, Request, SlideReference
from server.domain.ports import SlideQuery
from server.hl7.intake import Intake
from server.report.source import read_source
from server.site_file import read_site
from server.slides.quiet import quiet
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.slides.whole_picture import open_whole
from tests.fake_pacs import Handler, fake_pacs
from tests.fuzz.mutate import change_fields, changed, deep, mutated
from tests.opened import open_slide
from tests.server.api.harness import hue_value, order_request

Try = Callable[[random.Random], None]
"""Does one thing with one change. Raises ChromogenError where it is refused, and nothing else."""

ROOT = Path(__file__).resolve().parents[2]
SIDE = 256
IDENTITY = SlideIdentity(key="fuzz/slide")
ACTOR = Caller(subject="invented", lab="LAB", roles=frozenset(Role))


def _slide(folder: Path) -> Path:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=1, h_score=150)
    return write_dicom_slide(folder, JpegFrames(drawing), mpp=0.5, identity=IDENTITY, levels=1)[0]


@contextmanager
def dicom(folder: Path) -> Iterator[Try]:
    """A DICOM file whose header was changed, up to its first pixels."""
    whole = _slide(folder / "sample").read_bytes()
    end, path = whole.index(b"\xe0\x7f\x10\x00OB"), folder / "slide.dcm"
    tokens = (b"SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"UN", b"OB", b"US\x02\0")

    def attempt(lot: random.Random) -> None:
        path.write_bytes(whole[:128] + mutated(whole[128:end], lot, tokens) + whole[end:])
        with quiet():
            read_source(path)
            slide = open_slide(path)
            slide.read(Region(x=0, y=0, width=64, height=64))
            slide.overview(16.0)
            slide.close()

    yield attempt


@contextmanager
def pictures(folder: Path) -> Iterator[Try]:
    """PNG, JPEG, TIFF and others as the door for images takes them."""
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=1, h_score=150)
    picture = Image.fromarray(drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE)))
    samples = []
    for kind, more in (("PNG", {}), ("JPEG", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WEBP", {})):
        out = BytesIO()
        picture.save(out, kind, **more)
        samples.append(out.getvalue())
    tokens = (b"IHDR", b"IDAT", b"\xff\xc0", b"\xff\xda", b"\0\0\x80\0\0\0\x80\0", b"II*\0")

    def attempt(lot: random.Random) -> None:
        path, whole = folder / "picture", lot.choice(samples)
        head = lot.choice((64, 600, len(whole)))
        path.write_bytes(mutated(whole[:head], lot, tokens) + whole[head:])
        with quiet():
            slide = open_whole(path, 0.5, folder)
            slide.read(Region(x=0, y=0, width=64, height=64))
            slide.close()

    yield attempt


@contextmanager
def hl7(_: Path) -> Iterator[Try]:
    """A message to the listener: it is answered, and never by INTERNAL."""
    sample = order_message(placer_number="P1", marker="ER", control_id="M1", container_id="C1", study_uid="1.2.3")
    samples = [sample, sample.replace(b"ORC|NW", b"ORC|CA")]
    tokens = (
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\\X41\\",
        b"\\.br\\",
        b"\rMSH|",
        b"\rPID|1||X\r",
        b"\rOBR|",
        b"UNICODE UTF-8",
    )

    def accept(request: Request) -> tuple[Order, bool]:
        return Order(id=OrderId("1"), request=request, received_at=datetime(2026, 1, 1, tzinfo=UTC)), True

    def cancel(_: Cancellation) -> CancelOutcome:
        return CancelOutcome(fitting=0)

    intake = Intake(accept, cancel)

    def attempt(lot: random.Random) -> None:
        answers = intake(mutated(lot.choice(samples), lot, tokens))
        assert not any(b"INTERNAL" in answer for answer in answers)
        if not any(b"MSA|AA" in answer for answer in answers):
            raise Refused(ServiceReason.MESSAGE_INVALID, "as the listener said")

    yield attempt


@contextmanager
def protobuf(_: Path) -> Iterator[Try]:
    """Messages of callers, parsed and read."""
    profile = profile_service_pb2.CreateProfileRequest()
    profile.profile.CopyFrom(_profile())
    calls: tuple[tuple[Message, Callable[[Any], object]], ...] = (
        (order_request(), lambda m: request_of(m.order, m.request_id, ACTOR)),
        (profile, lambda m: profile_of(m.profile, "LAB")),
        (profile_service_pb2.CalibrateProfileRequest(), asked_of),
        (profile_service_pb2.AdoptCalibrationRequest(), adoption_of),
        (control_service_pb2.SetControlRangeRequest(), lambda m: range_in(m.range, "LAB")),
    )
    assert isinstance(calls[0][0], order_service_pb2.CreateOrderRequest)

    def attempt(lot: random.Random) -> None:
        sample, read = lot.choice(calls)
        message = type(sample)()
        message.CopyFrom(sample)
        change_fields(message, lot)
        data = message.SerializeToString()
        data = mutated(data, lot) if lot.random() < 0.4 else data
        read(parsed(type(sample).FromString, data, LARGEST_CALL))

    yield attempt


def _profile() -> Any:
    from chromogen.v1 import profile_pb2

    return profile_pb2.Profile(name="fuzz", marker="ER", criteria=hue_value())


PROFILES = (
    {
        "name": "a",
        "revision": 1,
        "marker": "ER",
        "thresholds": {"method": "hue_value", "hue": 1, "left": 6, "right": 10},
    },
    {"name": "b", "revision": 1, "marker": "HER2", "thresholds": {"method": "membrane", "od_scale": 1.0}},
    {"name": "c", "revision": 1, "thresholds": {"method": "dab_od", "weak": 0.2, "moderate": 0.4, "strong": 0.6}},
)
GEOMETRIES = (
    {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]},
    {"type": "MultiPolygon", "coordinates": [[[[0, 0], [9, 0], [9, 9], [0, 0]]]]},
    {"type": "Point", "coordinates": [3.5, 4]},
)


@contextmanager
def files(folder: Path) -> Iterator[Try]:
    """The site file, profiles, annotations: written by people."""
    site = (ROOT / "deploy" / "site.example.toml").read_bytes()
    tokens = (b"=", b"[", b"]", b'"', b"[[routes]]\n", b"true", b"{", b"1979-05-27", b"\n[laboratories.NORTH]\n")
    path = folder / "file"

    def attempt(lot: random.Random) -> None:
        match lot.randrange(4):
            case 0:
                path.write_bytes(deep("x = [") if lot.random() < 0.01 else mutated(site, lot, tokens))
                read_site(path)
            case 1:
                path.write_bytes(_json(lot.choice(PROFILES), lot))
                read_profile(path)
            case 2:
                read_geojson(_features("epithelium 2", lot), {}, "the file")
            case _:
                read_areas(_features("tumour", lot), ("tumour", "exclude"), "the file")

    yield attempt


def _features(name: str, lot: random.Random) -> str:
    """GeoJSON as QuPath writes it."""
    classified = {"classification": {"name": name}}
    features = [{"type": "Feature", "properties": classified, "geometry": each} for each in GEOMETRIES]
    found = {"type": "FeatureCollection", "features": features[: lot.randint(1, 3)]}
    return _json(found, lot).decode("utf-8", "replace")


def _json(value: Any, lot: random.Random) -> bytes:
    if lot.random() < 0.02:
        return deep()
    data = json.dumps(changed(json.loads(json.dumps(value)), lot)).encode()
    return mutated(data, lot, (b"{", b"[", b'"', b",")) if lot.random() < 0.2 else data


@contextmanager
def dicomweb(folder: Path) -> Iterator[Try]:
    """What an archive answers: lists, metadata, instances."""
    _slide(folder / "pacs")
    query = SlideQuery(slide=SlideReference(study_uid=IDENTITY.study_uid, series_uid=IDENTITY.series_uid))
    with fake_pacs(folder / "pacs") as pacs:
        lots = [random.Random()]

        def sick(handler: Handler) -> bool:
            answer, lot = type(handler).answer, lots[0]

            def changed_answer(status: int, body: bytes, kind: str, **more: Any) -> None:
                if lot.random() < 0.5:
                    body = _json(json.loads(body), lot) if "json" in kind else mutated(body, lot)
                answer(handler, status, body, kind, **more)

            handler.answer = changed_answer  # type: ignore[method-assign]
            return False

        pacs.fault = sick

        def attempt(lot: random.Random) -> None:
            lots[0] = lot
            pacs.archive(folder / str(lot.random()), timeout_s=5.0).fetch(query, folder / "fetched")

        yield attempt


TARGETS = {each.__name__: each for each in (dicom, pictures, hl7, protobuf, files, dicomweb)}


def refused(attempt: Try, lot: random.Random) -> bool:
    """Was it refused, by a reason of ours? Raises whatever else came."""
    try:
        attempt(lot)
    except ChromogenError:
        return True
    return False

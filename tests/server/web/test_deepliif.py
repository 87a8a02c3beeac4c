"""DeepLIIF's endpoints as its clients use them, and what must be refused."""

import asyncio
import http.client
import io
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

from inference.draw import Drawing, draw_slide
from inference.engines.factory import Engines
from inference.geometry import Region, Size
from server import settings
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.image_service import admission
from server.services import image_tasks
from server.services.image_request import asked
from server.services.image_tasks import ImageTasks, State
from server.services.images import ImageService
from server.services.limits import Rate
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.web.deepliif import LARGEST_IMAGE, Endpoints
from server.web.door import Door
from tests.server.web.deepliif_client import Pixels, Plugin, counted, kept, pictures_of, png_of
from tests.server.web.test_web import Known, served

SIDE = 384
ALL = {"Hema", "DAPI", "Lap2", "Marker", "Seg", "SegOverlaid", "SegRefined"}
SERVICE = ImageService(Engines("local", together=True).of)  # as `serve` has it


def caller(lab: str = "LAB") -> Caller:
    return Caller(subject="dr-invented", lab=lab, roles=frozenset({Role.PATHOLOGIST}))


async def admitted(request: Request, name: str) -> Caller:
    """Whoever names a laboratory is of it."""
    if "x-lab" not in request.headers:
        raise Refused(ServiceReason.UNAUTHENTICATED, "the call carries no token that is known")
    return caller(request.headers["x-lab"])


@contextmanager
def serving(folder: Path, *, works: bool = True) -> Iterator[Plugin]:
    tasks = ImageTasks(folder, SERVICE)
    if works:
        tasks.start()
    with served(groups=[Endpoints(SERVICE, tasks, admitted).group()]) as port:
        yield Plugin(port, {"x-lab": "LAB"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def plugin(folder: Path) -> Iterator[Plugin]:
    with serving(folder) as made:
        yield made


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_slide(size=Size(width=SIDE, height=SIDE), seed=6, h_score=120)


@pytest.fixture(scope="module")
def picture(drawing: Drawing) -> Pixels:
    return drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))


@pytest.fixture(scope="module")
def png(picture: Pixels) -> bytes:
    return png_of(picture)


def test_a_client_that_reads_the_map_itself_counts_what_we_count(
    plugin: Plugin, drawing: Drawing, picture: Pixels, png: bytes, tmp_path: Path
) -> None:
    result = plugin.batch(png, "resolution=20x&pil")
    scoring, pictures = result["scoring"], pictures_of(result)
    assert set(pictures) == ALL
    assert {image.shape for image in pictures.values()} == {picture.shape}
    own = counted(pictures["Seg"], scoring["prob_thresh"], scoring["size_thresh"])
    assert sum(own) == pytest.approx(scoring["num_total"], rel=0.02)
    assert own == pytest.approx((scoring["num_pos"], scoring["num_neg"]), rel=0.02)
    assert scoring["num_total"] == pytest.approx(len(drawing.truth.x), rel=0.15)
    assert scoring["percent_pos"] == round(100 * scoring["num_pos"] / scoring["num_total"], 1)
    files = kept(result, tmp_path, "field")
    for threshold, least in ((90, 0), (210, 12), (230, 30)):
        again = plugin.post(
            f"/api/postprocess?resolution=20x&prob_thresh={threshold}&size_thresh={least}",
            {"img": png, "seg_img": files["Seg"], "marker_img": files["Marker"]},
        ).body
        moved = again["scoring"]
        assert set(again["images"]) == {"SegOverlaid", "SegRefined"}
        assert (moved["prob_thresh"], moved["size_thresh"]) == (threshold, least)
        assert sum(counted(pictures["Seg"], threshold, least)) == pytest.approx(moved["num_total"], rel=0.02)
        assert moved["num_total"] != scoring["num_total"], "the slider does something"


def test_a_colour_cast_is_warned_of(plugin: Plugin, picture: Pixels) -> None:
    tinted = np.asarray(np.rint(picture * np.array([1, 1, 0.82])), np.uint8)
    answer = plugin.post("/api/infer?resolution=20x&slim", {"img": png_of(tinted)}).body
    assert set(answer["warnings"]) - {"SCALE_UNKNOWN"} == {"COLOUR_CAST"}


def test_an_empty_picture_has_no_nuclei(plugin: Plugin) -> None:
    result = plugin.batch(png_of(np.full((200, 300, 3), 243, np.uint8)), "resolution=20x")
    assert result["scoring"]["num_total"] == 0
    assert result["scoring"]["percent_pos"] == 0.0
    assert counted(pictures_of(result)["Seg"], 0, 0) == (0, 0)


def test_words_are_taken_in_capitals_too() -> None:
    shouted = {"resolution": "20X", "size_thresh": "Auto", "size_thresh_upper": "NONE", "marker_thresh": "AUTO"}
    assert asked(shouted) == asked({name: value.lower() for name, value in shouted.items()})
    assert asked(shouted).mpp == 0.5


@pytest.mark.parametrize(("resolution", "scale"), [("10x", 0.5), ("40x", 2.0), ("", 2.0)])
def test_each_resolution_finds_the_same_nuclei(plugin: Plugin, picture: Pixels, resolution: str, scale: float) -> None:
    side = round(SIDE * scale)
    image = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
    usual = plugin.post("/api/infer?resolution=20x&slim", {"img": png_of(picture)}).body["scoring"]
    answer = plugin.post(f"/api/infer?resolution={resolution}", {"img": png_of(image)}).body
    assert answer["scoring"]["num_total"] == pytest.approx(usual["num_total"], rel=0.08)
    assert pictures_of(answer)["Seg"].shape == image.shape
    assert set(answer["warnings"]) - {"SCALE_UNKNOWN"} == ({"TOO_COARSE"} if resolution == "10x" else set())
    own = counted(pictures_of(answer)["Seg"], 150, answer["scoring"]["size_thresh"])
    assert sum(own) == pytest.approx(answer["scoring"]["num_total"], rel=0.02)


def test_slim_gives_one_picture_and_nopost_no_counts(plugin: Plugin, png: bytes) -> None:
    assert set(plugin.post("/api/infer?resolution=20x&slim", {"img": png}).body["images"]) == {"SegRefined"}
    raw = plugin.post("/api/infer?resolution=20x&nopost", {"img": png}).body
    assert set(raw["images"]) == ALL - {"SegOverlaid", "SegRefined"}
    assert "scoring" not in raw


def test_nuclei_come_as_qupath_reads_them_where_asked_for(plugin: Plugin, png: bytes) -> None:
    answer = plugin.post("/api/infer?mpp=0.5&slim&nuclei", {"img": png}).body
    features = answer["nuclei"]["features"]
    assert len(features) == pytest.approx(answer["scoring"]["num_total"], rel=0.02)
    assert {feature["properties"]["objectType"] for feature in features} == {"detection"}
    assert all(0 <= x <= SIDE + 14 for f in features for x, _ in f["geometry"]["coordinates"][0][:1])


def test_a_marker_gate_only_adds_positive_nuclei(plugin: Plugin, png: bytes) -> None:
    without, low, auto = (
        plugin.post(f"/api/infer?resolution=20x&slim&marker_thresh={gate}", {"img": png}).body["scoring"]
        for gate in ("none", "20", "auto")
    )
    assert (without["marker_thresh"], low["marker_thresh"]) == (None, 20)
    assert low["num_pos"] > without["num_pos"]
    assert isinstance(auto["marker_thresh"], int)
    assert low["num_total"] == without["num_total"] == auto["num_total"]


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000"])
def test_formats_that_pillow_reads_are_taken(plugin: Plugin, picture: Pixels, kind: str) -> None:
    answer = plugin.post("/api/infer?resolution=20x&slim", {"img": png_of(picture, kind)})
    assert answer.status == 200, answer.body
    assert answer.body["scoring"]["num_total"] > 100


def test_a_dicom_slide_is_taken(plugin: Plugin, drawing: Drawing, tmp_path: Path) -> None:
    write_dicom_slide(tmp_path / "slide", JpegFrames(drawing), mpp=0.5, identity=SlideIdentity(key="test-deepliif"))
    largest = max((tmp_path / "slide").rglob("*.dcm"), key=lambda path: path.stat().st_size)
    answer = plugin.post("/api/infer?resolution=20x&slim", {"img": largest.read_bytes()})
    assert answer.status == 200, answer.body
    assert answer.body["scoring"]["num_total"] > 100


def assert_nothing_arriving(folder: Path) -> None:
    """It goes once the answer was sent, a moment later."""
    for _ in range(100):
        if not (left := list((folder / "tasks").glob(".*"))):
            break
        time.sleep(0.02)
    assert left == []


def bomb() -> bytes:
    """A PNG whose header says 4 gigapixels."""
    small = bytearray(png_of(np.zeros((4, 4, 3), np.uint8)))
    small[16:24] = (65_000).to_bytes(4, "big") * 2
    small[29:33] = zlib.crc32(bytes(small[12:29])).to_bytes(4, "big")
    return bytes(small)


@pytest.mark.parametrize(
    ("query", "data", "reason", "names"),
    [
        ("", b"this is a letter, no image\n" * 20, "NOT_A_SLIDE", "no image"),
        ("", bomb(), "NOT_A_SLIDE", "at most"),
        (
            "",
            png_of(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[:6000],
            "SLIDE_DAMAGED",
            "cut off",
        ),
        ("", b"", "FIELD_MISSING", "img"),
        ("resolution=30x", b"x", "ARGUMENT_INVALID", "10x, 20x, 40x"),
        ("prob_thresh=255", b"x", "ARGUMENT_INVALID", "prob_thresh"),
        ("size_thresh=few", b"x", "ARGUMENT_INVALID", "size_thresh"),
        ("size_thresh_upper=0", b"x", "ARGUMENT_INVALID", "size_thresh_upper"),
        ("marker_thresh=-1", b"x", "ARGUMENT_INVALID", "marker_thresh"),
        ("mpp=nan", b"x", "ARGUMENT_INVALID", "mpp"),
        ("marker=HAIR", png_of(np.zeros((64, 64, 3), np.uint8)), "ASSAY_UNSUPPORTED", "stain"),
    ],
    ids=["text", "bomb", "cut", "empty", "resolution", "probability", "least", "most", "marker gate", "mpp", "stain"],
)
def test_what_is_wrong_is_named(plugin: Plugin, folder: Path, query: str, data: bytes, reason: str, names: str) -> None:
    answer = plugin.post(f"/api/infer?{query}", {"img": data})
    assert answer.status in (400, 404), answer.body
    assert answer.body["reason"] == reason
    assert names in answer.body["message"]
    assert_nothing_arriving(folder)


def test_a_bad_image_of_a_batch_is_a_failure_with_its_reason(plugin: Plugin, folder: Path) -> None:
    begun = plugin.post("/api/batch/infer", {"img": b"no image at all" * 20}).body
    for _ in range(100):
        asked_for = plugin.send("GET", f"/api/batch/infer/{begun['task_id']}").body
        if asked_for["state"] == "FAILURE":
            break
        time.sleep(0.05)
    assert (asked_for["state"], asked_for["reason"]) == ("FAILURE", "NOT_A_SLIDE")
    assert not (folder / "tasks" / begun["task_id"] / "img").exists()


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/shadow", "a/b\\c.png", "ä" * 300, "\x00"])
def test_a_name_that_is_a_path_is_never_looked_at(plugin: Plugin, folder: Path, png: bytes, name: str) -> None:
    answer = plugin.post("/api/infer?resolution=20x&slim", {"img": png}, filename=name)
    assert answer.status == 200, answer.body
    assert_nothing_arriving(folder)


def test_two_gigabytes_are_refused_before_they_are_sent(plugin: Plugin) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", plugin.port, timeout=10)
    connection.putrequest("POST", "/api/infer")
    connection.putheader("content-length", str(2 << 30))
    connection.putheader("content-type", "multipart/form-data; boundary=x")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert f"{LARGEST_IMAGE >> 20} MiB" in answer.read().decode()
    connection.close()


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "multipart/form-data; boundary=x"])
def test_what_is_no_form_is_refused(plugin: Plugin, kind: str) -> None:
    answer = plugin.send("POST", "/api/infer", b"{}", {"content-type": kind})
    assert (answer.status, answer.body["reason"]) in ((400, "ARGUMENT_INVALID"), (400, "FIELD_MISSING"))


def test_maps_of_another_size_are_refused(plugin: Plugin, png: bytes) -> None:
    small = png_of(np.zeros((10, 10, 3), np.uint8))
    answer = plugin.post("/api/postprocess", {"img": png, "seg_img": small})
    assert (answer.status, answer.body["reason"]) == (400, "ARGUMENT_INVALID")
    assert plugin.post("/api/postprocess", {"img": png}).body["reason"] == "FIELD_MISSING"


def test_who_has_no_token_gets_nothing_and_no_other_laboratorys_task(plugin: Plugin, png: bytes) -> None:
    stranger = Plugin(plugin.port)
    assert stranger.post("/api/infer", {"img": png}).status == 401
    assert stranger.post("/api/batch/infer", {"img": png}).status == 401
    begun = plugin.post("/api/batch/infer?resolution=20x", {"img": png}).body["task_id"]
    other = Plugin(plugin.port, {"x-lab": "OTHER"}).send("GET", f"/api/batch/infer/{begun}")
    assert (other.status, other.body["reason"]) == (404, "TASK_UNKNOWN")


@pytest.mark.parametrize("name", ["0" * 32, "..", "%2e%2e", "x"])
def test_a_task_that_there_is_not_is_unknown(plugin: Plugin, name: str) -> None:
    assert plugin.send("GET", f"/api/batch/infer/{name}").status == 404


def test_nothing_is_kept_once_the_answer_was_sent(tmp_path: Path, png: bytes) -> None:
    with serving(tmp_path) as plugin:
        plugin.batch(png, "resolution=20x&slim")
        plugin.post("/api/infer?resolution=20x&slim", {"img": png})
        for _ in range(100):
            if not (left := list((tmp_path / "tasks").iterdir())):
                break
            time.sleep(0.02)
        assert left == []


def test_a_task_outlives_the_process_that_took_it(tmp_path: Path, png: bytes) -> None:
    with serving(tmp_path, works=False) as plugin:
        begun = plugin.post("/api/batch/infer?resolution=20x&slim", {"img": png}).body["task_id"]
        assert plugin.send("GET", f"/api/batch/infer/{begun}").body["state"] == "PENDING"
    with serving(tmp_path) as plugin:
        for _ in range(600):
            found = plugin.send("GET", f"/api/batch/infer/{begun}").body
            if found["state"] == "SUCCESS":
                break
            time.sleep(0.05)
        assert found["result"]["scoring"]["num_total"] > 100


def test_a_task_that_ends_every_process_is_given_up(tmp_path: Path, png: bytes) -> None:
    tasks = ImageTasks(tmp_path, SERVICE)
    arrived = tasks.new_folder()
    (arrived / "img").write_bytes(png)
    task_id = tasks.take(arrived, caller(), asked({}))
    for attempt in range(image_tasks.MOST_ATTEMPTS):
        image_tasks._write(
            tmp_path / "tasks" / task_id / image_tasks.TASK,
            image_tasks.asdict(tasks.of(caller(), task_id)) | {"attempts": attempt + 1},
        )
    tasks._tend(tasks.of(caller(), task_id))
    assert tasks.state(tasks.of(caller(), task_id)) is State.FAILURE
    assert tasks.failure(tasks.of(caller(), task_id))["reason"] == "WORKER_LOST"


def test_a_connection_that_is_lost_while_the_answer_comes_costs_nothing(tmp_path: Path, png: bytes) -> None:
    with serving(tmp_path) as plugin:
        begun = plugin.post("/api/batch/infer?resolution=20x", {"img": png}).body["task_id"]
        while not (tmp_path / "tasks" / begun / "answer.json").exists():
            time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", plugin.port)) as lost:
            lost.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lost.sendall(f"GET /api/batch/infer/{begun} HTTP/1.1\r\nhost: localhost\r\nx-lab: LAB\r\n\r\n".encode())
            assert lost.recv(1024).startswith(b"HTTP/1.1 200")
        time.sleep(0.3)
        assert plugin.send("GET", f"/api/batch/infer/{begun}").body["state"] == "SUCCESS"


def test_what_nobody_fetches_goes_after_an_hour_and_what_people_lay_when_the_laboratory_says(
    tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = ImageTasks(tmp_path, SERVICE)
    ids = []
    for kept_s in (0.0, 90_000.0):
        arrived = tasks.new_folder()
        (arrived / "img").write_bytes(png)
        ids.append(tasks.take(arrived, caller(), asked({"resolution": "20x"}), kept_s=kept_s))
        tasks._tend(tasks.of(caller(), ids[-1]))
    began = time.time()
    for hours, left in ((0.9, ids), (1.1, ids[1:]), (24.9, ids[1:]), (25.1, [])):
        monkeypatch.setattr("server.services.image_tasks.time.time", lambda hours=hours: began + hours * 3600)
        for task in tasks._tasks():
            tasks._tend(task)
        assert {task.id for task in tasks._tasks()} == set(left)


def test_sixteen_bits_are_refused(plugin: Plugin) -> None:
    out = io.BytesIO()
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(out, "PNG")
    answer = plugin.post("/api/infer", {"img": out.getvalue()})
    assert (answer.status, answer.body["reason"]) == (400, "WRONG_COLOUR_SPACE")


def test_the_endpoints_stand_open_only_on_loopback_and_to_no_other_site() -> None:
    door = Door(Known(), rate=Rate(1000), note_refusal=lambda *_: None)
    wide = settings.Settings(web=settings.Web(port=0, host="10.1.2.3", open_images=True))
    with pytest.raises(Refused, match="loopback alone") as error:
        admission(wide, door)
    assert error.value.reason is ServiceReason.SETTING_INVALID
    admit = admission(settings.Settings(web=settings.Web(port=0, open_images=True)), door)
    assert asyncio.run(admit(asking(), "InferImage")).lab == settings.Grpc().local_lab
    with pytest.raises(Refused, match="another site's page"):
        asyncio.run(admit(asking(("sec-fetch-site", "cross-site")), "InferImage"))
    with pytest.raises(Refused, match="no token that is known"):
        asyncio.run(admit(asking(("authorization", "Bearer bad")), "InferImage"))
    closed = admission(settings.Settings(web=settings.Web(port=0)), door)
    with pytest.raises(Refused, match="no token that is known"):
        asyncio.run(closed(asking(), "InferImage"))


def asking(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "POST", "path": "/api/infer", "headers": raw})

"""The demo: a drawn slide of known truth goes the whole way, from an HL7 order to the reports, over real parts.

PostgreSQL (private), an MLLP listener, a worker, a folder archive and a receiving LIS; only the patient and the slide
are invented.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
from chromogen.v1 import order_pb2, result_pb2

from inference.assay import USUAL_MARKER, assay_of
from inference.draw import Drawing, draw_difficult, draw_slide
from inference.draw.difficult import DEMO, KINDS
from inference.engines.factory import Engines
from inference.geometry import Size
from inference.measures import Score
from server import settings
from server.api.convert_result import score_in
from server.archive.dicomweb import DicomWebArchive
from server.bootstrap import Service, bootstrap
from server.demo.api import order_and_result, serving
from server.demo.lis import LAB, ReceivingLis, order_message
from server.demo.pacs import NAME, PacsAddress, read_back, write_site
from server.demo.slide_header import SlideIdentity
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.result import Result, ResultId
from server.hl7.sender import send
from server.listening import listening as listening_at
from server.pipeline import CaseServices, run_case
from server.report.result_json import write_json
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.tls import engine_secure

SIDE_PX = 4096
MPP = 0.5
LEASE_S, SEND_TIMEOUT_S = 60.0, 30.0
CASE_FILES = ("result.json", "nuclei.parquet", "nuclei.geojson", "overlay.png")
MODALITIES = {"SR": "sr.dcm", "ANN": "ann.dcm", "SEG": "seg.dcm", "OT": "map.dcm"}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo found beside what was drawn, in rows of the same measures, and where everything lies."""

    result: Result
    truth: tuple[Score, ...]
    files: tuple[Path, ...]


def run_demo(
    out: Path,
    *,
    seed: int,
    h_score: float,
    keep: bool,
    say: Say,
    side: int = SIDE_PX,
    pacs: PacsAddress | None = None,
    difficult: bool = False,
) -> Outcome:
    """Draw, order, score, report; leaves its files in `out`.

    A `difficult` slide is one of `inference.draw.difficult`: large hollow nuclei in nests, a cast, uneven light. `keep`
    leaves the database and the archive in `out/service` too. With a PACS the slide is stored there, fetched from there,
    and the reports stored there and read back.
    """
    out.mkdir(parents=True, exist_ok=True)
    say(f"drawing a slide of {side} x {side} px (seed {seed}, H-score about {h_score:g})")
    identity, truth = make_slide(out, seed, h_score, side, difficult=difficult)
    with ExitStack() as stack:
        work = stack.enter_context(working_in(out, keep=keep))
        lis = stack.enter_context(ReceivingLis(emptied(work / "received")))
        site = None
        if pacs is None:
            fill_archive(out / "slide", work / "archive")
        else:
            secrets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-demo-pacs-")))
            site = write_site(secrets, pacs, lis.port)
        say("starting PostgreSQL, the MLLP listener and the worker")
        service = stack.enter_context(bootstrap(settings_for(work, lis.port, site)))
        if pacs is not None:
            say(f"storing the slide at {pacs.url}")
            pacs_of(service).store(sorted((out / "slide").glob("level-*.dcm")))
        order = order_slide(service, identity, say)
        say(f"scoring order {order}")
        services = case_services_of(service, work)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        with serving(service) as port:
            say("asking the gRPC API for the result")
            found, answered = order_and_result(port, order)
        if pacs is not None:
            say(f"reading the reports back from {pacs.url}")
        return collect(out, work, service, found, answered, truth, lis)


def pacs_of(service: Service) -> DicomWebArchive:
    """The demo's PACS."""
    archive = service.archives[NAME]
    assert isinstance(archive, DicomWebArchive)
    return archive


@contextmanager
def working_in(out: Path, *, keep: bool) -> Iterator[Path]:
    """A folder for the database and the archive: `out/service`, or one that goes at the end."""
    with ExitStack() as stack:
        work = out / "service"
        if not keep:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-demo-")))
        work.mkdir(exist_ok=True)
        work.chmod(0o711)  # PostgreSQL, which root runs as another account, must get through
        yield work


def make_slide(
    out: Path, seed: int, h_score: float, side: int, *, difficult: bool = False
) -> tuple[SlideIdentity, tuple[Score, ...]]:
    """The slide in `out/slide`, and, before anything looks at it, its truth in `out/truth.json`."""
    drawing = drawn(seed, h_score, side, difficult=difficult)
    assay = assay_of(USUAL_MARKER)
    truth = assay.analyzer.scores(assay.measures, drawing.truth.counts.reshape(-1), None)
    for name in (*CASE_FILES, *MODALITIES.values(), "oru.hl7"):  # of an earlier run: they don't belong to this truth
        (out / name).unlink(missing_ok=True)
    said = assay.analyzer.extra_json(truth) | {"seed": seed, "h_score_asked": h_score}
    write_json(out / "truth.json", said)
    key = f"demo/{seed}/{h_score}/{side}" + ("/difficult" if difficult else "")
    identity = SlideIdentity(key=key, marker=USUAL_MARKER)
    for path in (out / "slide").glob("level-*.dcm"):
        path.unlink()
    write_dicom_slide(out / "slide", JpegFrames(drawing), mpp=MPP, identity=identity)
    return identity, truth


def drawn(seed: int, h_score: float, side: int, *, difficult: bool) -> Drawing:
    """The demo's slide, of side x side px."""
    size = Size(width=side, height=side)
    if difficult:
        return draw_difficult(KINDS[DEMO], size=size, seed=seed, h_score=h_score)
    return draw_slide(size=size, seed=seed, h_score=h_score)


def fill_archive(slide: Path, archive: Path) -> None:
    """The slide's instances in the archive's folder, hard-linked where that can be."""
    target = emptied(archive) / "slide"
    try:
        shutil.copytree(slide, target, copy_function=os.link)
    except OSError:
        shutil.copytree(slide, target, dirs_exist_ok=True)


def settings_for(work: Path, lis_port: int, site: Path | None = None) -> settings.Settings:
    """The demo's own, whatever the environment says; but the networks run where it says (CHROMOGEN_ENGINE_NAME).

    `site` names a PACS and the LIS in place of the folder and the port.
    """
    return settings.Settings(
        database=settings.Database(),
        data=settings.Data(folder=work),
        archive=settings.Archive(folder=None if site else work / "archive", wait_s=0),
        mllp=settings.Mllp(port=0),
        lis=settings.Lis() if site else settings.Lis(host="127.0.0.1", port=lis_port),
        site=settings.Site(file=site),
        worker=settings.Worker(),
        grpc=settings.Grpc(port=0, insecure=True, local_lab=LAB),
        tls=settings.Tls(),
        oidc=settings.Oidc(),
    )


def order_slide(service: Service, identity: SlideIdentity, say: Say) -> str:
    """Send the order through a real MLLP connection; returns its placer number.

    Raises Failed when it isn't acknowledged.
    """
    number = f"DEMO-{uuid.uuid4().hex[:12].upper()}"
    message = order_message(
        placer_number=number,
        marker=USUAL_MARKER,
        control_id=number,
        container_id=identity.container_id,
        series_uid=identity.series_uid,
        specimen_id=identity.specimen_id,
    )
    with listening(service) as port:
        send(message, host="127.0.0.1", port=port, timeout_s=SEND_TIMEOUT_S)
    say(f"order {number} sent as OML^O21 and acknowledged")
    return number


@contextmanager
def listening(service: Service) -> Iterator[int]:
    """The MLLP listener, on the port that is set (0: a free one)."""
    with listening_at(service) as ports:
        (port,) = ports.values()
        yield port


def case_services_of(service: Service, work: Path) -> CaseServices:
    wanted = service.settings.engine
    engines = Engines(wanted.name, secure=engine_secure(wanted))
    return service.case_services(engines.of, cases=work / "cases")


def collect(
    out: Path,
    work: Path,
    service: Service,
    order: order_pb2.Order,
    answered: result_pb2.Result,
    truth: tuple[Score, ...],
    lis: ReceivingLis,
) -> Outcome:
    """Bring what reached the LIS and the archive, and the case's own files, to `out`.

    Raises Failed where something is missing.
    """
    if not lis.received or service.outbox.waiting():
        raise Failed(
            ServiceReason.DELIVERY_FAILED,
            f"{service.outbox.waiting()} reports of the demo didn't reach their destination",
        )
    (case,) = (work / "cases" / order.id).glob(f"{order.attempt}-*")
    made = [Path(shutil.copy(case / name, out / name)) for name in CASE_FILES]
    made.append(Path(shutil.copy(lis.received[-1], out / "oru.hl7")))
    result = service.store.result(ResultId(answered.id))
    if NAME in service.archives:
        made += read_back(pacs_of(service), case, out)
    for path in (work / "archive").glob("*.dcm"):
        modality = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).Modality
        made.append(Path(shutil.copy(path, out / MODALITIES[modality])))
    if [score_in(message) for message in answered.scores] != list(result.scores):
        raise Failed(ServiceReason.INTERNAL, "the API and the database tell different scores of the demo's slide")
    kept = (Artifact(kind=ArtifactKind.CELLS, path=out / "nuclei.parquet"),)  # the case's own are gone with `work`
    return Outcome(result=replace(result, artifacts=kept), truth=truth, files=tuple(sorted(made)))


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

"""The two cases, built anew: each leaves its answers in a folder, and `documents` reads them as text.

Both go the whole real path: private PostgreSQL, an order by MLLP, a worker, a folder archive, a receiving LIS. Only
this module knows the service: whoever renames its parts changes this one and no other here.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pydicom
from google.protobuf.json_format import MessageToDict

from inference.geometry import Size
from server.bootstrap import bootstrap
from server.demo.api import order_and_result, serving
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import case_services_of, fill_archive, listening, run_demo, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.order import Priority
from server.hl7.sender import send
from server.pipeline import run_case
from tests.golden.compare import Documents
from tests.golden.dicom_text import dicom_text
from tests.golden.json_text import json_lines, result_text
from tests.golden.masks import Masks, known_of
from tests.golden.nuclei_text import nuclei_text
from tests.golden.oru_text import oru_text
from tests.laid import lay_tiles

BREAST = ("76752008", "Breast", "SCT")
LAID_PX = Size(width=1800, height=1300)  # neither square nor whole tiles: columns aren't taken for rows
ORDER_NUMBER = "GOLDEN-1"
TIMEOUT_S = 30.0


def drawn(out: Path) -> None:
    """The demo's case: a drawn slide of endometrium, ordered by series, container and specimen."""
    run_demo(out, seed=7, h_score=150, keep=False, say=lambda _: None, side=1536)


def laid(out: Path) -> None:
    """A slide laid of drawn tiles, ordered STAT as a breast's, by container alone: other codes, a warning, no SPM."""
    lay_tiles(out / "slide", size=LAID_PX, seed=3, real=False)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-golden-")))
        work.chmod(0o711)  # PostgreSQL, which root runs as another account, must get through
        fill_archive(out / "slide", work / "archive")
        (work / "received").mkdir()
        lis = stack.enter_context(ReceivingLis(work / "received"))
        service = stack.enter_context(bootstrap(settings_for(work, lis.port)))
        message = order_message(
            placer_number=ORDER_NUMBER,
            marker="ER",
            control_id="GOLDEN-C-1",
            container_id=SlideIdentity(key="").container_id,
            site=BREAST,
            priority=Priority.STAT,
        )
        with listening(service) as port:
            send(message, host="127.0.0.1", port=port, timeout_s=TIMEOUT_S)
        services = case_services_of(service, work)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        with serving(service) as port:
            order, result = order_and_result(port, ORDER_NUMBER)
        said = {"order": order, "result": result}
        plain = {
            name: MessageToDict(m, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
            for name, m in said.items()
        }
        (out / "api.json").write_text(json.dumps(plain))
        (case,) = (work / "cases").glob("*/*/result.json")
        for path in (case, case.with_name("nuclei.parquet")):
            shutil.copy(path, out / path.name)
        (received,) = lis.received
        shutil.copy(received, out / "oru.hl7")
        for path in (work / "archive").glob("*.dcm"):
            kind = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).Modality
            shutil.copy(path, out / f"{kind.lower()}.dcm")


CASES: dict[str, Callable[[Path], None]] = {"drawn": drawn, "laid": laid}


def documents(out: Path) -> Documents:
    """A case's answers as text, by the name of the file that keeps them."""
    known = known_of(out / "slide")
    texts = {
        "result.json": result_text(out / "result.json", Masks(known)),
        "oru.txt": oru_text(out / "oru.hl7", Masks(known)),
        "nuclei.txt": nuclei_text(out / "nuclei.parquet"),
        **{f"{kind}.txt": dicom_text(out / f"{kind}.dcm", Masks(known)) for kind in ("sr", "ann", "seg")},
    }
    api = out / "api.json"
    return texts | ({"api.json": json_lines(json.loads(api.read_text()), Masks(known))} if api.exists() else {})

"""A page with one case of a drawn slide, ordered by HL7 and scored, and a browser that has it open."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.geometry import Region, Size
from inference.slide import Rgb
from server import api_service
from server.bootstrap import bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.people import make_people
from server.demo.run import case_services_of
from server.demo.slide_header import SlideIdentity
from server.demo.web import web_settings
from server.hl7.sender import send
from server.listening import listening
from server.pipeline import run_case
from server.settings import Archive, Lis, Settings, Site
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.e2e.browsing import chromium, watched
from tests.e2e.test_page import ready

PAINTED = """() => {
  const c = document.querySelector('.overlay');
  return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0);
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Pixels as a slide to be written."""

    pixels: Rgb

    @property
    def size(self) -> Size:
        return Size(width=self.pixels.shape[1], height=self.pixels.shape[0])

    def read(self, region: Region) -> Rgb:
        return self.pixels[region.y : region.bottom, region.x : region.right]


@contextmanager
def page_of(
    pixels: Rgb, work: Path, *, mpp: float, marker: str, ordered: str, site: str | None = None
) -> Iterator[str]:
    """Its address; `ordered` is how the order names the stain, `site` a site file's text, {lis} its port in it."""
    work.chmod(0o711)
    identity = SlideIdentity(key=f"{marker}-page", marker=marker)
    write_dicom_slide(
        work / "archive" / "slide", JpegFrames(Drawn(pixels=pixels)), mpp=mpp, identity=identity, levels=2
    )
    (work / "received").mkdir()
    with ExitStack() as stack:
        lis = stack.enter_context(ReceivingLis(work / "received"))
        wanted = web_settings(work, lis.port, make_people(work / "people"), 0)
        service = stack.enter_context(bootstrap(wanted if site is None else _at_site(wanted, work, site, lis.port)))
        doors = api_service.start(service)
        assert doors is not None
        assert doors.web is not None
        stack.callback(doors.stop)
        (port,) = stack.enter_context(listening(service)).values()
        message = order_message(
            placer_number=f"P-{marker}",
            marker=ordered,
            control_id=f"C-{marker}",
            series_uid=identity.series_uid,
            container_id=identity.container_id,
            specimen_id=identity.specimen_id,
        )
        send(message, host="127.0.0.1", port=port, timeout_s=20)
        services = case_services_of(service, work)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        yield f"http://127.0.0.1:{doors.web.port}"


def _at_site(wanted: Settings, work: Path, site: str, lis: int) -> Settings:
    (work / "site.toml").write_text(site.format(lis=lis))
    own = {"archive": Archive(wait_s=0), "lis": Lis(), "site": Site(file=work / "site.toml")}
    return wanted.model_copy(update=own)


@contextmanager
def case_open(address: str) -> Iterator[Any]:
    """Signed in, at the only case; nothing but refused changes may be complained of."""
    with chromium() as context:
        made, complaints = watched(context)
        made.goto(address)
        made.get_by_role("button", name="Sign in as").click()
        made.locator("#search").wait_for()
        made.get_by_role("button", name="All", exact=True).click()
        made.locator("tbody tr").first.click()
        ready(made)
        yield made
        assert [c for c in complaints if "409" not in c] == []


def drawn_over(page: Any, corners: list[tuple[float, float]]) -> None:
    """A region by the tool in use, corners as shares of the slide's place on the page."""
    box = page.locator("#slide").bounding_box()
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def sign(page: Any) -> None:
    page.keyboard.press("s")
    page.locator("dialog").get_by_role("button", name="Sign", exact=True).click()

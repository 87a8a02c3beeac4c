"""The site file: what it says, and each mistake in it told by its place."""

from pathlib import Path

import pytest

from server import settings
from server.domain.artifact import ArtifactKind
from server.domain.errors import Refused, ServiceReason
from server.domain.events import EventKind, destinations
from server.domain.order import EntityIdentifier, Patient, Priority, Request, Sender, SlideReference, Specimen
from server.domain.profile import Expired, ProfileRules
from server.site import MESSAGES, OBJECTS, Address, DimseAddress, Listener, Site, WebArchive, plain_site
from server.site_file import read_site, site_of

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "site.example.toml"
COMMON = Address(host="127.0.0.1", port=2575)

GOOD = """
[archives.a]
kind = "folder"
folder = "slides"

[destinations.lis]
kind = "mllp"
host = "127.0.0.1"
port = 2576

[destinations.a]
kind = "archive"
archive = "a"

[laboratories.LAB]
archives = ["a"]

[[routes]]
artifacts = ["ORU"]
to = ["lis"]
"""


def site_from(tmp_path: Path, text: str) -> Site:
    file = tmp_path / "site.toml"
    file.write_text(text)
    return read_site(file)


def told(tmp_path: Path, text: str) -> str:
    with pytest.raises(Refused) as refused:
        site_from(tmp_path, text)
    assert refused.value.reason == ServiceReason.SETTING_INVALID
    assert "\n" not in refused.value.message
    return refused.value.message


def order_of(lab: str, application: str = "LIS") -> Request:
    return Request(
        lab=lab,
        sender=Sender(application=application, facility=lab),
        message_control_id="1",
        message_type="OML^O21",
        placer_order_number=EntityIdentifier(identifier="P-1"),
        placer_request="1",
        priority=Priority.ROUTINE,
        marker="ER",
        procedure_code="ER",
        procedure_text="ER",
        patient=Patient(id="TEST-0001"),
        specimen=Specimen(),
        slide=SlideReference(container_id="C"),
    )


def reason_at(listener: Listener, request: Request) -> str:
    """Empty where the order may come in there."""
    try:
        listener.check(request.lab, request.sender)
    except Refused as error:
        return str(error.reason)
    return ""


def test_the_example_says_what_goes_where() -> None:
    site = read_site(EXAMPLE)

    def to(lab: str, event: EventKind, kind: ArtifactKind) -> list[str]:
        return list(destinations(site.routes, event, lab, kind))

    assert to("NORTH", EventKind.PRELIMINARY, ArtifactKind.ORU) == ["north-lis"]
    assert to("SOUTH", EventKind.REFUSED, ArtifactKind.ORU) == ["south-lis"]
    assert to("NORTH", EventKind.PRELIMINARY, ArtifactKind.SR) == []
    assert to("NORTH", EventKind.FINAL, ArtifactKind.SR) == ["north"]
    assert to("SOUTH", EventKind.PRELIMINARY, ArtifactKind.ANN) == ["south"]
    assert to("THIRD", EventKind.PRELIMINARY, ArtifactKind.ORU) == []
    assert site.laboratory("NORTH").archives == ("north", "shared")
    assert not site.laboratory("NORTH").profiles.built_in
    assert site.laboratory("SOUTH").profiles == ProfileRules()
    assert site.laboratory("NORTH").profiles.scanner == ("Manufacturer", "ManufacturerModelName")
    assert site.archives_of("SOUTH") == ("south", "shared", "pacs")
    assert site.destinations_of("SOUTH") == ("south-lis", "south")
    assert set(site.archives_of("*")) == {"north", "south", "shared", "scanners", "pacs", "old-pacs"}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert site_from(tmp_path, GOOD).archives[0].folder == tmp_path / "slides"


def test_a_laboratory_s_orders_come_in_at_its_own_listener_from_its_own_senders_alone() -> None:
    by_address = {listener.address: listener for listener in read_site(EXAMPLE).listeners(COMMON)}
    own, common = by_address[Address(host="0.0.0.0", port=2578)], by_address[COMMON]
    assert reason_at(own, order_of("NORTH", "NORTH-LIS")) == ""
    assert reason_at(own, order_of("NORTH", "SOUTH-LIS")) == "SENDER_UNKNOWN"
    assert reason_at(own, order_of("SOUTH")) == "LABORATORY_UNKNOWN"
    assert reason_at(common, order_of("SOUTH")) == ""
    assert reason_at(common, order_of("NORTH", "NORTH-LIS")) == "LABORATORY_UNKNOWN"
    assert reason_at(common, order_of("THIRD")) == "LABORATORY_UNKNOWN"


def test_where_every_laboratory_has_its_own_listener_there_is_no_common_one(tmp_path: Path) -> None:
    text = GOOD.replace('archives = ["a"]', 'archives = ["a"]\nlistener = "[::1]:0"')
    assert [each.address for each in site_from(tmp_path, text).listeners(COMMON)] == [Address(host="::1", port=0)]


@pytest.mark.parametrize("lab", ["LAB-A", "LAB A", "Pathologie Köln (Süd)", "7", "a" * 64])
def test_without_a_site_file_any_well_formed_laboratory_is_taken(lab: str) -> None:
    (open_one,) = plain_site(settings.Settings()).listeners(COMMON)
    assert reason_at(open_one, order_of(lab)) == ""


@pytest.mark.parametrize("lab", ["*", "", " ", "LAB ", "LAB\rMSH|", "A|B", "A^B", "A&B", "A~B", "A\\B", "a" * 65, "-"])
def test_what_is_no_name_of_a_laboratory_is_taken_nowhere(tmp_path: Path, lab: str) -> None:
    (open_one,) = plain_site(settings.Settings()).listeners(COMMON)
    assert reason_at(open_one, order_of(lab)) == "LABORATORY_UNKNOWN"
    (named_one,) = site_from(tmp_path, GOOD).listeners(COMMON)
    assert reason_at(named_one, order_of(lab)) == "LABORATORY_UNKNOWN"


def test_the_plain_settings_make_one_archive_and_a_lis_where_it_is_set(tmp_path: Path) -> None:
    archive = settings.Archive(folder=tmp_path)
    without = plain_site(settings.Settings(archive=archive))
    assert (without.archives[0].folder, without.archives[0].own) == (tmp_path, False)
    assert without.destinations_of("ANY LAB") == ("archive",)
    site = site_of(settings.Settings(archive=archive, lis=settings.Lis(host="lis.invalid", errors=3)))
    assert site.laboratory("ANY LAB").archives == ("archive",)
    assert list(destinations(site.routes, EventKind.CANCELLED, "ANY LAB", ArtifactKind.ORU)) == ["lis"]
    assert list(destinations(site.routes, EventKind.FINAL, "ANY LAB", ArtifactKind.SR)) == ["archive"]


def test_certificates_of_a_lis_that_isn_t_set_stop_the_start(tmp_path: Path) -> None:
    for key in ("tls_ca", "tls_cert", "tls_key"):
        with pytest.raises(Refused, match=r"CHROMOGEN_LIS_TLS_CA, _CERT, _KEY: are set, but CHROMOGEN_LIS_HOST is not"):
            site_of(settings.Settings(lis=settings.Lis.model_validate({key: tmp_path})))


def test_a_site_file_beside_the_plain_settings_that_it_replaces_is_refused(tmp_path: Path) -> None:
    file = settings.Site(file=EXAMPLE)
    for plain, name in (
        ({"lis": settings.Lis(host="lis.invalid")}, "CHROMOGEN_LIS_HOST"),
        ({"archive": settings.Archive(folder=tmp_path)}, "CHROMOGEN_ARCHIVE_FOLDER"),
    ):
        with pytest.raises(Refused, match=name):
            site_of(settings.Settings(site=file, **plain))  # type: ignore[arg-type]
    assert site_of(settings.Settings(site=file)).laboratories is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('folder = "slides"', ""), "[archives.a] folder: is missing"),
        (('folder = "slides"', "folder = 3"), "[archives.a] folder: is no text in quotes"),
        (
            ('folder = "slides"', 'folder = "slides"\nfolders = "x"'),
            "[archives.a] folders: is unknown; known are callers, folder",
        ),
        (('kind = "folder"', 'kind = "dicom"'), "[archives.a] kind: 'dicom' is none of folder"),
        (('kind = "mllp"', 'kind = "lis"'), "[destinations.lis] kind: 'lis' is none of mllp, archive"),
        (("port = 2576", ""), "[destinations.lis] port: is missing"),
        (("port = 2576", "port = 70000"), "[destinations.lis] port: is no whole number from 1 to 65535"),
        (("port = 2576", "port = true"), "[destinations.lis] port: is no whole number"),
        (("port = 2576", "port = 2576\ntimeout_s = 0"), "[destinations.lis] timeout_s: is no number from 0.1"),
        (("port = 2576", "port = 2576\ntimeout_s = nan"), "[destinations.lis] timeout_s: is no number from 0.1"),
        (("port = 2576", 'port = 2576\npassword = "x"'), "[destinations.lis] password: is unknown"),
        (('archive = "a"', 'archive = "b"'), "[destinations.a] archive: 'b' doesn't exist; known are a"),
        (("[archives.a]", "[archives.lis]"), "[destinations.a] archive: 'a' doesn't exist; known are lis"),
        (("[archives.a]", "[archives.disk]"), "[archives.disk]: has a name that is chromogen's own"),
        (("[laboratories.LAB]", '[laboratories."A|B"]'), "[laboratories.A|B]: is no name"),
        (("[laboratories.LAB]", "[laboratories.LAB]\nsender = []"), "[laboratories.LAB] sender: is unknown"),
        (('archives = ["a"]', 'archives = ["b"]'), "[laboratories.LAB] archives: 'b' doesn't exist; known are a"),
        (('archives = ["a"]', 'archives = ["a", "a"]'), "[laboratories.LAB] archives: names one twice"),
        (('archives = ["a"]', "archives = []"), "[laboratories.LAB] archives: is no list of texts in quotes, or empty"),
        (
            ('archives = ["a"]', 'archives = ["a"]\nlistener = "2575"'),
            "[laboratories.LAB] listener: '2575' is not host",
        ),
        (
            ('archives = ["a"]', 'archives = ["a"]\nprofiles = {builtin = true}'),
            "[laboratories.LAB] profiles builtin: is unknown; known are built_in",
        ),
        (("[[routes]]", '[[routes]]\nlaboratory = "OTHER"'), "[[routes]] number 1 laboratory: 'OTHER' doesn't exist"),
        (("[[routes]]", '[[routes]]\nevents = ["SIGNED"]'), "[[routes]] number 1 events: 'SIGNED' is none of ACCEPTED"),
        (('artifacts = ["ORU"]', ""), "[[routes]] number 1 artifacts: is missing"),
        (('artifacts = ["ORU"]', 'artifacts = ["CELLS"]'), "[[routes]] number 1 artifacts: CELLS never leaves"),
        (('to = ["lis"]', 'to = ["pacs"]'), "[[routes]] number 1 to: 'pacs' doesn't exist; known are a, lis"),
        (('to = ["lis"]', 'to = ["a"]'), "[[routes]] number 1 to: a takes ANN, KOS, MAP, SC, SEG, SR, and no ORU"),
        (("[[routes]]", "[route]"), "the site file route: is unknown; known are archives, destinations"),
        (("[[routes]]", "[routes]"), "the site file routes: is no list of tables: write [[routes]]"),
        (("[destinations.lis]", "[archives.a]"), "is not TOML: Cannot declare"),  # a name that stands twice
        (("port = 2576", "port = 2576\nport = 2577"), "is not TOML: Cannot overwrite a value (at line"),
        (("[laboratories.LAB]", "[laboratories]"), "laboratories archives: is no table"),
    ],
)
def test_each_mistake_is_told_by_table_and_key(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in GOOD
    assert said in told(tmp_path, GOOD.replace(*change, 1))


def test_an_mllp_destination_can_t_have_an_archive_s_name(tmp_path: Path) -> None:
    text = GOOD.replace("[destinations.a]", "[destinations.b]").replace("destinations.lis", "destinations.a")
    assert "[destinations.a]: has the name of an archive that it isn't" in told(
        tmp_path, text.replace('["lis"]', '["a"]')
    )


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "archives"),
        (GOOD[: GOOD.index("[destinations.lis]")], "destinations"),
        (GOOD[: GOOD.index("[laboratories.LAB]")], "laboratories"),
    ],
)
def test_a_site_without_archives_destinations_or_laboratories_is_refused(
    tmp_path: Path, text: str, missing: str
) -> None:
    assert f"[{missing}.NAME]: is missing" in told(tmp_path, text)


def test_a_file_that_cannot_be_read_is_told_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"CHROMOGEN_SITE_FILE: .*absent.toml can't be read"):
        read_site(tmp_path / "absent.toml")
    (tmp_path / "latin").write_bytes("folder = 'Köln'".encode("latin-1"))
    with pytest.raises(Refused, match="is not UTF-8"):
        read_site(tmp_path / "latin")
    (tmp_path / "deep").write_text("x = " + "[" * 100_000)
    with pytest.raises(Refused, match="nested too deeply"):
        read_site(tmp_path / "deep")


WEB = """[archives.a]
kind = "dicomweb"
url = "https://pacs.invalid/dicom-web"
"""


def web_site(text: str) -> str:
    return GOOD.replace(GOOD[GOOD.index("[archives.a]") : GOOD.index("[destinations.lis]")], f"{text}\n")


def test_a_pacs_behind_dicomweb_is_read_whole(tmp_path: Path) -> None:
    keys = 'user = "u"\npassword_file = "secret"\ntimeout_s = 5\nby_container = false\ntls_ca = "ca.pem"\n'
    (found,) = site_from(tmp_path, web_site(WEB + keys)).archives
    assert found == WebArchive(
        name="a",
        url="https://pacs.invalid/dicom-web",
        table="[archives.a]",
        user="u",
        password_file=tmp_path / "secret",
        timeout_s=5,
        by_container=False,
        tls_ca=tmp_path / "ca.pem",
    )
    assert found.certificates == {"[archives.a] tls_ca": tmp_path / "ca.pem"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("https://pacs.invalid/dicom-web", "pacs.invalid"), "[archives.a] url: is no address such as https://"),
        (("https://pacs", "ftp://pacs"), "[archives.a] url: is no address"),
        (("pacs.invalid", "pacs.invalid:port"), "[archives.a] url: is no address"),
        (("https://pacs", "https://u:secret@pacs"), "[archives.a] url: holds a user"),
        (("dicom-web", "dicom-web?x=1"), "[archives.a] url: holds a user, a question"),
        (("url =", 'user = "u"\nurl ='), "[archives.a] user, password_file: belong together"),
        (("url =", 'password_file = "p"\nurl ='), "[archives.a] user, password_file: belong together"),
        (("url =", 'password = "p"\nurl ='), "[archives.a] password: is unknown"),
        (("url =", 'token_url = "https://x"\nurl ='), "token_url, client_id, client_secret_file: belong together"),
        (
            ("url =", 'user = "u"\npassword_file = "p"\ntoken_file = "t"\nurl ='),
            "[archives.a]: has more than one of user, token_file and token_url",
        ),
        (("https://pacs.invalid/dicom-web", 'http://pacs.invalid"\ntls_ca = "ca'), "are set, but url isn't https://"),
    ],
)
def test_each_mistake_of_a_pacs_is_told_and_no_secret_repeated(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in WEB
    found = told(tmp_path, web_site(WEB.replace(*change, 1)))
    assert said in found
    assert "secret" not in found.replace("client_secret_file", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('aet = "PACS"', ""), "[archives.a] aet: is missing"),
        (('aet = "PACS"', 'aet = "SEVENTEEN-LETTERS"'), "[archives.a] aet: is no AE title"),
        (('aet = "PACS"', 'aet = "A\\\\B"'), "[archives.a] aet: is no AE title"),
        (("port = 104", "port = 0"), "[archives.a] port: is no whole number"),
        (("port = 104", 'port = 104\nlisten = "11112"'), "[archives.a] listen: '11112' is not host"),
    ],
)
def test_each_mistake_of_a_dimse_pacs_is_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    text = '[archives.a]\nkind = "dimse"\nhost = "pacs.invalid"\nport = 104\naet = "PACS"\n'
    (found,) = site_from(tmp_path, web_site(text)).archives
    assert isinstance(found, DimseAddress)
    assert (found.aet, found.our_aet, found.move) == ("PACS", "CHROMOGEN", False)
    assert said in told(tmp_path, web_site(text.replace(*change, 1)))


def test_every_certificate_of_the_site_is_named_by_the_key_that_sets_it(tmp_path: Path) -> None:
    text = GOOD.replace("port = 2576", 'port = 2576\ntls_ca = "ca.pem"\ntls_cert = "own.pem"\ntls_key = "own.key"')
    expected = {
        "[destinations.lis] tls_ca": tmp_path / "ca.pem",
        "[destinations.lis] tls_cert": tmp_path / "own.pem",
    }
    assert site_from(tmp_path, text).certificates == expected


def test_every_kind_of_destination_says_what_it_takes_and_is(tmp_path: Path) -> None:
    site = site_from(tmp_path, GOOD)
    assert {d.name: (d.archive, d.errors) for d in site.destinations} == {"lis": (None, 10), "a": ("a", None)}
    taken = [d.takes for d in site.destinations]
    assert frozenset.union(*taken) == MESSAGES | OBJECTS
    assert sum(map(len, taken)) == len(MESSAGES | OBJECTS)


def rules(tmp_path: Path, text: str) -> ProfileRules:
    return site_from(tmp_path, f"{GOOD}\n[laboratories.LAB.profiles]\n{text}\n").laboratory("LAB").profiles


def test_a_laboratory_says_where_the_slide_names_its_preparation_and_what_expiry_does(tmp_path: Path) -> None:
    found = rules(tmp_path, 'scanner = "DeviceSerialNumber"\nclone = ["A"]'.replace('"A"', '"StudyDescription"'))
    assert (found.scanner, found.clone, found.stainer) == (("DeviceSerialNumber",), ("StudyDescription",), ())
    assert rules(tmp_path, 'expired = "warn"\nexpiry_warning_days = 0') == ProfileRules(
        expired=Expired.WARN, expiry_warning_days=0
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('scanner = "ModelName"', "'ModelName' is no keyword of DICOM"),
        ('clone = "SpecimenDescriptionSequence.Clone"', "'Clone' is no keyword"),
        ('expired = "ignore"', "none of refuse, warn, pass_over"),
        ("expiry_warning_days = -1", "no whole number"),
        ("stainer = 3", "no list of texts"),
        ('stain = "x"', "is unknown"),
    ],
)
def test_a_mistake_in_the_rules_of_profiles_is_told_by_its_place(tmp_path: Path, text: str, said: str) -> None:
    message = told(tmp_path, f"{GOOD}\n[laboratories.LAB.profiles]\n{text}\n")
    assert message.startswith("[laboratories.LAB] profiles")
    assert said in message

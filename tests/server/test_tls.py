"""INTEROP.md I-3: what the settings make of MLLP's TLS and of Triton's, and which halves of them stop the start."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from server.domain.errors import Refused, ServiceReason
from server.settings import Engine, Lis, Mllp
from server.tls import engine_secure, listener_context, sender_context
from tests.server.api.issuer import Authority


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca, cert, key; other-key, locked-key (with a password) and nonsense."""
    folder, authority = tmp_path_factory.mktemp("pem"), Authority()
    own, other = authority.issue("own", server=True), authority.issue("other")
    key = serialization.load_pem_private_key(own.key, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"invented"),
    )
    files = {
        "ca": authority.pem,
        "cert": own.cert,
        "key": own.key,
        "other-key": other.key,
        "locked-key": locked,
        "nonsense": b"x",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def files(folder: Path, names: dict[str, str]) -> dict[str, Path]:
    return {f"tls_{setting}": folder / name for setting, name in names.items()}


def test_without_any_of_them_messages_go_in_plain_text() -> None:
    assert listener_context(Mllp()) is None
    assert sender_context(Lis(host="lis.invalid")) is None


def test_the_listener_asks_for_client_certificates_where_an_authority_is_set(pem: Path) -> None:
    alone = listener_context(Mllp(**files(pem, {"cert": "cert", "key": "key"})))  # type: ignore[arg-type]
    mutual = listener_context(Mllp(**files(pem, {"cert": "cert", "key": "key", "client_ca": "ca"})))  # type: ignore[arg-type]
    assert alone is not None
    assert mutual is not None
    assert (alone.newest.verify_mode, mutual.newest.verify_mode) == (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    assert mutual.newest.minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_sender_always_checks_the_receiver_and_its_name(pem: Path) -> None:
    context = sender_context(Lis(host="lis.invalid", tls_ca=pem / "ca"))
    assert context is not None
    assert (context.newest.verify_mode, context.newest.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.newest.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"cert": "cert"}, "CHROMOGEN_MLLP_TLS_CERT and CHROMOGEN_MLLP_TLS_KEY belong together"),
        ({"key": "key"}, "CHROMOGEN_MLLP_TLS_CERT and CHROMOGEN_MLLP_TLS_KEY belong together"),
        ({"client_ca": "ca"}, "CHROMOGEN_MLLP_TLS_CERT and CHROMOGEN_MLLP_TLS_KEY belong together"),
        ({"cert": "cert", "client_ca": "ca"}, "CHROMOGEN_MLLP_TLS_CERT and CHROMOGEN_MLLP_TLS_KEY belong together"),
        ({"cert": "absent", "key": "key"}, "CHROMOGEN_MLLP_TLS_CERT: .*absent can't be read"),
        ({"cert": "cert", "key": "absent"}, "CHROMOGEN_MLLP_TLS_KEY: .*absent can't be read"),
        ({"cert": "cert", "key": "other-key"}, "CHROMOGEN_MLLP_TLS_CERT and CHROMOGEN_MLLP_TLS_KEY: not a PEM"),
        ({"cert": "cert", "key": "locked-key"}, "has no password"),
        ({"cert": "nonsense", "key": "key"}, "not a PEM certificate"),
        ({"cert": "cert", "key": "key", "client_ca": "nonsense"}, "CHROMOGEN_MLLP_TLS_CLIENT_CA: .* holds no PEM"),
        ({"cert": "cert", "key": "key", "client_ca": "absent"}, "CHROMOGEN_MLLP_TLS_CLIENT_CA: .* can't be read"),
    ],
)
def test_half_a_listener_is_refused_by_the_setting_s_name(pem: Path, names: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        listener_context(Mllp(**files(pem, names)))  # type: ignore[arg-type]
    assert refused.value.reason == ServiceReason.SETTING_INVALID


@pytest.mark.parametrize(
    ("host", "names", "said"),
    [
        ("lis.invalid", {"cert": "cert", "key": "key"}, "CHROMOGEN_LIS_TLS_CA is not"),
        (
            "lis.invalid",
            {"ca": "ca", "cert": "cert"},
            "CHROMOGEN_LIS_TLS_CERT and CHROMOGEN_LIS_TLS_KEY belong together",
        ),
        ("lis.invalid", {"ca": "ca", "key": "key"}, "CHROMOGEN_LIS_TLS_CERT and CHROMOGEN_LIS_TLS_KEY belong together"),
        ("lis.invalid", {"ca": "nonsense"}, "CHROMOGEN_LIS_TLS_CA: .* holds no PEM"),
        ("lis.invalid", {"ca": "ca", "cert": "cert", "key": "other-key"}, "not a PEM certificate with its own key"),
        ("", {"ca": "ca"}, "CHROMOGEN_LIS_HOST is not"),
    ],
)
def test_half_a_sender_is_refused_by_the_setting_s_name(pem: Path, host: str, names: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        sender_context(Lis(host=host, **files(pem, names)))  # type: ignore[arg-type]
    assert refused.value.reason == ServiceReason.SETTING_INVALID


def engine(folder: Path, name: str, names: dict[str, str]) -> Engine:
    return Engine(name=name, **{setting: folder / file for setting, file in names.items()})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["local", "triton://host:1"])
def test_without_any_of_them_triton_is_asked_in_plain_text(name: str) -> None:
    assert engine_secure(Engine(name=name)) is None


def test_what_tritons_asks_with_is_what_the_files_hold_and_no_log_of_it_shows_the_key(pem: Path) -> None:
    newest = engine_secure(engine(pem, "tritons://host:1", {"ca": "ca", "cert": "cert", "key": "key"}))
    assert newest is not None
    found = newest()
    assert (found.authority, found.cert, found.key) == tuple(
        (pem / name).read_bytes() for name in ("ca", "cert", "key")
    )
    assert "PRIVATE KEY" not in repr(found)


@pytest.mark.parametrize(
    ("name", "names", "said"),
    [
        ("local", {"ca": "ca"}, "CHROMOGEN_ENGINE_NAME isn't tritons://"),
        ("triton://host:1", {"ca": "ca"}, "CHROMOGEN_ENGINE_NAME isn't tritons://"),
        ("triton://host:1", {"cert": "cert", "key": "key"}, "CHROMOGEN_ENGINE_NAME isn't tritons://"),
        ("tritons://host:1", {}, "CHROMOGEN_ENGINE_CA .* is not set"),
        ("tritons://host:1", {"cert": "cert", "key": "key"}, "CHROMOGEN_ENGINE_CA .* is not set"),
        (
            "tritons://host:1",
            {"ca": "ca", "cert": "cert"},
            "CHROMOGEN_ENGINE_CERT and CHROMOGEN_ENGINE_KEY belong together",
        ),
        (
            "tritons://host:1",
            {"ca": "ca", "key": "key"},
            "CHROMOGEN_ENGINE_CERT and CHROMOGEN_ENGINE_KEY belong together",
        ),
        ("tritons://host:1", {"ca": "absent"}, "CHROMOGEN_ENGINE_CA: .*absent can't be read"),
        ("tritons://host:1", {"ca": "nonsense"}, "CHROMOGEN_ENGINE_CA: .* holds no PEM"),
        (
            "tritons://host:1",
            {"ca": "ca", "cert": "cert", "key": "other-key"},
            "not a PEM certificate with its own key",
        ),
        ("tritons://host:1", {"ca": "ca", "cert": "cert", "key": "locked-key"}, "has no password"),
    ],
)
def test_half_a_tritons_is_refused_by_the_setting_s_name(
    pem: Path, name: str, names: dict[str, str], said: str
) -> None:
    with pytest.raises(Refused, match=said) as refused:
        engine_secure(engine(pem, name, names))
    assert refused.value.reason == ServiceReason.SETTING_INVALID

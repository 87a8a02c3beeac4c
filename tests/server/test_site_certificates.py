"""Clients' certificates in the site file: which laboratory and sender each is bound to."""

from pathlib import Path

import pytest

from server import settings
from server.cli.check_site import site_checks
from server.domain.errors import Refused, ServiceReason
from server.listening import check_shown
from tests.server.test_site import COMMON, GOOD, order_of, site_from, told

CERTIFIED = GOOD.replace('archives = ["a"]', 'archives = ["a"]\nsenders = ["LIS"]\n[laboratories.LAB.certificates]\n{}')


@pytest.mark.parametrize("who", ["lis.example", "LIS.example", f"sha256:{'a' * 64}"])
def test_o6_a_laboratory_that_binds_certificates_takes_orders_of_who_shows_one(tmp_path: Path, who: str) -> None:
    (listener,) = site_from(tmp_path, CERTIFIED.format(f'"{who}" = ["LIS"]')).listeners(COMMON)
    request = order_of("LAB")
    listener.check(request.lab, request.sender, frozenset({who.lower()}))
    for shown in (frozenset[str](), frozenset({"other.example"})):
        with pytest.raises(Refused, match="client certificate") as refused:
            listener.check(request.lab, request.sender, shown)
        assert refused.value.reason == ServiceReason.SENDER_UNKNOWN


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('"lis.example" = ["OTHER"]', "'OTHER' doesn't exist; known are *, LIS"),
        ('"lis.example" = "LIS"', "is no list of texts"),
        ('"sha256:abc" = ["LIS"]', "64 hexadecimal digits"),
    ],
)
def test_o6_certificates_that_can_t_be_meant_stop_the_start(tmp_path: Path, line: str, said: str) -> None:
    assert said in told(tmp_path, CERTIFIED.format(line))


def test_o6_certificates_that_nobody_is_asked_for_stop_the_start(tmp_path: Path) -> None:
    site = site_from(tmp_path, CERTIFIED.format('"lis.example" = ["LIS"]'))
    with pytest.raises(Refused, match="CHROMOGEN_MLLP_TLS_CLIENT_CA"):
        check_shown(site, settings.Mllp())
    check_shown(site, settings.Mllp(tls_client_ca=tmp_path / "ca"))
    checks = dict(site_checks(settings.Settings(site=settings.Site(file=tmp_path / "site.toml"))))
    with pytest.raises(Refused, match="CHROMOGEN_MLLP_TLS_CLIENT_CA"):
        checks["site"]()


def test_o6_a_certificate_of_one_laboratory_orders_for_no_other_at_that_one_s_own_port(tmp_path: Path) -> None:
    """SOUTH binds none itself, and listens elsewhere."""
    south = '\n[laboratories.SOUTH]\narchives = ["a"]\nlistener = "127.0.0.1:2599"\n'
    text = CERTIFIED.format('"lis.example" = ["LIS"]').replace("[[routes]]", f"{south}\n[[routes]]", 1)
    own = next(one for one in site_from(tmp_path, text).listeners(COMMON) if one.address.port == 2599)
    request = order_of("SOUTH")
    own.check(request.lab, request.sender, frozenset({"south.example"}))
    with pytest.raises(Refused, match="client certificate"):
        own.check(request.lab, request.sender, frozenset({"lis.example"}))

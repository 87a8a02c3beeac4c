"""Signing in by a real issuer (npm's oidc-provider, by TLS): code flow with PKCE, whose answers nobody can forge."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from server import settings
from server.api_service import start
from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.domain.session import Lifetime
from server.page_service import verifier_of
from server.services.sessions import SessionService
from server.store.session_repository import PostgresSessionRepository
from server.web.sign_in import UNDER_WAY
from tests.server.api.harness import Api
from tests.server.api.issuer import ISSUER, Authority, Issuer

MODULES = Path(__file__).resolve().parents[3] / ".venv" / "node" / "node_modules"
CLIENT = "chromogen-page"
LAB = "LAB-OIDC"

needs_issuer = pytest.mark.skipif(
    not ((MODULES / "oidc-provider").is_dir() and shutil.which("node")), reason="oidc-provider is not installed (npm)"
)
pytestmark = [pytest.mark.postgres, pytest.mark.peer]


@dataclass(frozen=True)
class SignedIn:
    """The page's address, and what trusts its issuer."""

    page: str
    ca: str

    def session(self) -> requests.Session:
        made = requests.Session()
        made.trust_env, made.verify = False, self.ca
        return made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def issuer_and_page(api: Api, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedIn]:
    folder = tmp_path_factory.mktemp("oidc")
    pair, at, web = authority.issue("issuer", server=True), free_port(), free_port()
    (folder / "ca.pem").write_bytes(authority.pem)
    page, issuer = f"http://localhost:{web}", f"https://localhost:{at}"
    jwk = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048)))
    jwk |= {"kid": "one", "use": "sig", "alg": "RS256"}
    wanted = {
        "modules": str(MODULES / "x.js"),
        "key": pair.key.decode(),
        "cert": pair.cert.decode(),
        "port": at,
        "jwks": {"keys": [jwk]},
        "claims": {"lab": LAB, "roles": ["pathologist"]},
        "client": {
            "client_id": CLIENT,
            "redirect_uris": [f"{page}/sign-in/back"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        },
    }
    script = Path(__file__).with_name("oidc-server.mjs")
    process = subprocess.Popen(
        ["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(wanted).encode())
    process.stdin.close()
    said = process.stdout.readline()
    assert said.strip() == b"ready", process.stderr.read()
    doors = start(replace(api.service, settings=settings_of(api, web, issuer, folder)))
    assert doors is not None
    try:
        yield SignedIn(page=page, ca=str(folder / "ca.pem"))
    finally:
        doors.stop(1)
        process.terminate()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


def settings_of(api: Api, web: int, issuer: str, folder: Path) -> settings.Settings:
    oidc = settings.Oidc(issuer=issuer, audience="api", jwks=f"{issuer}/jwks", ca=folder / "ca.pem", client_id=CLIENT)
    return api.service.settings.model_copy(
        update={
            "web": settings.Web(host="127.0.0.1", port=web, address=f"http://localhost:{web}"),
            "grpc": settings.Grpc(port=0, insecure=True),
            "tls": settings.Tls(),
            "oidc": oidc,
        }
    )


def until_back(browser: requests.Session, address: str) -> requests.Response:
    """Through the issuer's own pages, up to its answer, which is not followed."""
    answer = browser.get(address, timeout=20, allow_redirects=False)
    for _ in range(12):
        while answer.is_redirect:
            there = requests.compat.urljoin(answer.url, answer.headers["location"])
            if "/sign-in/back" in there:
                return answer
            answer = browser.get(there, timeout=20, allow_redirects=False)
        form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
        assert form, answer.text[:400]
        fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', answer.text))
        target = requests.compat.urljoin(answer.url, unescape(form[1]))
        answer = browser.post(
            target, {"login": "dr-oidc", "password": "x", **fields}, timeout=20, allow_redirects=False
        )
    raise AssertionError("the issuer never sent the browser back")


@needs_issuer
def test_who_signs_in_at_the_issuer_is_who_its_token_says_in_that_laboratory(issuer_and_page: SignedIn) -> None:
    browser = issuer_and_page.session()
    back = until_back(browser, f"{issuer_and_page.page}/sign-in?to=/case/{'0' * 8}-0000-0000-0000-{'0' * 12}")
    asked = parse_qs(urlsplit(back.headers["location"]).query)
    assert asked["code"]
    answer = browser.get(back.headers["location"], timeout=20, allow_redirects=False)
    assert answer.headers["location"].startswith("/case/")
    who = browser.get(f"{issuer_and_page.page}/data/session", timeout=20).json()
    assert (who["subject"], who["laboratory"], who["roles"]) == ("dr-oidc", LAB, ["pathologist"])
    again = browser.get(back.headers["location"], timeout=20, allow_redirects=False)
    assert again.headers["location"].startswith("/?sign-in=")


@needs_issuer
@pytest.mark.parametrize("spoilt", ["another browser", "another state", "no code", "a code of nobody's"])
def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(issuer_and_page: SignedIn, spoilt: str) -> None:
    browser = issuer_and_page.session()
    location = until_back(browser, f"{issuer_and_page.page}/sign-in").headers["location"]
    if spoilt == "another browser":
        browser = issuer_and_page.session()
    elif spoilt == "another state":
        location = re.sub(r"state=\w+", "state=" + "0" * 64, location)
    elif spoilt == "no code":
        location = re.sub(r"code=[^&]+&?", "", location)
    else:
        location = re.sub(r"code=[^&]+", "code=invented", location)
    answer = browser.get(location, timeout=20, allow_redirects=False)
    assert answer.headers["location"].startswith("/?sign-in=")
    assert browser.get(f"{issuer_and_page.page}/data/session", timeout=20).status_code == 401


@needs_issuer
def test_where_a_sign_in_leads_is_this_page_alone_and_its_cookie_is_no_script_s(issuer_and_page: SignedIn) -> None:
    browser = issuer_and_page.session()
    answer = browser.get(f"{issuer_and_page.page}/sign-in?to=https://evil.example/", timeout=20, allow_redirects=False)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    said = answer.headers["set-cookie"]
    assert UNDER_WAY in said
    assert "HttpOnly" in said
    assert said.split(";")[0].strip('"').endswith("./")
    strange = browser.get(f"{issuer_and_page.page}/", headers={"host": "evil.example"}, timeout=20)
    assert strange.status_code == 400


def test_a_session_ends_unused_and_in_any_case(api: Api) -> None:
    caller = Caller(subject="dr-a", lab="LAB-S", roles=frozenset({Role.PATHOLOGIST}))
    clock = {"now": datetime.now(UTC), "monotonic": 0.0}
    lifetime = Lifetime(idle=timedelta(minutes=30), longest=timedelta(hours=12))
    sessions = SessionService(
        PostgresSessionRepository(api.service.database),
        lifetime,
        now=lambda: clock["now"],  # type: ignore[arg-type, return-value]
        monotonic=lambda: clock["monotonic"],  # type: ignore[arg-type, return-value]
    )
    secret = sessions.begin(caller)
    assert sessions.session(secret).caller == caller
    clock["now"] += timedelta(minutes=29)  # type: ignore[operator]
    assert sessions.session(secret).caller == caller
    clock["now"] += timedelta(hours=11, minutes=40)  # type: ignore[operator]
    with pytest.raises(Refused) as error:
        sessions.session(secret)
    assert error.value.reason == ServiceReason.UNAUTHENTICATED
    with pytest.raises(Refused):
        sessions.session("invented")


def test_a_session_ends_where_its_subject_is_revoked(api: Api) -> None:
    """Who is on the list was signed in for hours more, and could sign in anew."""
    revoked = set[str]()
    sessions = SessionService(
        PostgresSessionRepository(api.service.database),
        Lifetime(idle=timedelta(minutes=30), longest=timedelta(hours=12)),
        revoked=lambda: frozenset(revoked),
    )
    secret = sessions.begin(Caller(subject="dr-gone", lab="LAB-S", roles=frozenset({Role.PATHOLOGIST})))
    sessions.session(secret)
    revoked.add("dr-gone")
    with pytest.raises(Refused) as error:
        sessions.session(secret)
    assert error.value.reason == ServiceReason.UNAUTHENTICATED


def test_nobody_who_is_revoked_signs_in(issuer: Issuer, tmp_path: Path) -> None:
    keys, revoked = tmp_path / "keys.json", tmp_path / "revoked"
    keys.write_bytes(issuer.jwks())
    revoked.write_text("")
    oidc = settings.Oidc(issuer=ISSUER, audience="api", client_id=CLIENT, jwks=str(keys), revoked=revoked)
    verify, token = verifier_of(settings.Settings(oidc=oidc)), issuer.token("pathologist", aud=CLIENT, nonce="n")
    assert verify(token, "n").subject == "tester"
    revoked.write_text("tester\n")
    with pytest.raises(Refused, match="revoked"):
        verifier_of(settings.Settings(oidc=oidc))(token, "n")

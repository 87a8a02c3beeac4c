"""G-7: who is let in. Every token here but the first ones is refused, each for one fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from chromogen.v1 import order_service_pb2 as pb
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from server.api.auth import AuthenticateByToken, AuthenticateLocal, revoked_in, thumbprint
from server.api.keys import KeySet
from server.api.known_tokens import KnownTokens
from server.domain.access import Caller, Role
from server.domain.errors import ChromogenError, Refused, ServiceReason
from tests.server.api.harness import Api, told
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer, now, unsigned

Faulty = Callable[[Issuer], str]


def caller(issuer: Issuer) -> AuthenticateByToken:
    return AuthenticateByToken(issuer=ISSUER, audience=AUDIENCE, keys=KeySet(issuer.jwks, refresh_s=300), leeway_s=5)


def admitted(issuer: Issuer, token: str, certificate: bytes | None = None) -> Caller:
    return caller(issuer)([("authorization", f"Bearer {token}")], certificate)


def refused(issuer: Issuer, token: str, certificate: bytes | None = None) -> ServiceReason:
    with pytest.raises(ChromogenError) as error:
        admitted(issuer, token, certificate)
    assert token[:20] not in error.value.message
    assert isinstance(error.value.reason, ServiceReason)
    return error.value.reason


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token_says_who_where_and_what(issuer: Issuer, algorithm: str) -> None:
    actor = admitted(issuer, issuer.token("lis", "made-up-role", algorithm=algorithm, lab="LAB-1", subject="a@b"))
    assert actor == Caller(subject="a@b", lab="LAB-1", roles=frozenset({Role.LIS}))


def public(issuer: Issuer) -> bytes:
    kind, format = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return issuer.rsa_key.public_key().public_bytes(kind, format)


def by_public_key(issuer: Issuer) -> str:
    """The old confusion: HS256 with the public key as the secret. PyJWT itself refuses to sign so."""
    import base64
    import hashlib
    import hmac

    head, body, _ = unsigned(issuer.claims("lis"), {"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}).split(".")
    mac = hmac.new(public(issuer), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def without(issuer: Issuer, name: str) -> str:
    return issuer.sign({k: v for k, v in issuer.claims("lis").items() if k != name})


def altered(issuer: Issuer) -> str:
    head, _, signature = issuer.token("lis").split(".")
    return ".".join([head, issuer.token("pathologist").split(".")[1], signature])


FAULTY: dict[str, Faulty] = {
    "no signature, alg none": lambda i: unsigned(i.claims("lis"), {"alg": "none", "kid": "ec-1"}),
    "alg None in capitals": lambda i: unsigned(i.claims("lis"), {"alg": "NONE", "kid": "ec-1"}),
    "no alg": lambda i: unsigned(i.claims("lis"), {"kid": "ec-1"}),
    "signature cut off": lambda i: i.token("lis").rsplit(".", 1)[0] + ".",
    "HS256 by the public key": by_public_key,
    "HS256 by a secret": lambda i: i.sign(i.claims("lis"), algorithm="HS256", key="s" * 32, kid="rsa-1"),
    "RS512": lambda i: i.token("lis", algorithm="RS512"),
    "PS256": lambda i: i.token("lis", algorithm="PS256"),
    "ES384 by another curve": lambda i: i.sign(
        i.claims("lis"), algorithm="ES384", key=ec.generate_private_key(ec.SECP384R1())
    ),
    "another RSA key": lambda i: i.sign(i.claims("lis"), algorithm="RS256", key=rsa.generate_private_key(65537, 2048)),
    "another EC key": lambda i: i.sign(i.claims("lis"), key=ec.generate_private_key(ec.SECP256R1())),
    "unknown kid": lambda i: i.token("lis", kid="other"),
    "kid of the other algorithm": lambda i: i.token("lis", kid="rsa-1"),
    "no kid": lambda i: jwt.encode(i.claims("lis"), i.ec_key, algorithm="ES256"),
    "kid that is a number": lambda i: unsigned(i.claims("lis"), {"alg": "ES256", "kid": 1}),
    "a critical header": lambda i: i.sign(i.claims("lis"), headers={"crit": ["exp"], "exp": 1}),
    "other claims under the signature": altered,
    "another issuer": lambda i: i.sign(i.claims("lis", iss="https://other.invalid")),
    "the issuer with a slash": lambda i: i.sign(i.claims("lis", iss=f"{ISSUER}/")),
    "another audience": lambda i: i.sign(i.claims("lis", aud="other")),
    "no audience": lambda i: without(i, "aud"),
    "no issuer": lambda i: without(i, "iss"),
    "no expiry": lambda i: without(i, "exp"),
    "no time of issue": lambda i: without(i, "iat"),
    "no subject": lambda i: without(i, "sub"),
    "no laboratory": lambda i: without(i, "lab"),
    "no roles": lambda i: without(i, "roles"),
    "not valid yet": lambda i: i.sign(i.claims("lis", nbf=now() + 600)),
    "issued in the future": lambda i: i.sign(i.claims("lis", iat=now() + 600)),
    "expiry that is text": lambda i: i.sign(i.claims("lis", exp="soon")),
    "roles that are text": lambda i: i.sign(i.claims() | {"roles": "lis"}),
    "roles that are numbers": lambda i: i.sign(i.claims() | {"roles": [1]}),
    "two laboratories": lambda i: i.sign(i.claims("lis", lab=["LAB-A", "LAB-B"])),
    "an empty laboratory": lambda i: i.sign(i.claims("lis", lab="")),
    "a laboratory with a wildcard": lambda i: i.sign(i.claims("lis", lab="LAB-%")),
    "a laboratory with a delimiter": lambda i: i.sign(i.claims("lis", lab="LAB^A")),
    "a laboratory with a line break": lambda i: i.sign(i.claims("lis", lab="LAB\nA")),
    "a laboratory that ends in a space": lambda i: i.sign(i.claims("lis", lab="LAB ")),
    "a laboratory without end": lambda i: i.sign(i.claims("lis", lab="L" * 65)),
    "a lis of all laboratories": lambda i: i.token("lis", lab="*"),
    "an operator of all laboratories who is a pathologist too": lambda i: i.token("operator", "pathologist", lab="*"),
    "a subject with a line break": lambda i: i.sign(i.claims("lis", subject="a\nb")),
    "an endless subject": lambda i: i.sign(i.claims("lis", subject="a" * 500)),
    "made to live a week": lambda i: i.sign(i.claims("lis", exp=now() + 7 * 86_400)),
    "no JSON inside": lambda i: "e30.e30.e30",
    "nothing like a token": lambda i: "x",
    "too long": lambda i: i.sign(i.claims("lis", more="x" * 9000)),
    "bound to a certificate that is not there": lambda i: i.sign(i.claims("lis", cnf={"x5t#S256": "abc"})),
    "bound to something else": lambda i: i.sign(i.claims("lis", cnf={"jkt": "abc"})),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_g7_a_token_with_one_fault_is_refused(issuer: Issuer, fault: str) -> None:
    assert refused(issuer, FAULTY[fault](issuer)) == ServiceReason.TOKEN_INVALID


def test_g7_at_least_twenty_five_faults_are_tried() -> None:
    assert len(FAULTY) >= 25


def test_g7_an_expired_token_is_said_to_be_so_beyond_the_leeway(issuer: Issuer) -> None:
    assert (
        refused(issuer, issuer.sign(issuer.claims("lis", iat=now() - 60, exp=now() - 6))) == ServiceReason.TOKEN_EXPIRED
    )
    assert admitted(issuer, issuer.sign(issuer.claims("lis", exp=now() - 2))).subject == "tester"


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Basic dTpw")],
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
        [("authorization-bin", b"x")],
        [("x-token", "a")],
    ],
)
def test_g7_a_call_without_one_bearer_token_is_refused(issuer: Issuer, metadata: Any) -> None:
    with pytest.raises(ChromogenError) as error:
        caller(issuer)(metadata, None)
    assert error.value.reason == ServiceReason.UNAUTHENTICATED


def test_a_token_bound_to_a_certificate_is_good_with_it_only(issuer: Issuer) -> None:
    authority = Authority()
    mine, other = authority.issue("a").cert, authority.issue("b").cert
    token = issuer.sign(issuer.claims("lis", cnf={"x5t#S256": thumbprint(mine).decode()}))
    assert admitted(issuer, token, mine).roles == {Role.LIS}
    assert refused(issuer, token, other) == ServiceReason.TOKEN_INVALID


def test_operators_and_auditors_may_belong_to_all_laboratories(issuer: Issuer) -> None:
    assert admitted(issuer, issuer.token("operator", "auditor", lab="*")).lab == "*"


@pytest.mark.parametrize("lab", ["L", "PATH LAB", "Städtisches Klinikum, Haus 2", "St. Mary's (East)"])
def test_laboratories_are_called_as_their_messages_call_them(issuer: Issuer, lab: str) -> None:
    assert admitted(issuer, issuer.token("lis", lab=lab)).lab == lab


def test_the_local_caller_needs_no_token() -> None:
    assert AuthenticateLocal(lab="L")([], None) == Caller(subject="local", lab="L", roles=frozenset(Role))


@pytest.mark.postgres
@pytest.mark.parametrize("token", [None, "x", "a.b.c"])
def test_g7_the_server_turns_strangers_away_before_it_reads_what_they_want(api: Api, token: str | None) -> None:
    """The request is not even one of the method: whoever may not call learns nothing of that."""
    call = api.channel.unary_unary("/chromogen.v1.OrderService/GetOrder")
    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    answer = told(lambda: call(b"\xff\xff\xff", metadata=metadata, timeout=10))
    assert answer.code is grpc.StatusCode.UNAUTHENTICATED
    role = api.issuer.token("auditor")
    denied = told(lambda: call(b"\xff\xff\xff", metadata=[("authorization", f"Bearer {role}")], timeout=10))
    assert denied.reason == "PERMISSION_DENIED"
    allowed = api.issuer.token("lis")
    malformed = told(lambda: call(b"\xff\xff\xff", metadata=[("authorization", f"Bearer {allowed}")], timeout=10))
    assert malformed.reason == "ARGUMENT_INVALID"


@pytest.mark.postgres
def test_a_token_of_the_issuer_is_good_at_the_server(api: Api) -> None:
    assert api.caller("lis").orders.ListOrders(pb.ListOrdersRequest()) is not None


def test_a_token_that_is_known_is_not_verified_twice_and_no_other_passes_for_it(issuer: Issuer) -> None:
    found, token = caller(issuer), issuer.token("lis", lab="LAB-1")
    for _ in range(2):
        assert found([("authorization", f"Bearer {token}")], None).lab == "LAB-1"
    assert found.known.get(token) is not None
    other = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    with pytest.raises(Refused):
        found([("authorization", f"Bearer {other}")], None)
    assert found.known.get(other) is None


def test_a_known_token_is_refused_once_its_issuer_no_longer_publishes_its_key(issuer: Issuer) -> None:
    now, jwks = [0.0], [issuer.jwks()]
    keys = KeySet(lambda: jwks[0], refresh_s=10, clock=lambda: now[0])
    found = AuthenticateByToken(issuer=ISSUER, audience=AUDIENCE, keys=keys)
    metadata = [("authorization", f"Bearer {issuer.token('lis')}")]
    found(metadata, None)
    jwks[0] = Issuer().jwks()
    found(metadata, None)
    now[0] = 20
    assert found.may_wait(metadata)
    with pytest.raises(Refused) as error:
        found(metadata, None)
    assert error.value.reason == ServiceReason.TOKEN_INVALID


def test_a_known_token_is_forgotten_at_its_end_and_after_a_minute(issuer: Issuer) -> None:
    clock = [1000.0]
    known = KnownTokens(lambda: clock[0])
    known.add("short", {"exp": 1030}, kid="k", algorithm="ES256", key=None)
    known.add("long", {"exp": 9000}, kid="k", algorithm="ES256", key=None)
    clock[0] = 1029
    assert known.get("short")
    clock[0] = 1030
    assert known.get("short") is None
    assert known.get("long")
    clock[0] = 1060
    assert known.get("long") is None


def test_few_tokens_are_remembered() -> None:
    known = KnownTokens(lambda: 0.0)
    for number in range(1100):
        known.add(str(number), {"exp": 10}, kid="k", algorithm="ES256", key=None)
    assert [known.get(str(number)) is not None for number in (0, 99, 100, 1099)] == [False, False, True, True]


@pytest.mark.parametrize("line", ["token-7", "lis", "  lis  "])
def test_a_revoked_token_is_refused_though_it_was_known_a_moment_ago(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("server.reloading.LOOK_S", 0)
    file = tmp_path / "revoked"
    file.write_text("another\n\n")
    keys = KeySet(issuer.jwks, refresh_s=300)
    authenticate = AuthenticateByToken(issuer=ISSUER, audience=AUDIENCE, keys=keys, revoked=revoked_in(file))
    token = issuer.sign(issuer.claims("lis", subject="lis", jti="token-7"))
    given = [("authorization", f"Bearer {token}")]
    assert authenticate(given, None).subject == "lis"
    file.write_text(f"another\n{line}\n")
    with pytest.raises(Refused, match="revoked") as refused:
        authenticate(given, None)
    assert refused.value.reason == ServiceReason.TOKEN_INVALID


def test_a_list_of_revoked_tokens_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="CHROMOGEN_OIDC_REVOKED"):
        revoked_in(tmp_path / "none")

"""The issuer's keys are cached, rotated, and survive an issuer that is away."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from server.api.keys import AGAIN_AFTER_S, KeySet, parse_keys, reader_of
from server.domain.errors import ChromogenError, ServiceReason
from tests.server.api.issuer import Issuer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A JWKS that counts how often it is read, and can be away."""

    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data
        self.reads = 0

    def __call__(self) -> bytes:
        self.reads += 1
        if self.data is None:
            raise OSError("away")
        return self.data


def reason(call: Callable[[], object]) -> ServiceReason:
    with pytest.raises(ChromogenError) as error:
        call()
    assert isinstance(error.value.reason, ServiceReason)
    return error.value.reason


def test_keys_are_read_once_until_they_are_old(issuer: Issuer) -> None:
    source, clock = Source(issuer.jwks()), Clock()
    keys = KeySet(source, refresh_s=300, clock=clock)
    for _ in range(10):
        keys.key("ec-1", "ES256")
    assert source.reads == 1
    clock.now += 301
    keys.key("rsa-1", "RS256")
    assert source.reads == 2


def test_a_new_key_is_found_at_once_and_an_old_one_forgotten(issuer: Issuer) -> None:
    source, clock = Source(issuer.jwks()), Clock()
    keys = KeySet(source, refresh_s=300, clock=clock)
    keys.key("ec-1", "ES256")
    rotated = json.loads(issuer.jwks())
    for key in rotated["keys"]:
        key["kid"] += "-new"
    source.data = json.dumps(rotated).encode()
    clock.now += AGAIN_AFTER_S
    keys.key("ec-1-new", "ES256")
    assert reason(lambda: keys.key("ec-1", "ES256")) == ServiceReason.TOKEN_INVALID


def test_unknown_keys_do_not_make_us_read_without_end(issuer: Issuer) -> None:
    source, clock = Source(issuer.jwks()), Clock()
    keys = KeySet(source, refresh_s=300, clock=clock)
    for number in range(100):
        assert reason(lambda n=number: keys.key(f"kid-{n}", "ES256")) == ServiceReason.TOKEN_INVALID  # type: ignore[misc]
    assert source.reads == 1


def test_an_issuer_that_is_away_leaves_the_keys_that_there_are(issuer: Issuer) -> None:
    source, clock = Source(issuer.jwks()), Clock()
    keys = KeySet(source, refresh_s=300, clock=clock)
    keys.key("ec-1", "ES256")
    for broken in (None, b"", b"not json", b"[]", b'{"keys": []}', b'{"keys": [1, {}]}'):
        source.data = broken
        clock.now += 400
        assert keys.key("ec-1", "ES256") is not None


def test_while_one_caller_waits_for_a_slow_issuer_the_others_go_on(issuer: Issuer) -> None:
    clock, asked, answered = Clock(), threading.Event(), threading.Event()
    source = Source(issuer.jwks())

    def slow() -> bytes:
        if source.reads:
            asked.set()
            assert answered.wait(10)
        return source()

    keys = KeySet(slow, refresh_s=300, clock=clock)
    keys.key("ec-1", "ES256")
    clock.now += 400
    waiting = threading.Thread(target=lambda: keys.key("ec-1", "ES256"))
    waiting.start()
    assert asked.wait(10)
    assert keys.key("ec-1", "ES256") is not None
    answered.set()
    waiting.join(10)
    assert source.reads == 2


def test_without_any_key_the_service_says_that_it_is_its_own_trouble() -> None:
    source = Source(b"")
    source.data = None
    assert reason(lambda: KeySet(source, refresh_s=300).key("a", "ES256")) == ServiceReason.KEYS_UNREACHABLE


def test_only_signing_keys_of_the_two_kinds_are_taken() -> None:
    weak = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()))
    curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))
    good = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    entries = [
        weak | {"kid": "weak"},
        curve | {"kid": "curve"},
        good | {"kid": "enc", "use": "enc"},
        good,
        good | {"kid": "good"},
        good | {"kid": "as-rsa", "alg": "RS256"},
        good | {"kid": "hs", "alg": "HS256"},
        {"kty": "oct", "k": "AA", "kid": "oct"},
    ]
    assert set(parse_keys(json.dumps({"keys": entries}).encode())) == {"good"}


def test_keys_come_from_a_file_or_by_https(tmp_path: Path, issuer: Issuer) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(issuer.jwks())
    assert reader_of(str(path))() == issuer.jwks()
    assert callable(reader_of("https://issuer.invalid/jwks"))
    for wrong in ("http://issuer.invalid/jwks", "ftp://x/y", "file:///etc/passwd"):
        assert reason(lambda w=wrong: reader_of(w)) == ServiceReason.SETTING_INVALID  # type: ignore[misc]

"""The demo's issuer: a key of its own, and a token for each role, for this machine and this demo alone."""

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from server.demo.lis import LAB
from server.domain.access import Role
from server.settings import Oidc

ISSUER, AUDIENCE = "https://demo.invalid", "chromogen-demo"
LIVES_S = 86_400
USER = "demo-pathologist"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Whose tokens are taken, and where the token of each role lies."""

    oidc: Oidc
    tokens: dict[Role, Path]


def make_people(folder: Path) -> People:
    """The files are their owner's alone."""
    key, kid = ec.generate_private_key(ec.SECP256R1()), uuid.uuid4().hex
    folder.mkdir(parents=True, exist_ok=True)
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig", "alg": "ES256"}
    jwks = _written(folder / "issuer.jwks", json.dumps({"keys": [jwk]}))
    tokens = {role: _written(folder / f"{role}.token", _token(key, kid, role)) for role in Role}
    return People(oidc=Oidc(issuer=ISSUER, audience=AUDIENCE, jwks=str(jwks)), tokens=tokens)


def _token(key: ec.EllipticCurvePrivateKey, kid: str, role: Role) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": USER if role is Role.PATHOLOGIST else f"demo-{role}",
        "lab": LAB,
        "roles": [str(role)],
        "iat": now,
        "exp": now + LIVES_S,
    }
    return jwt.encode(claims, key, "ES256", headers={"kid": kid})


def _written(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path

"""deploy/environment.example out of the settings:  python -m tests.server.deploy.environment_example [--write]"""

import inspect
import sys
from pathlib import Path

from pydantic import BaseModel, SecretStr

from server.settings import PREFIX, Settings

EXAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "environment.example"

HEAD = """\
# Every setting of chromogen, with its default. Made by `python -m tests.server.deploy.environment_example --write`.
# A variable that begins with CHROMOGEN_ and isn't here stops the start.
"""

COMPOSE = """
# Of deploy/compose.yaml alone, in a file .env beside it: Orthanc's users, a JSON object of names and passwords.
# ORTHANC_USERS=
#
# And images by their digests, name@sha256:... (docs/operations.md); empty: by the tag in that file.
# POSTGRES_IMAGE=
# ORTHANC_IMAGE=
# TRITON_IMAGE=
# PYTHON_IMAGE=
"""


def example() -> str:
    """The whole file."""
    groups = ((name, field.annotation) for name, field in Settings.model_fields.items())
    return HEAD + "".join(_group(name, group) for name, group in groups if isinstance(group, type)) + COMPOSE


def _group(name: str, group: type[BaseModel]) -> str:
    said = "".join(f"# {line}".rstrip() + "\n" for line in inspect.cleandoc(group.__doc__ or "").splitlines())
    values = ((inner, field.get_default(call_default_factory=True)) for inner, field in group.model_fields.items())
    return f"\n{said}" + "".join(f"# {f'{PREFIX}{name}_{inner}'.upper()}={_text(value)}\n" for inner, value in values)


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    if "--write" in sys.argv:
        EXAMPLE.write_text(example())
    elif EXAMPLE.read_text() != example():
        sys.exit("deploy/environment.example isn't what the settings say: run this with --write")

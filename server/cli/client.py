"""What the clients of the API share: a channel by the settings, errors as one line, tables on a terminal, JSON where
asked for.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import grpc
from chromogen.v1 import (
    admin_service_pb2_grpc,
    analysis_service_pb2_grpc,
    control_service_pb2_grpc,
    order_service_pb2_grpc,
    profile_service_pb2_grpc,
    result_service_pb2_grpc,
)
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference.errors import Reason
from inference.json_text import read_json as parsed
from server import settings
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.text import plain

_STUBS: dict[str, Callable[[grpc.Channel], Any]] = {
    "orders": order_service_pb2_grpc.OrderServiceStub,
    "results": result_service_pb2_grpc.ResultServiceStub,
    "profiles": profile_service_pb2_grpc.ProfileServiceStub,
    "analysis": analysis_service_pb2_grpc.AnalysisServiceStub,
    "controls": control_service_pb2_grpc.ControlServiceStub,
    "admin": admin_service_pb2_grpc.AdminServiceStub,
}

WIDE = 200
"""Columns of a table that is piped."""

_CODE = grpc.StatusCode
_INPUT = frozenset(
    {
        _CODE.INVALID_ARGUMENT,
        _CODE.NOT_FOUND,
        _CODE.ALREADY_EXISTS,
        _CODE.FAILED_PRECONDITION,
        _CODE.ABORTED,
        _CODE.UNIMPLEMENTED,
    }
)
_REASONS = {str(reason): reason for kind in (Reason, ServiceReason) for reason in kind}

Function = TypeVar("Function", bound=Callable[..., Any])
Shown = TypeVar("Shown", bound=Message)

as_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON, one object a line")
limit_option = click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="how many at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Stubs of every service, with the caller's token."""

    orders: Any
    results: Any
    profiles: Any
    analysis: Any
    controls: Any
    admin: Any


@contextmanager
def api() -> Iterator[Api]:
    """Connected as CHROMOGEN_CLIENT_* say.

    An error of the API leaves as Refused or Failed with its reason and advice.
    """
    wanted = settings.load().client
    try:
        with _channel(wanted) as channel:
            with_token = grpc.intercept_channel(channel, _Defaults(_token(wanted), wanted.timeout_s))
            yield Api(**{name: make(with_token) for name, make in _STUBS.items()})
    except grpc.RpcError as error:
        raise told(error, wanted.server) from None


def told(error: grpc.RpcError, server: str) -> ChromogenError:
    """What the server said, as our own error; what gRPC itself says otherwise."""
    status = rpc_status.from_call(error) if error.trailing_metadata() is not None else None
    info = ErrorInfo()
    if status is None or not status.details or not status.details[0].Unpack(info):
        code = error.code()
        message = (
            f"{server} does not answer as the API ({code.name}): check CHROMOGEN_CLIENT_SERVER, _CA, _CERT and _KEY"
        )
        return Failed(ServiceReason.INTERNAL, message, retryable=code is grpc.StatusCode.UNAVAILABLE)
    reason = _REASONS.get(info.reason, ServiceReason.INTERNAL)
    text = f"{status.message}; {info.metadata['advice']}"
    return (
        Refused(reason, text)
        if error.code() in _INPUT
        else Failed(reason, text, retryable=info.metadata["retryable"] == "true")
    )


def show(message: Message, columns: Mapping[str, str], *, as_json: bool) -> None:
    """One message: its fields below one another, or JSON."""
    if as_json:
        click.echo(to_json(message))
        return
    fields = to_dict(message)
    for name, title in columns.items():
        if (value := _at(fields, name)) != "":
            click.echo(f"{title:<18}{plain(value)}")


def show_all(
    messages: Sequence[Shown],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    more: Mapping[str, Callable[[Shown], str]] | None = None,
) -> None:
    """Many messages: a table (names of fields to titles; `a.b` is a field inside), or JSON, one object a line.

    `more` are columns by their title that no field alone has.
    """
    if as_json:
        for message in messages:
            click.echo(to_json(message))
        return
    made = more or {}
    rows = [
        [*(_at(fields, name) for name in columns), *(of(message) for of in made.values())]
        for message, fields in ((message, to_dict(message)) for message in messages)
    ]
    show_table([*columns.values(), *made], rows)


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On a terminal as wide as it is, piped as wide as WIDE."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, map(plain, row)))  # no markup of rich's, nor of the terminal's
    on_terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if on_terminal else WIDE, color_system="auto" if on_terminal else None).print(
        table
    )


def to_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def to_json(message: Message) -> str:
    return json.dumps(to_dict(message), ensure_ascii=False)


def pages(call: Callable[[Any], Any], request: Any, field: str, limit: int) -> list[Message]:
    """Items of a paged list, at most `limit`."""
    found: list[Message] = []
    while len(found) < limit:
        request.page_size = min(limit - len(found), 200)
        answer = call(request)
        found += getattr(answer, field)
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    return found[:limit]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file, `-` for standard input. Raises Refused ARGUMENT_INVALID."""
    try:
        found = parsed(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (OSError, ValueError):
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"{path} is no readable JSON file") from None
    if not isinstance(found, dict):
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"{path} holds no JSON object")
    return found


def short(value: str, prefix: str) -> str:
    """An enum's name without its prefix."""
    return value.removeprefix(prefix)


def _at(fields: Any, name: str) -> str:
    for part in name.split("."):
        fields = fields.get(part, "") if isinstance(fields, dict) else ""
    if isinstance(fields, float):
        return f"{fields:.1f}"
    if isinstance(fields, list):
        return ", ".join(map(str, fields))
    if isinstance(fields, dict):
        return ", ".join(f"{key} {value:g}" for key, value in fields.items() if isinstance(value, float))
    for prefix in ("ORDER_STATE_", "RESULT_STATE_", "PROFILE_STATE_", "DELIVERY_STATE_", "PRIORITY_"):
        fields = short(str(fields), prefix)
    return str(fields)


def _channel(wanted: settings.Client) -> grpc.Channel:
    options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 32 << 20)]
    if wanted.ca is None:
        host = wanted.server.rpartition(":")[0].strip("[]")
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise Refused(
                ServiceReason.SETTING_INVALID, "CHROMOGEN_CLIENT_CA is not set: only loopback is spoken to unencrypted"
            )
        return grpc.insecure_channel(wanted.server, options=options)
    if (wanted.cert is None) != (wanted.key is None):
        raise Refused(ServiceReason.SETTING_INVALID, "CHROMOGEN_CLIENT_CERT and _KEY belong together: set both")
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(wanted.ca, "CHROMOGEN_CLIENT_CA"),
        private_key=_read(wanted.key, "CHROMOGEN_CLIENT_KEY") if wanted.key else None,
        certificate_chain=_read(wanted.cert, "CHROMOGEN_CLIENT_CERT") if wanted.cert else None,
    )
    return grpc.secure_channel(wanted.server, credentials, options=options)


def _token(wanted: settings.Client) -> str:
    return (
        ""
        if wanted.token_file is None
        else _read(wanted.token_file, "CHROMOGEN_CLIENT_TOKEN_FILE").decode("ascii", "replace").strip()
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Refused(ServiceReason.SETTING_INVALID, f"{name}: {path} can't be read") from None


_Interceptors: Any = (
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
)


class _Defaults(*_Interceptors):  # type: ignore[misc]  # no types
    """Adds the token to every call, and the deadline to those that are no streams."""

    def __init__(self, token: str, timeout_s: float) -> None:
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._timeout_s = timeout_s

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        timeout = self._timeout_s if details.timeout is None else details.timeout
        return continuation(
            details._replace(metadata=[*(details.metadata or ()), *self._metadata], timeout=timeout), request
        )

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(metadata=[*(details.metadata or ()), *self._metadata]), request)

    intercept_stream_stream = intercept_unary_stream

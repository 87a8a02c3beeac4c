from pathlib import Path

import pytest

from server.domain.errors import Refused, ServiceReason
from server.settings import load, variables


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [n for n in os.environ if n.startswith("CHROMOGEN_")]:
        monkeypatch.delenv(name)


def test_with_nothing_set_everything_has_a_value() -> None:
    settings = load()
    assert settings.database.url.get_secret_value() == ""
    assert settings.archive_folder == Path("chromogen-data/archive")
    assert (settings.worker.lease_s, settings.worker.max_attempts, settings.engine.name, settings.icc.use) == (
        60,
        3,
        "local",
        False,
    )


@pytest.mark.parametrize(
    ("name", "value", "where", "expected"),
    [
        ("CHROMOGEN_WORKER_LEASE_S", "2", ("worker", "lease_s"), 2),
        ("CHROMOGEN_WORKER_MAX_ATTEMPTS", "5", ("worker", "max_attempts"), 5),
        ("CHROMOGEN_MLLP_PORT", "0", ("mllp", "port"), 0),
        ("CHROMOGEN_LIS_TIMEOUT_S", "1.5", ("lis", "timeout_s"), 1.5),
        ("CHROMOGEN_DATA_FOLDER", "/data", ("data", "folder"), Path("/data")),
        ("CHROMOGEN_ENGINE_NAME", "triton://triton:8001", ("engine", "name"), "triton://triton:8001"),
        ("CHROMOGEN_ENGINE_NAME", "tritons://a:1,b:2", ("engine", "name"), "tritons://a:1,b:2"),
        ("CHROMOGEN_ENGINE_CA", "/tls/ca", ("engine", "ca"), Path("/tls/ca")),
        ("CHROMOGEN_ICC_USE", "true", ("icc", "use"), True),
    ],
)
def test_a_variable_sets_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, where: tuple[str, str], expected: object
) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(getattr(load(), where[0]), where[1]) == expected


def test_every_setting_has_a_variable_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(variables()) == len(set(variables())) >= 15
    for name in variables():
        monkeypatch.setenv(name, "")  # empty counts as not set
    assert load() == load()


@pytest.mark.parametrize(
    "name", ["CHROMOGEN_WORKER_LEASE", "CHROMOGEN_PORT", "CHROMOGEN_WORKER", "CHROMOGEN_", "chromogen_wrong"]
)
def test_an_unknown_variable_stops_the_start_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "s3cret")
    with pytest.raises(Refused) as refused:
        load()
    assert refused.value.reason == ServiceReason.SETTING_INVALID
    assert name in refused.value.message
    assert "s3cret" not in refused.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHROMOGEN_WORKER_LEASE_S", "soon"),
        ("CHROMOGEN_WORKER_LEASE_S", "0"),
        ("CHROMOGEN_WORKER_LEASE_S", "nan"),
        ("CHROMOGEN_WORKER_MAX_ATTEMPTS", "0"),
        ("CHROMOGEN_MLLP_PORT", "65536"),
        ("CHROMOGEN_MLLP_PORT", "-1"),
        ("CHROMOGEN_ENGINE_NAME", "triton://noport"),
        ("CHROMOGEN_ENGINE_NAME", "tritonss://a:1"),
        ("CHROMOGEN_ENGINE_NAME", "remote"),
        ("CHROMOGEN_ICC_USE", "perhaps"),
        ("CHROMOGEN_LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_does_not_fit_stops_the_start_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Refused) as refused:
        load()
    assert refused.value.reason == ServiceReason.SETTING_INVALID
    assert refused.value.message.startswith(name)


def test_the_password_of_the_database_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMOGEN_DATABASE_URL", "postgresql://u:s3cret@h/d")
    assert "s3cret" not in repr(load()) + str(load())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().worker.lease_s = 1  # type: ignore[misc]

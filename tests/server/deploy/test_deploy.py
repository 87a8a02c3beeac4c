"""What is in deploy/, as far as no cluster allows: schemas, and what must hold of every container."""

import re
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from server.settings import Lis, variables
from tests.server.deploy.environment_example import EXAMPLE, example

yaml = pytest.importorskip("yaml", reason="pip install PyYAML")
jsonschema = pytest.importorskip("jsonschema", reason="pip install kubernetes-validate")

DEPLOY = EXAMPLE.parent
KUBERNETES = DEPLOY / "kubernetes"
KUBERNETES_VERSION = "1.36"

Object = dict[str, Any]

KEDA = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["scaleTargetRef", "triggers"],
            "additionalProperties": False,
            "properties": {
                "scaleTargetRef": {"type": "object", "required": ["name"]},
                "minReplicaCount": {"type": "integer", "minimum": 0},
                "maxReplicaCount": {"type": "integer", "minimum": 1},
                "pollingInterval": {"type": "integer", "minimum": 1},
                "cooldownPeriod": {"type": "integer", "minimum": 1},
                "triggers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["type", "metadata"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"enum": ["postgresql", "prometheus"]},
                            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                            "authenticationRef": {"type": "object", "required": ["name"]},
                        },
                    },
                },
            },
        }
    },
}
"""A ScaledObject, as far as we use it; KEDA takes every value of `metadata` as text."""


def objects() -> list[Object]:
    files = sorted(KUBERNETES.glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text()) if one["kind"] != "Kustomization"]


def named(one: Object) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def workloads() -> list[Object]:
    return [one for one in objects() if one["kind"] in ("Deployment", "Job")]


def containers(one: Object) -> list[Object]:
    pod = one["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_the_environment_example_is_what_the_settings_say() -> None:
    assert EXAMPLE.read_text() == example()
    assert set(re.findall(r"^# (CHROMOGEN_\w+)=", EXAMPLE.read_text(), re.MULTILINE)) == set(variables())


def test_the_kustomization_names_every_file() -> None:
    named_files = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted(named_files) == sorted(p.name for p in KUBERNETES.glob("*.yaml") if p.name != "kustomization.yaml")


@pytest.mark.parametrize("one", objects(), ids=named)
def test_each_object_has_the_shape_that_kubernetes_asks_for(one: Object) -> None:
    if one["apiVersion"].startswith("keda.sh/"):
        if one["kind"] == "ScaledObject":
            jsonschema.validate(one, KEDA)
        return
    with warnings.catch_warnings(action="ignore"):  # of the validator's own libraries
        validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
        validator.validate(one, KUBERNETES_VERSION, strict=True)


def test_a_misspelt_field_would_be_seen() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    wrong = next(one for one in workloads() if one["kind"] == "Deployment")
    wrong["spec"]["templat"] = wrong["spec"].pop("template")
    with warnings.catch_warnings(action="ignore"), pytest.raises(validator.ValidationError):
        validator.validate(wrong, KUBERNETES_VERSION, strict=True)


@pytest.mark.parametrize("one", workloads(), ids=named)
def test_no_container_runs_as_root_writes_to_its_root_or_grows_without_bound(one: Object) -> None:
    pod = one["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in containers(one):
        held = container["securityContext"]
        assert held == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert {m["name"] for m in container["volumeMounts"]} <= {v["name"] for v in pod["volumes"]}


def test_every_workload_is_fenced_in_and_only_named_ports_are_open() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in objects() if one["kind"] == "NetworkPolicy"}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for one in workloads():
        name = one["metadata"]["name"]
        assert policies[name]["podSelector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
        assert all(rule["ports"] for way in ("ingress", "egress") for rule in policies[name].get(way, []))


def test_work_that_sends_to_the_lis_and_serve_that_asks_whether_it_is_there_may_reach_it() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in objects() if one["kind"] == "NetworkPolicy"}
    port = Lis().port
    for name in ("serve", "work"):
        assert {"protocol": "TCP", "port": port} in [
            open_ for rule in policies[name]["egress"] for open_ in rule["ports"]
        ]


def test_what_is_scaled_exists_and_grows() -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one["spec"] for one in objects() if one["kind"] == "ScaledObject"}
    assert set(scaled) == {"work", "triton"}
    for name, spec in scaled.items():
        (deployment,) = (one for one in workloads() if one["metadata"]["name"] == name)
        assert "replicas" not in deployment["spec"]  # else an apply would undo what KEDA set
        assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]


def test_settings_in_manifests_and_in_compose_are_known_ones() -> None:
    (settings,) = (one for one in objects() if one["kind"] == "ConfigMap")
    env = {e["name"] for one in workloads() for c in containers(one) for e in c.get("env", [])}
    in_compose = {
        name
        for s in compose()["services"].values()
        for name in s.get("environment", {})
        if name.startswith("CHROMOGEN_")
    }
    assert set(settings["data"]) | env | in_compose <= set(variables())


def compose() -> Object:
    found: Object = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_compose_has_all_parts_held_as_in_kubernetes() -> None:
    services = compose()["services"]
    assert set(services) == {"postgres", "migrate", "serve", "work", "triton", "orthanc"}
    for name in ("migrate", "serve", "work"):
        held = services[name]
        assert (held["read_only"], held["user"], held["cap_drop"]) == (True, "10001:10001", ["ALL"])
        assert held["security_opt"] == ["no-new-privileges:true"]
    for service in services.values():
        assert set(service["networks"]) <= set(compose()["networks"])
    assert services["work"]["stop_grace_period"] > services["serve"]["stop_grace_period"]


ROLES = ["migrate", "serve", "work", "audit", "scale"]
SECRETS_OF = {"postgres": ["postgres", *ROLES], "migrate": ["migrate"], "serve": ["serve"], "work": ["work"]}


def test_in_compose_each_container_has_its_own_passwords_as_files_and_no_others() -> None:
    everything = compose()
    assert {name: s["secrets"] for name, s in everything["services"].items() if "secrets" in s} == SECRETS_OF
    assert set(everything["secrets"]) == set(SECRETS_OF["postgres"])
    for name, service in everything["services"].items():
        environment = service.get("environment", {})
        assert not [key for key in environment if "PASSWORD" in key and not key.endswith("_FILE")], name
        assert not re.search(r"://[^@/\s]*:[^@/\s]*@", str(environment)), "a password in an address"
        if name in ROLES:
            assert environment["CHROMOGEN_DATABASE_PASSWORD_FILE"] == f"/run/secrets/{name}"
            assert f"//chromogen_{name}@" in environment["CHROMOGEN_DATABASE_URL"]
        files = [file["path"] for file in service.get("env_file", [])]
        assert files == (["settings.env"] if name in ("serve", "work") else []), name


def test_in_compose_each_container_has_its_own_keys_of_tls() -> None:
    mounted = {name: [v for v in s.get("volumes", []) if "tls" in v] for name, s in compose()["services"].items()}
    of = {name: volumes for name, volumes in mounted.items() if volumes}
    assert of == {"serve": ["./tls/serve:/tls:ro"], "work": ["./tls/work:/tls:ro"]}


def test_in_kubernetes_each_container_has_its_own_passwords_and_keys_and_no_others() -> None:
    for one in workloads():
        name = one["metadata"]["name"]
        pod = one["spec"]["template"]["spec"]
        mounted = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        wanted = {"migrate": {"chromogen-migrate"}, "triton": set()}.get(
            name, {f"chromogen-{name}", f"chromogen-{name}-tls"}
        )
        assert mounted == wanted, name
        in_environment = [e for c in containers(one) for e in c.get("env", []) if "valueFrom" in e]
        assert in_environment == [], name
        assert not [ref for c in containers(one) for ref in c.get("envFrom", []) if "secretRef" in ref], name


def test_in_kubernetes_the_database_must_prove_its_name_by_an_authority_that_is_mounted() -> None:
    asked = 0
    for one in workloads():
        for container in containers(one):
            given = {e["name"]: e.get("value", "") for e in container.get("env", [])}
            if "CHROMOGEN_DATABASE_URL" in given:
                asked += 1
                query = parse_qs(urlsplit(given["CHROMOGEN_DATABASE_URL"]).query)
                (root,) = query.pop("sslrootcert")
                assert query == {"sslmode": ["verify-full"]}, named(one)
                folders = {mount["mountPath"] for mount in container["volumeMounts"] if mount.get("readOnly")}
                assert str(Path(root).parent) in folders, named(one)
    assert asked == 3


def test_compose_s_own_variables_are_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked <= set(re.findall(r"^# (\w+)=", EXAMPLE.read_text(), re.MULTILINE))


def test_the_image_is_not_root_s_and_names_no_index() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER 10001:10001"
    assert not re.search(r"https?://|index-url|trusted-host", "\n".join(lines))
    assert sum(line.startswith("FROM ") for line in lines) == 2


def test_the_image_copies_what_the_wheel_is_built_of() -> None:
    copied = {line.split()[1] for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")}
    assert {"server", "inference", "proto", "triton_models", "migrations"} <= copied
    assert all((DEPLOY.parent / name).is_dir() for name in copied - {"pyproject.toml", "--from=build"})


def test_the_builder_gets_what_the_image_copies_and_nothing_else() -> None:
    lines = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert {line[1:] for line in lines if line.startswith("!")} == {name for line in copies for name in line.split()}


def test_each_process_can_be_scraped_by_the_monitoring_alone() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in objects() if one["kind"] == "NetworkPolicy"}
    for name in ("serve", "work"):
        (deployment,) = (one for one in workloads() if one["metadata"]["name"] == name)
        pod = deployment["spec"]["template"]
        (port,) = (p["containerPort"] for p in pod["spec"]["containers"][0]["ports"] if p["name"] == "metrics")
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port)
        (rule,) = (r for r in policies[name]["ingress"] if {"protocol": "TCP", "port": port} in r["ports"])
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]

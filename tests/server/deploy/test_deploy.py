"""What is in deploy/, as far as no cluster allows: schemas, and what must hold of every container."""

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from inference.engines.triton_repository import check
from server.settings import Lis, variables
from server.store.database import POOL
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


def policies() -> dict[str, Object]:
    return {one["metadata"]["name"]: one["spec"] for one in objects() if one["kind"] == "NetworkPolicy"}


def selects(policy: Object, name: str) -> bool:
    """Does it hold for this workload's pods? Of matchExpressions we use `In` alone."""
    selector = policy["podSelector"]
    named_so = selector.get("matchLabels", {"app.kubernetes.io/name": name}) == {"app.kubernetes.io/name": name}
    return named_so and all(name in each["values"] for each in selector.get("matchExpressions", []))


def reached(name: str) -> list[Object]:
    """Every way out of a workload's pods."""
    held = [policy for policy in policies().values() if selects(policy, name)]
    return [rule for policy in held for rule in policy.get("egress", [])]


def test_every_workload_is_fenced_in_and_only_named_ports_are_open() -> None:
    assert policies()["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for one in workloads():
        name = one["metadata"]["name"]
        assert policies()[name]["podSelector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    for name, policy in policies().items():
        assert all(rule["ports"] for way in ("ingress", "egress") for rule in policy.get(way, [])), name


def test_every_way_out_names_whom_it_leads_to() -> None:
    """Issue 12, 21: to 5432 and 443 anywhere. An address that is nobody's waits for an overlay's."""
    for name, policy in policies().items():
        for rule in policy.get("egress", []):
            assert rule.get("to"), name
            for block in (to["ipBlock"]["cidr"] for to in rule["to"] if "ipBlock" in to):
                assert re.fullmatch(r"192\.0\.2\.\d+/32", block), name


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("serve", {53, 5432, 443, 2576, 8042, 8001, 4318}),
        ("work", {53, 5432, 2576, 8042, 8001, 4318}),
        ("migrate", {53, 5432}),
        ("triton", {53}),
    ],
)
def test_each_workload_reaches_what_it_needs_and_nothing_else(name: str, ports: set[int]) -> None:
    """LIS and archive `serve` too, which asks whether they are there; 4318: traces."""
    assert {port["port"] for rule in reached(name) for port in rule["ports"]} == ports
    assert Lis().port in ports or name not in ("serve", "work")


def test_pods_of_a_workload_are_spread_over_machines() -> None:
    for one in (one for one in workloads() if one["kind"] == "Deployment"):
        (spread,) = one["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"
        assert spread["labelSelector"] == one["spec"]["selector"]


def test_each_deployment_s_process_is_probed_at_a_port_that_it_has() -> None:
    for one in (one for one in workloads() if one["kind"] == "Deployment"):
        (container,) = one["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probe = container["livenessProbe"]
        asked = probe["httpGet"]["port"] if "httpGet" in probe else probe["grpc"]["port"]
        assert asked in {*ports, *ports.values()}, named(one)


def test_triton_s_models_are_those_that_came_with_chromogen(tmp_path: Path) -> None:
    """As its first container puts them there, by the command that stands in the manifest."""
    (triton,) = (one for one in workloads() if one["metadata"]["name"] == "triton")
    (first,) = triton["spec"]["template"]["spec"]["initContainers"]
    assert first["command"] == ["python", "-c"]
    (program,) = first["args"]
    assert program.count('"/models"') == 1
    done = [sys.executable, "-c", program.replace('"/models"', repr(str(tmp_path / "models")))]
    subprocess.run(done, check=True, cwd=DEPLOY.parent)
    check(tmp_path / "models")
    (room,) = (v["emptyDir"] for v in triton["spec"]["template"]["spec"]["volumes"] if v["name"] == "models")
    held = sum(path.stat().st_size for path in (tmp_path / "models").rglob("*") if path.is_file())
    assert 2 * held < int(room["sizeLimit"].removesuffix("Mi")) << 20


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


def bytes_of(size: str) -> int:
    return int(size[:-1]) << {"m": 20, "g": 30}[size[-1]]


def test_in_compose_every_container_has_an_end_to_its_memory_and_its_processes() -> None:
    """Those that are ours the same as in Kubernetes."""
    in_kubernetes = {
        one["metadata"]["name"]: containers(one)[-1]["resources"]["limits"]["memory"].removesuffix("i").lower()
        for one in workloads()
    }
    for name, service in compose()["services"].items():
        assert bytes_of(service["mem_limit"]) >= 256 << 20, name
        assert service["pids_limit"] > 0, name
        if name in in_kubernetes:
            assert service["mem_limit"] == in_kubernetes[name], name


def test_every_image_can_be_held_by_its_digest() -> None:
    for name, service in compose()["services"].items():
        image = service["build"]["args"]["BASE"] if "build" in service else service["image"]
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w./-]+:[\w.-]+\}", image), name
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    used = {c["image"].partition(":")[0] for one in workloads() for c in containers(one)}
    assert {image["name"] for image in kustomization["images"]} == used


def test_postgresql_has_a_place_for_every_connection_that_the_guide_counts() -> None:
    """A pool of SQLAlchemy's that may double; procrastinate's: `serve` sweeps, `work` listens and fetches."""
    guide = (DEPLOY.parent / "docs" / "operations.md").read_text()
    counted = re.search(r"At most (\d+) connections of a `serve` and (\d+) of a `work`", guide)
    assert counted
    assert counted.groups() == (str(2 * POOL + 1), str(2 * POOL + 4))
    (setting,) = (each for each in compose()["services"]["postgres"]["command"] if "max_connections" in each)
    assert int(setting.partition("=")[2]) >= sum(map(int, counted.groups())) + 20


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


def test_each_process_can_be_scraped_by_the_monitoring_alone() -> None:
    for name in ("serve", "work"):
        (deployment,) = (one for one in workloads() if one["metadata"]["name"] == name)
        pod = deployment["spec"]["template"]
        (port,) = (p["containerPort"] for p in pod["spec"]["containers"][0]["ports"] if p["name"] == "metrics")
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port)
        (rule,) = (r for r in policies()[name]["ingress"] if {"protocol": "TCP", "port": port} in r["ports"])
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]

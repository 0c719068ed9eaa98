"""The Kubernetes manifests are what the schema of Kubernetes allows, and fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("name", KUSTOMIZATION["resources"])
def test_a_manifest_follows_the_schema_strictly(name: str) -> None:
    kubernetes_validate.validate(manifest(name), "1.30", strict=True)


def test_every_manifest_is_in_the_kustomization() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


def test_the_library_has_one_writer() -> None:
    deployment = manifest("deployment.yaml")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    assert manifest("library.yaml")["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_names_in_the_manifests_agree() -> None:
    pod = manifest("deployment.yaml")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == manifest("library.yaml")["metadata"]["name"]
    service = manifest("service.yaml")["spec"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness")}
    assert paths == {"/readyz"}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_every_name_of_the_service_is_answered_for() -> None:
    (container,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    (hosts,) = [it["value"] for it in container["env"] if it["name"] == "MINUEND_ALLOWED_HOSTS"]
    name, space = manifest("service.yaml")["metadata"]["name"], KUSTOMIZATION["namespace"]

    wanted = {name, f"{name}.{space}", f"{name}.{space}.svc", f"{name}.{space}.svc.cluster.local"}
    assert set(hosts.split(",")) == wanted

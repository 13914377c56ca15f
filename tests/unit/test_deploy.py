"""The files of deploy/: each is read by the program that it is for, or by that one's schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import needs

from nearfield.config.load import load
from nearfield.features.team.settings import read_team

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize("document", KUBERNETES, ids=lambda one: one["metadata"]["name"])
def test_kubernetes_takes_each_resource(document: dict[str, Any]) -> None:
    needs("kubernetes_validate")
    import kubernetes_validate

    kubernetes_validate.validate(document, "1.32", strict=True)


def test_settings_name_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_CONFIG_DIR", str(DEPLOY))
    team, loaded = read_team(DEPLOY / "team.toml"), load(None)
    assert not loaded.problems
    providers = set(loaded.config.providers)
    assert set(team.server.own_servers) == providers
    assert {name for role in loaded.config.routing.roles.values() for name in role} == providers
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert providers <= set(services)
    assert providers <= {one["metadata"]["name"] for one in KUBERNETES if one["kind"] == "Service"}


def test_every_file_that_compose_mounts_is_there() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounted = [one.split(":")[0] for name in services for one in services[name].get("volumes", ())]
    files = [one for one in mounted if one.startswith("./") and one != "./tls"]
    assert files
    assert all((DEPLOY / one).is_file() for one in files)
    assert (DEPLOY / services["nearfield"]["build"]["context"] / "deploy/Dockerfile").is_file()

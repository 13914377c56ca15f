"""A hostile repository, a user who allowed a cloud for it, and what that cloud received."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from tests.e2e.prepared import forked
from tests.e2e.process import environment
from tests.hostile.repositories import OUTSIDE, REPOSITORIES, TRAPPED

REPLY = (
    'data: {"choices": [{"index": 0, "text": "pass", "delta": {"content": "pass"},'
    ' "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


@dataclass(frozen=True, slots=True)
class Repository:
    """A hostile repository. `targets` are the files in it that are worth trying."""

    root: Path
    targets: Sequence[str]
    environ: dict[str, str]
    cloud: HTTPServer

    def faults(self) -> list[str]:
        """Return what has escaped: a trap that was sprung, or text from outside that was sent."""
        found: list[str] = []
        if (self.root.parent / TRAPPED).exists():
            found.append("a program that the repository names was started")
        sent = [request.get_data(as_text=True) for request, _ in self.cloud.log]
        if any(OUTSIDE in body for body in sent):
            found.append("a file outside the repository was sent")
        return found


@pytest.fixture(params=REPOSITORIES)
def repository(
    request: pytest.FixtureRequest, tmp_path: Path, httpserver: HTTPServer
) -> Repository:
    """One of the hostile repositories, on which a server outside this machine may be asked."""
    for path in ("/v1/chat/completions", "/v1/completions"):
        httpserver.expect_request(path).respond_with_data(REPLY, content_type="text/event-stream")
    environ = {
        **environment(tmp_path / "home"),
        "NEARFIELD_DATA_DIR": str(tmp_path / "data"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    settings = Path(environ["NEARFIELD_CONFIG_DIR"]) / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "[engine]\nenabled = false\n[index]\nvectors = false\n"
        '[routing]\nstrategy = "cloud_only"\n[providers.far]\nkind = "openai_compatible"\n'
        f'model = "m"\nbase_url = "{httpserver.url_for("/v1")}"\n'
        'options = { leaves_machine = true, infill = "suffix" }\n'
    )
    root = tmp_path / "repository"
    root.mkdir()
    targets = REPOSITORIES[request.param](root)
    allow = forked("consent", "allow", "far", "--workspace", str(root))
    subprocess.run(allow, env=environ, check=True, capture_output=True, cwd=tmp_path)
    return Repository(root, targets, environ, httpserver)


def peak_mb(pid: int) -> int:
    """Return the largest resident size so far of a running process, 0 where the system hides it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(row.split()[1]) >> 10 for row in status.split("\n") if "VmHWM" in row), 0)

"""`nearfield serve --http --team`, a real process: TLS, its end, tokens, behind a real nginx."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
import trustme
from tests.conftest import missing
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, environment

ANSWERS = [
    {"match": "slow", "text": "one two three four", "piece_ms": 300},
    {"match": "endless", "text": "one two", "hang": True},
    {"match": "hello", "text": "Good day to you"},
]
SETTINGS: dict[str, Any] = {
    "engine": {"enabled": False},
    "providers": {"fake": {"kind": "scripted", "options": {"answers": ANSWERS}}},
    "routing": {"roles": {name: ["fake"] for name in ("complete", "fast", "code", "large")}},
}
ROLES = {"developer": {}, "monitor": {"uses": ["metrics"]}}
CHAT = "/v1/chat/completions"


@dataclass
class TeamServer:
    """A running server."""

    process: subprocess.Popen[str]
    said: list[str]
    environ: dict[str, str]
    port: int

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command(self.environ, *arguments)

    def token(self, name: str, role: str = "developer") -> dict[str, str]:
        said = self.run("team", "add", name, "--role", role)
        return {"authorization": f"Bearer {said.stdout.strip()}"}


def command(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        forked(*arguments),
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS * 5,
    )


def begin(home: Path, team: dict[str, Any], host: str = "127.0.0.1") -> TeamServer:
    environ = {**environment(home), "NEARFIELD_DATA_DIR": str(home / "data")}
    folder = Path(environ["NEARFIELD_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(tomli_w.dumps(SETTINGS))
    file = home / "team.toml"
    file.write_text(tomli_w.dumps(team))
    process = subprocess.Popen(
        forked("serve", "--http", f"{host}:0", "--team", str(file)),
        env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if "status: ready" in line:
            break
    threading.Thread(target=said.extend, args=(process.stderr,), daemon=True).start()
    port = next(line for line in said if "listening" in line).split("/v1")[0].rpartition(":")[2]
    return TeamServer(process, said, environ, int(port))


def end(server: TeamServer) -> int:
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(PATIENCE_SECONDS)
    assert server.process.stderr is not None
    server.process.stderr.close()
    return code


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """An authority, and a folder with a certificate of its for localhost."""
    folder, one = tmp_path_factory.mktemp("tls"), trustme.CA()
    issued = one.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    one.cert_pem.write_to_path(folder / "ca.pem")
    return one, folder


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, authority: tuple[trustme.CA, Path]
) -> Iterator[TeamServer]:
    home, folder = tmp_path_factory.mktemp("team"), authority[1]
    tls = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    one = begin(home, {"tls": tls, "roles": ROLES}, "0.0.0.0")  # noqa: S104 - what is tested
    yield one
    assert end(one) == 0
    assert not [line for line in one.said if "Traceback" in line or "hello" in line]


def test_people_ask_by_tls_and_are_counted_and_revoked(
    server: TeamServer, authority: tuple[trustme.CA, Path]
) -> None:
    ada, eye = server.token("ada"), server.token("eye", "monitor")
    context = ssl.create_default_context(cafile=authority[1] / "ca.pem")
    base = f"https://localhost:{server.port}"
    with httpx.Client(base_url=base, verify=context, timeout=PATIENCE_SECONDS) as client:
        answer = client.post(CHAT, json=chat("hello"), headers=ada)
        assert answer.json()["choices"][0]["message"]["content"] == "Good day to you"
        assert client.post(CHAT, json=chat("hello"), headers=eye).status_code == 403
        assert client.get("/metrics", headers=ada).status_code == 403
        metrics = client.get("/metrics", headers=eye).text
        assert 'nearfield_requests_total{status="200",use="chat"} 1.0' in metrics
        assert 'nearfield_tokens_total{direction="written",model="scripted"} 7.0' in metrics
        assert "ada" not in metrics
        assert "Good day" not in metrics
        assert server.run("team", "revoke", "ada").returncode == 0
        assert client.post(CHAT, json=chat("hello"), headers=ada).status_code == 401
    assert "eye" in server.run("team", "list").stdout


def test_its_end_finishes_answers_and_writes_the_sums(tmp_path: Path) -> None:
    one = begin(tmp_path, {"server": {"drain_seconds": 60}, "roles": ROLES})
    ada, base = one.token("ada"), f"http://127.0.0.1:{one.port}"
    with httpx.stream(
        "POST", f"{base}{CHAT}", json=chat("slow", stream=True), headers=ada, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        one.process.send_signal(signal.SIGTERM)
        while is_open(one.port):
            time.sleep(0.02)
        rest = "".join(lines)
    assert "four" in rest
    assert rest.endswith("[DONE]")
    assert end(one) == 0
    used = one.run("team", "usage", "--json").stdout
    assert '"written": 7' in used
    assert "slow" not in used


def is_open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--http", "0.0.0.0:0", "--team", "team.toml"], "readable"),
        (["--http", "127.0.0.1:0", "--team", "none.toml"], "no file"),
        (["--team", "team.toml"], "--team goes with --http"),
        (["--http", "0.0.0.0:0"], "loopback only"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "team.toml").write_text("[roles.developer]\n")
    done = subprocess.run(
        forked("serve", *arguments), env=environment(tmp_path), cwd=tmp_path, capture_output=True,
        text=True, timeout=PATIENCE_SECONDS * 5,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr


NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    {server}
}}
"""


@pytest.mark.skipif(os.name == "nt", reason="the proxy of the documentation is nginx")
def test_behind_nginx_streams_arrive_piece_by_piece(
    tmp_path: Path, authority: tuple[trustme.CA, Path]
) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        missing("nginx is not installed: apt-get install nginx-light")
    one = begin(tmp_path, {"server": {"behind_proxy": True}, "roles": ROLES})
    ada = one.token("ada")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = Path("deploy/nginx.conf").read_text()
    for old, new in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("ai.example.org", "localhost"),
        ("127.0.0.1:8765", f"127.0.0.1:{one.port}"),
        ("/etc/nginx/tls/fullchain.pem", str(authority[1] / "cert.pem")),
        ("/etc/nginx/tls/privkey.pem", str(authority[1] / "key.pem")),
    ):
        assert old in given
        given = given.replace(old, new)
    file = tmp_path / "nginx.conf"
    file.write_text(NGINX.format(folder=tmp_path, server=given))
    context = ssl.create_default_context(cafile=authority[1] / "ca.pem")
    proxy = subprocess.Popen([nginx, "-p", str(tmp_path), "-c", str(file)])
    try:
        while not is_open(port):
            assert proxy.poll() is None
            time.sleep(0.02)
        with (
            httpx.Client(verify=context, timeout=PATIENCE_SECONDS) as client,
            client.stream(
                "POST", f"https://localhost:{port}{CHAT}", json=chat("endless", stream=True),
                headers=ada,
            ) as answer,
        ):  # fmt: skip
            # A proxy that collects would send nothing of an answer that does not end.
            pieces, begun = answer.iter_raw(), b""
            while b"two" not in begun:
                begun += next(pieces)
        with httpx.Client(verify=context, timeout=PATIENCE_SECONDS) as client:
            whole = client.post(
                f"https://localhost:{port}{CHAT}", json=chat("hello", stream=True), headers=ada
            )
        assert whole.content.rstrip().endswith(b"data: [DONE]")
        with httpx.Client(verify=context, timeout=PATIENCE_SECONDS) as client:
            assert client.get(f"https://localhost:{port}/v1/models").status_code == 401
    finally:
        proxy.terminate()
        proxy.wait(PATIENCE_SECONDS)
        assert end(one) == 0

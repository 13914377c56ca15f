"""People of a team who type at once, against models that answer by a script.

    python tests/bench/team.py --people 50 --requests 100000 [--pause 1]

Two model servers and the team's server are processes of their own. Each person's code holds a mark
that the models answer with, so an answer with another mark is cross-talk. Half-way one model server
is killed; every request must be answered nevertheless. Prints the counts, and the server's own
times from its metrics: the models take no time, so all of it is ours and theirs over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import tomli_w

from nearfield.http.member import MAX_REQUESTS

KEY = "a-key-of-the-model-servers"
ROLES = ("complete", "fast", "code", "large")
STREAMS = 10
"""One request of so many is a chat that streams; the others are keystrokes."""
AT_ONCE = MAX_REQUESTS
"""Requests that the model server that is left can take; a further one it would refuse (429), and
the team's server would leave it alone for as long as it asks."""


def mark(person: int) -> str:
    return f"mark{person:03d}x"


@dataclass
class Processes:
    """Servers of this run, in folders below `home`."""

    home: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    def environ(self, name: str) -> dict[str, str]:
        folder = self.home / name
        kept = {one: os.environ[one] for one in ("PATH", "PYTHONPATH") if one in os.environ}
        own = {f"NEARFIELD_{one}_DIR": str(folder / one) for one in ("CONFIG", "DATA", "CACHE")}
        return {**kept, **own, "HOME": str(folder), "NEARFIELD_HTTP_TOKEN": KEY, "MODEL_KEY": KEY}

    def serve(self, name: str, settings: dict[str, Any], *arguments: str) -> str:
        """Start a server and return its address, once it is ready."""
        environ = self.environ(name)
        config = Path(environ["NEARFIELD_CONFIG_DIR"])
        config.mkdir(parents=True)
        (config / "config.toml").write_text(tomli_w.dumps(settings))
        log = (self.home / name / "log").open("w")
        command = [sys.executable, "-m", "nearfield", "serve", "--http", "127.0.0.1:0", *arguments]
        one = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stderr=log)
        self.running.append(one)
        log.close()
        while "status: ready" not in (said := (self.home / name / "log").read_text()):
            if one.poll() is not None:
                raise RuntimeError(said)
            time.sleep(0.1)
        (address,) = re.findall(r"listening on (\S+)/v1", said)
        return address

    def end(self) -> None:
        for one in self.running:
            if one.poll() is None:
                one.terminate()
                one.wait(60)


def model_settings(people: int) -> dict[str, Any]:
    answers = [
        {"match": mark(person), "text": f"{mark(person)} answered"} for person in range(people)
    ]
    options = {"answers": answers}
    return {
        "engine": {"enabled": False},
        "providers": {"fake": {"kind": "scripted", "options": options}},
        "routing": {"roles": {role: ["fake"] for role in ROLES}},
    }


def team_settings(addresses: list[str]) -> dict[str, Any]:
    def provider(address: str) -> dict[str, Any]:
        options = {"api_key_env": "MODEL_KEY", "infill": "suffix"}
        base = {"kind": "openai_compatible", "model": "nearfield", "base_url": f"{address}/v1"}
        return {**base, "options": options}

    names = [f"gpu-{number}" for number in range(len(addresses))]
    return {
        "engine": {"enabled": False},
        "providers": {
            name: provider(address) for name, address in zip(names, addresses, strict=True)
        },
        "routing": {"roles": dict.fromkeys(ROLES, names)},
    }


@dataclass
class Outcome:
    """What came of the requests. `wrong` have another person's mark, `lost` no answer; `again` are
    streams that broke off with their server and were asked again, as a client does."""

    answered: int = 0
    wrong: int = 0
    again: int = 0
    lost: Counter[str] = field(default_factory=Counter[str])
    metrics: str = ""

    def take(self, person: int, status: int, text: str) -> None:
        """Count one answer."""
        marks = set(re.findall(r"mark\d{3}x", text))
        if status != 200 or mark(person) not in marks:
            self.lost[f"{status} {text[:300]}"] += 1
        elif marks != {mark(person)}:
            self.wrong += 1
        else:
            self.answered += 1


async def type_away(
    client: httpx.AsyncClient, person: int, token: str, count: int, outcome: Outcome, pause: float
) -> None:
    """Ask for `count` answers, one after another, with a `pause` (s, on average) before each."""
    headers = {"authorization": f"Bearer {token}"}
    dice = random.Random(person)
    for number in range(count):
        await asyncio.sleep(dice.uniform(0, 2 * pause))
        code = f"def f{number}():\n    {mark(person)} = "
        if number % STREAMS == STREAMS - 1:
            said = {"messages": [{"role": "user", "content": code}], "stream": True}
            path, body = "/v1/chat/completions", said
        else:
            path, body = "/v1/completions", {"prompt": code, "suffix": "\n"}
        answer = await client.post(path, json=body, headers=headers)
        if "broke off" in answer.text:
            outcome.again += 1
            answer = await client.post(path, json=body, headers=headers)
        outcome.take(person, answer.status_code, spoken(answer.text))


def spoken(text: str) -> str:
    """Return the text of a stream of events; another answer as it is."""
    if not text.startswith("data: "):
        return text
    events = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
    choices = [choice for event in events for choice in event.get("choices", ())]
    said = "".join(choice["delta"].get("content") or "" for choice in choices)
    return said or text


async def load(home: Path, people: int, requests: int, pause: float = 0.0) -> Outcome:
    """Run the people's requests, and kill a model server half-way."""
    processes = Processes(home)
    try:
        models = [processes.serve(f"model{n}", model_settings(people)) for n in range(2)]
        file = home / "team.toml"
        team = {
            "server": {"own_servers": ["gpu-0", "gpu-1"], "at_once": AT_ONCE, "waiting": people},
            "roles": {"developer": {}, "monitor": {"uses": ["metrics"]}},
        }
        file.write_text(tomli_w.dumps(team))
        address = processes.serve("team", team_settings(models), "--team", str(file))
        tokens = make_tokens(processes.environ("team"), people)
        outcome, each = Outcome(), requests // people // 2
        limits = httpx.Limits(max_connections=people)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=300) as client:
            for half in range(2):
                typing = [
                    type_away(client, person, tokens[person], each, outcome, pause)
                    for person in range(people)
                ]
                working = asyncio.gather(*typing)
                if half:
                    while outcome.answered < requests * 0.6 and not working.done():
                        await asyncio.sleep(0.05)
                    processes.running[0].send_signal(signal.SIGKILL)
                await working
            shown = {"authorization": f"Bearer {tokens[-1]}"}
            outcome.metrics = (await client.get("/metrics", headers=shown)).text
        return outcome
    finally:
        processes.end()


def make_tokens(environ: dict[str, str], people: int) -> list[str]:
    """Make the people, and one more who may read the metrics; in one process."""
    program = (
        "from nearfield.features.team.people import People\n"
        f"for n in range({people}): print(People().add(f'p{{n}}', 'developer')[0])\n"
        "print(People().add('eye', 'monitor')[0])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


def quantile(metrics: str, use: str, share: float) -> str:
    """Return the bound (s) below which a share of the times is, by the server's histogram."""
    found = re.findall(
        rf'nearfield_request_seconds_bucket{{le="([^"]+)",use="{use}"}} ([\d.]+)', metrics
    )
    total = float(found[-1][1]) if found else 0.0
    return next((bound for bound, count in found if float(count) >= share * total), "none")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--pause", type=float, default=0.0, help="before each request, mean (s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        outcome = asyncio.run(load(Path(folder), given.people, given.requests, given.pause))
        seconds = time.monotonic() - begun
    print(f"answered {outcome.answered}, cross-talk {outcome.wrong}, lost {outcome.lost.total()}")
    print(f"streams that were asked again: {outcome.again}")
    for what, count in outcome.lost.most_common(5):
        print(f"  {count} x {what}")
    for use in ("complete", "chat"):
        bounds = [quantile(outcome.metrics, use, share) for share in (0.5, 0.95, 0.99)]
        print(f"{use}: half, 95 %, 99 % within {' s, '.join(bounds)} s")
    print(f"{outcome.answered / seconds:.0f} requests a second, start of the servers included")


if __name__ == "__main__":
    main()

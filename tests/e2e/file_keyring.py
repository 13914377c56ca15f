"""A keyring in a file, for processes of the tests: `PYTHON_KEYRING_BACKEND` names it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend

VARIABLE = "NEARFIELD_TEST_KEYRING"


class FileKeyring(KeyringBackend):
    """Keeps what it is given as plain JSON in the file that the environment names."""

    priority = 1  # pyright: ignore[reportAssignmentType] - keyring declares it as a class property

    def __init__(self) -> None:
        super().__init__()
        self.file = Path(os.environ[VARIABLE])

    def held(self) -> dict[str, str]:
        """Return everything that is kept."""
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held().get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.file.write_text(json.dumps({**self.held(), username: password}))

    def delete_password(self, service: str, username: str) -> None:
        held = self.held()
        del held[username]
        self.file.write_text(json.dumps(held))

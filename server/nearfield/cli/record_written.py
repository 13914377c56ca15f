"""Record where code came from that a command has written."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.cli.output import say
from nearfield.cli.patch import Patch
from nearfield.features.accepted import Accepted, Origin

if TYPE_CHECKING:
    from nearfield.config.load import Loaded


def record_written(
    changed: Mapping[Path, Patch], origin: Origin, root: str | None, loaded: Loaded
) -> None:
    """Record files that were written, if the settings let that be recorded."""
    from nearfield.config.folders import FolderConfigs
    from nearfield.errors import NearfieldError
    from nearfield.features.offered_edits import ACTION
    from nearfield.features.provenance.recorder import KEYRING_SECONDS
    from nearfield.features.provenance.write import Writer

    if not loaded.config.provenance.enabled:
        return
    now, name = time.time(), secrets.token_hex(6)
    written: list[Accepted] = []
    for number, (path, patch) in enumerate(changed.items()):
        before, one = patch.before or "", f"{name}-{number}"
        written.append(
            Accepted(one, ACTION, str(path), root, patch.after, now, None, before, origin)
        )
    try:
        Writer().write(written, FolderConfigs(loaded.config), KEYRING_SECONDS)
    except NearfieldError as error:
        say(f"note: {error}")

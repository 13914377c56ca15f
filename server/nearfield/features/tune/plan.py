"""State of an interrupted run, from which it goes on: the commit it reads, and the time it has
spent."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from nearfield.errors import ConfigError
from nearfield.features.holes import digest
from nearfield.files.links import resolved
from nearfield.files.private import private_folder, read_private, write_private
from nearfield.files.read import UnreadableFile

PLAN, ROWS, CHECKPOINT, ADAPTER = "plan.json", "rows.jsonl", "checkpoint.pt", "adapter.gguf"


class TunePlan(msgspec.Struct, kw_only=True):
    """A run. `spent_s` is its time so far, also before interruptions; `trained` counts the cases
    that the adapter has seen, in `steps` steps of the optimiser. Losses are means, of the first
    and of the last cases."""

    model: str
    commit: str
    seed: int
    holes: int
    spent_s: float = 0.0
    trained: int = 0
    steps: int = 0
    first_loss: float = 0.0
    last_loss: float = 0.0
    peak_memory: int = 0


class PlanStore:
    """The files of one model and repository, in a folder that the user alone may enter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._since = time.monotonic()

    @classmethod
    def of(cls, data: Path, root: Path, model: str) -> PlanStore:
        """Return the store of a model and a repository in the user's data directory."""
        name = digest(f"{os.fsdecode(resolved(root))}\0{model}")
        return cls(data / "tune" / name)

    def load(self, model: str, seed: int, holes: int) -> TunePlan | None:
        """Return the plan of an interrupted run with the same data; None without one."""
        with suppress(OSError, UnreadableFile, msgspec.DecodeError):
            raw = read_private(self.folder / PLAN, 65_536)
            plan = msgspec.json.decode(raw, type=TunePlan)
            if (plan.model, plan.seed, plan.holes) == (model, seed, holes):
                return plan
        return None

    def save(self, plan: TunePlan) -> None:
        """Keep a plan, with the time since the last call. Raises `ConfigError`."""
        now = time.monotonic()
        plan.spent_s += now - self._since
        self._since = now
        self._write(PLAN, msgspec.json.encode(plan))

    def left(self, plan: TunePlan, minutes: float, share: float = 1.0) -> float:
        """Return the seconds until `share` of the minutes are spent."""
        return minutes * 60 * share - plan.spent_s - (time.monotonic() - self._since)

    def checkpoint(self) -> bytes | None:
        """Return what `keep_checkpoint` has kept, None without one."""
        with suppress(OSError, UnreadableFile):
            return read_private(self.folder / CHECKPOINT, 1 << 30)
        return None

    def keep_checkpoint(self, content: bytes, plan: TunePlan) -> None:
        """Keep the state of the training, then the plan that tells of it. Raises `ConfigError`."""
        self._write(CHECKPOINT, content)
        self.save(plan)

    def forget(self) -> None:
        """Remove what an interrupted run would need; the answers to holes stay."""
        for name in (PLAN, CHECKPOINT, ADAPTER):
            with suppress(OSError):
                (self.folder / name).unlink()

    def _write(self, name: str, content: bytes) -> None:
        try:
            private_folder(self.folder)
            write_private(self.folder / name, content)
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be written: {error.strerror}.") from error

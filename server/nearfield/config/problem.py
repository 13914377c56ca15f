"""What was wrong with a setting, and what is used instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One setting, or one file, that could not be used as it is.

    `source` says where it was found (a file's path, a variable's name, "the editor"), `key` which
    setting (dotted; "" for a whole file), `wrong` what is wrong with it, `used` what is in force
    instead. None of them holds a value that could be a secret.
    """

    source: str
    key: str
    wrong: str
    used: str

    def __str__(self) -> str:
        place = f"{self.source}: {self.key}" if self.key else self.source
        return f"{place}: {self.wrong}; {self.used}."

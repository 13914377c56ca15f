"""Settings by workspace folder: a folder's `.nearfield.toml` restricts its own documents only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearfield.config.schema import Config


@dataclass(frozen=True, slots=True)
class FolderConfigs:
    """The user's settings, and those in force in each workspace folder, by the folder's path."""

    user: Config
    folders: Mapping[str, Config] = field(default_factory=dict[str, Config])

    def of(self, folder: str | None) -> Config:
        """Return the settings of a workspace folder; for None and unknown ones the user's."""
        return self.folders.get(folder or "", self.user)

    @classmethod
    def over(cls, config: Config | FolderConfigs) -> FolderConfigs:
        """Return `config` itself, or the one configuration as that of every folder."""
        return config if isinstance(config, FolderConfigs) else cls(config)

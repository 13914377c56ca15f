"""The settings of `[network]`, for code that only knows an environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from nearfield.config.environment import PREFIX, SEPARATOR
from nearfield.config.schema import Config

CA_FILE = f"{PREFIX}NETWORK{SEPARATOR}CA_FILE"
"""The variable of `network.ca_file`: under its name the setting is in the environment that clients
are made from, wherever it was set."""


def environ_of(config: Config, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """`environ` with what `config` says of the network."""
    without = {name: value for name, value in environ.items() if name != CA_FILE}
    return {**without, CA_FILE: config.network.ca_file} if config.network.ca_file else without

"""No types: the engine is a compiled package, which `make check` does without."""

from typing import Any

def __getattr__(name: str) -> Any: ...

"""The examination as a whole: which checks are made, in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.errors import NearfieldError
from nearfield.features.doctor import checks
from nearfield.features.doctor.checks import Check, State

if TYPE_CHECKING:
    from nearfield.catalog.choice import ModelChoice
    from nearfield.config.load import Loaded

SLOW_DECODE = 8.0
"""Tokens a second: below this a line of code takes more than a second or two to write."""

Measuring = Callable[[str], AbstractContextManager[object]]
"""Shows that a model is being measured, whose name it gets."""


def examine(
    loaded: Loaded, root: Path, *, measured: bool, measuring: Measuring = nullcontext
) -> Iterator[Check]:
    """Yield the checks of everything that completions need in a workspace, one after the other.
    With `measured` the speed of a model too, inside `measuring`, and whether the hub is reached.
    Blocks; not on an event loop."""
    from nearfield.catalog.models import Catalog
    from nearfield.catalog.recommend import this_machine
    from nearfield.config.paths import user_config_file

    config, catalog = loaded.config, Catalog.load()
    yield checks.installation()
    yield checks.machine(catalog)
    yield from checks.settings(loaded, user_config_file())
    yield checks.grammars()
    yield from checks.models(catalog)
    chosen: ModelChoice | None = None
    if config.engine.enabled:
        completes, chosen = checks.role("complete", config, catalog)
        yield completes
        yield checks.role("chat", config, catalog)[0]
    if config.index.enabled:
        yield checks.ignore_rules(config, root)
    engine = checks.engine(config)
    yield engine
    yield from checks.openvino(config)
    if measured and chosen is not None and engine.state is State.OK:
        yield from _measured(loaded, chosen, bool(this_machine(catalog).gpu), measuring)
    yield from asyncio.run(checks.providers(config, root))
    if config.index.store:
        yield checks.shared_index(config, root)
    if measured:
        yield checks.hub(config)
    yield checks.editors()


def _measured(
    loaded: Loaded, choice: ModelChoice, has_gpu: bool, measuring: Measuring
) -> Iterator[Check]:
    from nearfield.features.measure import measure
    from nearfield.providers.embedded import no_reuse

    with measuring(choice.name):
        try:
            speed = asyncio.run(measure(loaded.config.engine, choice))
        except NearfieldError as error:
            yield Check("speed", State.PROBLEM, error.message, error.hint)
            return
    yield checks.build(speed.build, speed.gpu, has_gpu, checks.cpu_flags())
    found = (
        f"{choice.name}: reads {speed.prefill:.0f} and writes {speed.decode:.0f} tokens a second,"
        f" loaded in {speed.load_ms / 1000:.1f} s"
    )
    if speed.decode < SLOW_DECODE:
        todo = "Choose a smaller model: see `nearfield models recommend`."
        yield Check("speed", State.NOTE, found, todo)
    else:
        yield Check("speed", State.OK, found)
    if not speed.reuses_prefix:
        todo = "Choose a model without recurrent layers: `nearfield models use complete NAME`."
        yield Check("prompt reuse", State.NOTE, no_reuse(choice.name), todo)


def row(check: Check) -> dict[str, str]:
    """Return a check as programs read it."""
    return {
        "name": check.name,
        "state": str(check.state),
        "found": check.found,
        "todo": check.todo,
    }

"""The shipped catalogue against the hub itself: `make catalogue`, where the hub can be reached."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from nearfield.catalog.hub import Hub
from nearfield.catalog.models import Catalog, HubSource, ModelEntry
from nearfield.errors import DownloadFailed

pytestmark = pytest.mark.hub

ENTRIES = Catalog.load({}).entries
LICENCES = {
    "BigCode-OpenRAIL-M": "bigcode-openrail-m",
    "DeepSeek": "deepseek",
    "Llama-2": "llama2",
    "MNPL-0.1": "mnpl",
    "Qwen-Research": "qwen-research",
}
"""Licences that the hub writes otherwise than in small letters."""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub(os.environ) as hub:
        try:
            hub.reach()
        except DownloadFailed as error:
            pytest.skip(str(error))
        yield hub


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_is_what_the_hub_has(hub: Hub, entry: ModelEntry) -> None:
    for source in entry.sources:
        if not isinstance(source, HubSource):
            continue
        published = hub.look_up(source).expected
        assert entry.sha256 in ("", published.sha256)
        assert entry.bytes in (0, published.bytes)
        assert published.bytes < entry.memory_mb << 20
        licence = hub.licence(source.repo)
        expected = LICENCES.get(entry.licence, entry.licence.lower())
        assert licence in ("", "other") or licence.startswith(expected)

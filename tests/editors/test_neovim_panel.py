"""`:Nearfield panel` in a real Neovim: the page that its browser is told to open."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, expect
from tests.e2e.panel_browser import chromium, opened
from tests.e2e.panel_home import until
from tests.editors.conftest import StartNeovim
from tests.editors.test_neovim_plugin import with_plugin

pytestmark = pytest.mark.editor


def test_the_panel_opens_shows_this_neovim_and_ends_with_it(
    neovim: StartNeovim, neovim_12: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "open-a-page"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" >{told}.new && mv {told}.new {told}\n')
    program.chmod(0o755)
    nvim = neovim(neovim_12, with_plugin({"ghost_text": "own"}), "", name="a.py", plugin=True)
    nvim.ready()
    nvim.lua("vim.env.BROWSER = ...", f"{program} %s")
    nvim.keys(":Nearfield panel<CR>")
    nvim.until(True, told.exists)
    address = told.read_text()
    assert "#code=" in address, "the token is in no program's arguments"
    with chromium() as browser:
        with opened(browser, address) as panel:
            panel.connected()
            server = panel.page.get_by_role("region", name="Neovim")
            expect(server).to_contain_text("ready")
            server.get_by_role("button", name="Pause").click()
            nvim.until("paused", nvim.state)
        nvim.quit()
        page = browser.new_page()

        def is_gone() -> bool:
            try:
                page.goto(urlsplit(address)._replace(fragment="").geturl())
            except Error as error:
                return "ERR_CONNECTION_REFUSED" in error.message
            return False

        until(is_gone)

-- `:Nearfield panel`: the control panel in the browser, from a process that ends with Neovim.

local program = require('nearfield.program')
local say = program.say

local M = {}

---@type vim.SystemObj?
local running

--- Open it; one that runs is ended, as its address may be closed by now.
function M.open()
  if running then
    running:kill('sigterm')
  end
  local ended = vim.schedule_wrap(function(result)
    if result.code ~= 0 and result.signal == 0 then
      say(vim.trim(result.stderr or ''), vim.log.levels.ERROR)
    end
  end)
  local started, found = pcall(vim.system, { program.name(), 'panel' }, { text = true }, ended)
  if not started then
    say(tostring(found), vim.log.levels.ERROR)
    return
  end
  running = found
  say('the control panel opens in the browser', vim.log.levels.INFO)
  vim.api.nvim_create_autocmd('VimLeavePre', {
    group = vim.api.nvim_create_augroup('nearfield_control_panel', {}),
    callback = function()
      running:kill('sigterm')
    end,
  })
end

return M

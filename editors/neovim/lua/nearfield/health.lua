-- `:checkhealth nearfield`

local M = {}

local health = vim.health

local function check_neovim()
  if vim.fn.has('nvim-0.11') == 0 then
    health.error('Neovim 0.11 or newer is needed')
    return
  end
  local native = vim.lsp.inline_completion and 'shows ghost text itself'
    or 'gets ghost text from us'
  health.ok(('Neovim %s, which %s'):format(vim.version(), native))
end

---@return boolean
local function check_program()
  local cmd = vim.lsp.config.nearfield.cmd
  if type(cmd) ~= 'table' then
    health.info('the server is started by a function')
    return false
  end
  if vim.fn.executable(cmd[1]) == 0 then
    health.error(('%s is not on your PATH'):format(cmd[1]), {
      'pip install nearfield, and put the environment on your PATH,',
      "or name the program: vim.lsp.config('nearfield', { cmd = { '/its/path', 'serve' } })",
    })
    return false
  end
  health.ok(('%s is %s'):format(cmd[1], vim.fn.exepath(cmd[1])))
  return true
end

local function check_server()
  if not vim.lsp.is_enabled('nearfield') then
    health.warn('it is not enabled', "require('nearfield').setup() or vim.lsp.enable('nearfield')")
    return
  end
  local clients = vim.lsp.get_clients({ name = 'nearfield' })
  if #clients == 0 then
    health.info('no server runs; it starts with the first file that is opened')
  end
  for _, client in ipairs(clients) do
    local answer = client:request_sync('nearfield/status', vim.empty_dict(), 5000)
    local status = answer and answer.result
    local root = client.root_dir or 'no folder'
    if not status then
      health.error(('the server for %s does not answer'):format(root), ':Nearfield restart')
    elseif status.state == 'unavailable' then
      health.warn(('the server for %s: %s'):format(root, status.detail), ':!nearfield doctor')
    else
      local who = status.model ~= '' and (' with ' .. status.model) or ''
      health.ok(('the server for %s is %s%s'):format(root, status.state, who))
    end
  end
end

function M.check()
  health.start('nearfield')
  check_neovim()
  if check_program() then
    check_server()
  end
  health.info('for models, speed and settings: nearfield doctor')
end

return M

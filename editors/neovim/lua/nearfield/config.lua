-- The options of `setup()`, with their defaults; |nearfield-options| explains them.

local M = {}

---@class nearfield.Keys
---@field accept? string|false
---@field accept_word? string|false
---@field accept_line? string|false
---@field dismiss? string|false
---@field next? string|false
---@field previous? string|false
---@field next_edit? string|false

---@class nearfield.Options
---@field cmd? string[] how the server is started; default { 'nearfield', 'serve' }
---@field settings? table the server's settings, as `nearfield config show` names them
---@field ghost_text? 'auto'|'native'|'own'|false
---@field next_edits? boolean whether they are shown without being asked for
---@field debounce_ms? integer the pause in typing after which own ghost text is asked for
---@field keys? nearfield.Keys|false

---@type nearfield.Options
M.defaults = {
  settings = {},
  ghost_text = 'auto',
  next_edits = true,
  -- Half of the pause between the keys of a fast typist; Neovim's own waits for 200.
  debounce_ms = 60,
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-Down>',
    dismiss = '<C-]>',
    next = '<M-]>',
    previous = '<M-[>',
    next_edit = '<Tab>',
  },
}

--- The options in force; fails with the name of an option that cannot be used.
---@param given? nearfield.Options
---@return nearfield.Options
function M.complete(given)
  vim.validate('options', given, 'table', true)
  given = given or {}
  for name in pairs(given) do
    if name ~= 'cmd' and M.defaults[name] == nil then
      error(('nearfield: there is no option %q; see :help nearfield-options'):format(name), 0)
    end
  end
  local options = vim.tbl_deep_extend('force', M.defaults, given)
  vim.validate('cmd', options.cmd, 'table', true)
  vim.validate('settings', options.settings, 'table')
  vim.validate('next_edits', options.next_edits, 'boolean')
  vim.validate('debounce_ms', options.debounce_ms, 'number')
  vim.validate('ghost_text', options.ghost_text, function(value)
    return vim.list_contains({ 'auto', 'native', 'own', false }, value)
  end, "'auto', 'native', 'own' or false")
  vim.validate('keys', options.keys, function(value)
    if value == false then
      return true
    end
    for name in pairs(type(value) == 'table' and value or { value }) do
      if M.defaults.keys[name] == nil then
        return false
      end
    end
    return type(value) == 'table'
  end, 'accept, accept_word, accept_line, dismiss, next, previous, next_edit; or false')
  if options.ghost_text == 'native' and not vim.lsp.inline_completion then
    error("nearfield: ghost_text = 'native' needs Neovim 0.12; take 'auto'", 0)
  end
  return options
end

return M

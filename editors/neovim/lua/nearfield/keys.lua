-- Keys for ghost text. Where there is none, a key does what it did before.

local M = {}

---@type table<string, table>
local earlier = {}

local function press(keys)
  vim.api.nvim_feedkeys(vim.keycode(keys), 'in', false)
end

--- What the key did before `setup()`: the mapping of somebody else, or Neovim's own meaning.
---@param key string
local function before(key)
  local map = earlier[key]
  if vim.tbl_isempty(map) then
    press(key)
    return
  end
  local result = map.rhs
  if map.callback then
    result = map.callback()
  elseif map.expr == 1 then
    result = vim.api.nvim_eval(map.rhs)
  end
  if map.callback and map.expr ~= 1 or not result or result == '' then
    return
  end
  local mode = map.noremap == 1 and 'in' or 'im'
  vim.api.nvim_feedkeys(vim.keycode(result), mode, false)
end

---@param key string|false|nil
---@param act fun(): boolean
---@param desc string
local function map(key, act, desc)
  if not key then
    return
  end
  local held = vim.fn.maparg(key, 'i', false, true)
  if held.desc ~= desc then
    earlier[key] = held
  end
  vim.keymap.set('i', key, function()
    if not act() then
      before(key)
    end
  end, { desc = desc })
end

---@param keys nearfield.Keys|false
function M.map(keys)
  if not keys then
    return
  end
  local nearfield = require('nearfield')
  map(keys.accept, nearfield.accept, 'Nearfield: take the suggestion')
  map(keys.accept_word, nearfield.accept_word, 'Nearfield: take a word of the suggestion')
  map(keys.accept_line, nearfield.accept_line, 'Nearfield: take a line of the suggestion')
  map(keys.dismiss, nearfield.dismiss, 'Nearfield: hide the suggestion')
  map(keys.next, nearfield.next, 'Nearfield: show the next suggestion')
  map(keys.previous, nearfield.previous, 'Nearfield: show the suggestion before')
end

return M

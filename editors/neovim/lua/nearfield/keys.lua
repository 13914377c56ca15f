-- Keys for ghost text and next edits. Where there is none, a key does what it did before.

local M = {}

---@type table<string, table>
local earlier = {}

local function press(keys)
  vim.api.nvim_feedkeys(vim.keycode(keys), 'in', false)
end

--- What the key did before `setup()`: the mapping of somebody else, or Neovim's own meaning.
---@param mode string
---@param key string
local function before(mode, key)
  local map = earlier[mode .. key]
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
  vim.api.nvim_feedkeys(vim.keycode(result), map.noremap == 1 and 'in' or 'im', false)
end

---@param mode 'i'|'n'
---@param key string|false|nil
---@param act fun(): boolean
---@param desc string
local function map(mode, key, act, desc)
  if not key then
    return
  end
  local held = vim.fn.maparg(key, mode, false, true)
  if held.desc ~= desc then
    earlier[mode .. key] = held
  end
  vim.keymap.set(mode, key, function()
    if not act() then
      before(mode, key)
    end
  end, { desc = desc })
end

---@param keys nearfield.Keys|false
function M.map(keys)
  if not keys then
    return
  end
  local nearfield = require('nearfield')
  map('i', keys.accept, nearfield.accept, 'Nearfield: take the suggestion')
  map('i', keys.accept_word, nearfield.accept_word, 'Nearfield: take a word of the suggestion')
  map('i', keys.accept_line, nearfield.accept_line, 'Nearfield: take a line of the suggestion')
  map('i', keys.dismiss, nearfield.dismiss, 'Nearfield: hide the suggestion')
  map('i', keys.next, nearfield.next, 'Nearfield: show the next suggestion')
  map('i', keys.previous, nearfield.previous, 'Nearfield: show the suggestion before')
  local next_edit = require('nearfield.next_edit')
  map('n', keys.next_edit, next_edit.take, 'Nearfield: go to the next edit, or make it')
end

return M

-- Nearfield in Neovim: `setup()`, and what keys and statuslines call.

local M = {}

---@class nearfield.Ghost
---@field take fun(part: nearfield.Part): boolean
---@field dismiss fun(): boolean
---@field cycle fun(step: integer): boolean

---@type nearfield.Ghost?
local ghost

---@param options nearfield.Options
local function choose_ghost(options)
  local kind = options.ghost_text
  if kind == 'auto' then
    kind = vim.lsp.inline_completion and 'native' or 'own'
  end
  local own = require('nearfield.ghost')
  own.disable()
  if vim.lsp.inline_completion then
    require('nearfield.native').disable()
  end
  ghost = nil
  if kind then
    ghost = kind == 'own' and own or require('nearfield.native')
    ghost.enable(options)
  end
end

--- Start the server for every file, with ghost text and its keys. May be called again.
---@param given? nearfield.Options
function M.setup(given)
  local options = require('nearfield.config').complete(given)
  vim.api.nvim_set_hl(0, 'NearfieldGhost', { link = 'Comment', default = true })
  local config = { settings = { nearfield = options.settings } }
  if next(options.settings) == nil then
    config.settings = nil
  end
  config.cmd = options.cmd
  config.capabilities = {
    -- So that the server does not offer the same in the completion list, or as ghost text.
    textDocument = options.ghost_text and { inlineCompletion = { dynamicRegistration = false } }
      or nil,
    experimental = { nearfieldNextEdits = options.next_edits },
  }
  vim.lsp.config('nearfield', config)
  choose_ghost(options)
  local next_edit = require('nearfield.next_edit')
  next_edit.disable()
  next_edit.enable(options)
  if options.ghost_text or options.next_edits then
    require('nearfield.keys').map(options.keys)
  end
  vim.lsp.enable('nearfield')
end

--- Take the suggestion, or else go to the next edit that is shown or make it; false where there is
--- none.
---@return boolean
function M.accept()
  return ghost ~= nil and ghost.take('all') or M.next_edit()
end

--- Take the next word of the suggestion; false where there is none.
---@return boolean
function M.accept_word()
  return ghost ~= nil and ghost.take('word')
end

--- Take the rest of the line, or the next line, of the suggestion; false where there is none.
---@return boolean
function M.accept_line()
  return ghost ~= nil and ghost.take('line')
end

--- Hide the suggestion, or else the next edit that is shown; false where there is none.
---@return boolean
function M.dismiss()
  return ghost ~= nil and ghost.dismiss() or require('nearfield.next_edit').dismiss()
end

--- Go to the next edit that is shown, or make it where the cursor is there; false where there is
--- none.
---@return boolean
function M.next_edit()
  return require('nearfield.next_edit').take()
end

--- Show the next suggestion for this place; false where none is shown.
---@return boolean
function M.next()
  return ghost ~= nil and ghost.cycle(1)
end

--- Show the suggestion before; false where none is shown.
---@return boolean
function M.previous()
  return ghost ~= nil and ghost.cycle(-1)
end

--- The state of the server of a buffer, as it last told it; nil where there is none.
---@param bufnr? integer
---@return nearfield.Status?
function M.status(bufnr)
  return require('nearfield.status').get(bufnr)
end

--- A few words for a statusline: the model, or what the server is doing.
---@return string
function M.statusline()
  return require('nearfield.status').line()
end

return M

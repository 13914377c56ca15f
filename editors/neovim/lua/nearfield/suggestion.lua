-- One suggestion: whether it still fits what is typed, and taking it, wholly or in part.

local M = {}

---@class nearfield.Suggestion
---@field bufnr integer
---@field row integer where its text begins, from 0
---@field col integer in bytes
---@field text string
---@field below? string what stands behind the cursor on the line; nil if that is not known
---@field client_id integer
---@field item lsp.InlineCompletionItem

---@alias nearfield.Part 'all'|'word'|'line'

--- What is still to be typed of it; nil where it does not fit.
---@param s nearfield.Suggestion
---@return string?
function M.rest(s)
  if vim.api.nvim_get_current_buf() ~= s.bufnr then
    return nil
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  if row - 1 ~= s.row or col < s.col then
    return nil
  end
  local line = vim.api.nvim_get_current_line()
  local typed = line:sub(s.col + 1, col)
  if s.text:sub(1, #typed) ~= typed or (s.below and line:sub(col + 1) ~= s.below) then
    return nil
  end
  return s.text:sub(#typed + 1)
end

--- A word with the blanks before it, or a run of marks; the rest of the line, or the next one.
---@param text string
---@param part nearfield.Part
---@return string
local function beginning(text, part)
  if part == 'word' then
    return vim.fn.matchstr(text, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\|$\)]])
  elseif part == 'line' then
    return text:match('^\n?[^\n]*')
  end
  return text
end

--- Insert it, or the beginning of it, at the cursor; false where it does not fit. What is left of
--- it then fits where the cursor is.
---@param s nearfield.Suggestion
---@param part nearfield.Part
---@return boolean
function M.take(s, part)
  local rest = M.rest(s)
  if not rest or rest == '' then
    return false
  end
  local piece = beginning(rest, part)
  -- So that `u` takes back the suggestion and not what was typed before.
  vim.bo.undolevels = vim.bo.undolevels
  -- As if typed: in the redo buffer, and without indentation added to it.
  vim.api.nvim_paste(piece, false, -1)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  s.row, s.col, s.text = row - 1, col, rest:sub(#piece + 1)

  local client = vim.lsp.get_client_by_id(s.client_id)
  if client and s.text ~= '' then
    client:notify('textDocument/didPartiallyAcceptCompletion', { item = s.item })
  elseif client and s.item.command then
    client:exec_cmd(s.item.command, { bufnr = s.bufnr })
  end
  return true
end

return M

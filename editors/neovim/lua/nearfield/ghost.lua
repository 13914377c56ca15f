-- Ghost text of our own, for a Neovim that has none: asked for after a pause in typing, drawn with
-- one extmark, kept while it is typed along, gone as soon as it does not fit.

local suggestion = require('nearfield.suggestion')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
-- InlineCompletionTriggerKind
local INVOKED, AUTOMATIC = 1, 2
local namespace = vim.api.nvim_create_namespace('nearfield.ghost')

---@type nearfield.Suggestion?
local current
-- Those to choose from, of which `current` is one.
---@type nearfield.Suggestion[]
local choices = {}
local question = require('nearfield.question').new()
local debounce_ms = 0
---@type integer? the buffer that shows ghost text
local drawn

---@param bufnr integer
---@return vim.lsp.Client?
local function client_of(bufnr)
  for _, client in ipairs(vim.lsp.get_clients({ bufnr = bufnr, name = 'nearfield' })) do
    if client.server_capabilities.inlineCompletionProvider then
      return client
    end
  end
end

local function erase()
  if drawn and vim.api.nvim_buf_is_valid(drawn) then
    vim.api.nvim_buf_clear_namespace(drawn, namespace, 0, -1)
  end
  drawn = nil
end

--- Show what is left of the suggestion, but not beside the popup menu.
---@param hint? string shown behind it
local function draw(hint)
  erase()
  local rest = current and suggestion.rest(current)
  if not rest or rest == '' or vim.fn.pumvisible() == 1 then
    return
  end
  local lines = vim.split(rest, '\n', { plain = true })
  local first, below = { { lines[1], 'NearfieldGhost' } }, {}
  for i = 2, #lines do
    below[i - 1] = { { lines[i], 'NearfieldGhost' } }
  end
  if hint then
    table.insert(below[#below] or first, { hint, 'NearfieldGhost' })
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  drawn = vim.api.nvim_get_current_buf()
  vim.api.nvim_buf_set_extmark(drawn, namespace, row - 1, col, {
    virt_text = first,
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
    hl_mode = 'combine',
  })
end

--- Where the item stands, if that is up to the cursor; other editors' kinds of items are not shown.
---@param item lsp.InlineCompletionItem
---@param client vim.lsp.Client
---@return nearfield.Suggestion?
local function placed(item, client)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  local first = col
  if item.range then
    local range, encoding = item.range, client.offset_encoding
    local last = vim.str_byteindex(line, encoding, range['end'].character, false)
    if range.start.line ~= row - 1 or range['end'].line ~= row - 1 or last ~= col then
      return nil
    end
    first = vim.str_byteindex(line, encoding, range.start.character, false)
  end
  if type(item.insertText) ~= 'string' then
    return nil
  end
  return {
    bufnr = vim.api.nvim_get_current_buf(),
    row = row - 1,
    col = first,
    text = item.insertText,
    below = line:sub(col + 1),
    client_id = client.id,
    item = item,
  }
end

local function inserting()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == 'i'
end

--- Ask, and hand on what stands where the cursor still is.
---@param kind integer
---@param answered fun(found: nearfield.Suggestion[])
local function ask(kind, answered)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client or not inserting() or vim.fn.pumvisible() == 1 then
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  ---@diagnostic disable-next-line: inject-field
  params.context = { triggerKind = kind }
  local tick, cursor = vim.b.changedtick, vim.api.nvim_win_get_cursor(0)
  question:ask(client, METHOD, params, bufnr, function(err, result)
    local here = vim.api.nvim_get_current_buf() == bufnr
      and vim.b.changedtick == tick
      and vim.deep_equal(vim.api.nvim_win_get_cursor(0), cursor)
    if err or not result or not here or not inserting() then
      return
    end
    local found = {}
    for _, item in ipairs(result.items or result) do
      table.insert(found, placed(item, client))
    end
    answered(found)
  end)
end

---@param hint? string
local function show(hint)
  draw(hint)
  local client = current
    and suggestion.rest(current)
    and vim.lsp.get_client_by_id(current.client_id)
  if current and client then
    client:notify('textDocument/didShowCompletion', { item = current.item })
  end
end

local function suggest()
  ask(AUTOMATIC, function(found)
    choices, current = found, found[1]
    show()
  end)
end

--- Show the one that stands `step` away from the current one among those that still fit. Answers
--- whether there is another one.
---@param step integer
---@return boolean
local function choose(step)
  local shown = current and suggestion.rest(current)
  local fitting, at = {}, nil
  for _, choice in ipairs(choices) do
    local rest = suggestion.rest(choice)
    if rest and rest ~= '' then
      table.insert(fitting, choice)
      at = at or (rest == shown and #fitting or nil)
    end
  end
  local count = #fitting
  if count == 0 or (count == 1 and at) then
    return false
  end
  -- The one before the first, or behind the last, where the current one is not among them.
  at = ((at or (step > 0 and 0 or 1)) - 1 + step) % count + 1
  current = fitting[at]
  show((' (%d/%d)'):format(at, count))
  return true
end

--- The cursor or the text has changed.
local function moved()
  local rest = current and suggestion.rest(current)
  if rest and rest ~= '' then
    draw()
    return
  end
  current = nil
  erase()
  question:forget()
  if client_of(vim.api.nvim_get_current_buf()) then
    question:after(debounce_ms, suggest)
  end
end

--- Hide the suggestion and ask for none until something is typed. Answers whether there was one.
---@return boolean
function M.dismiss()
  local shown = current ~= nil
  current = nil
  erase()
  question:forget()
  return shown
end

--- Take the suggestion, or the beginning of it; false where there is none.
---@param part nearfield.Part
---@return boolean
function M.take(part)
  if not current or vim.fn.pumvisible() == 1 or not suggestion.take(current, part) then
    return false
  end
  moved()
  return true
end

--- Show another suggestion instead; the server looks for others when it is asked by this. False
--- where there is none to be changed.
---@param step integer 1 for the next, -1 for the one before
---@return boolean
function M.cycle(step)
  if not current or not drawn then
    return false
  end
  if not choose(step) then
    ask(INVOKED, function(found)
      choices = found
      if not choose(step) then
        draw(' (1/1)')
      end
    end)
  end
  return true
end

---@param options nearfield.Options
function M.enable(options)
  debounce_ms = options.debounce_ms
  local group = vim.api.nvim_create_augroup('nearfield.ghost', {})
  local events = { 'InsertEnter', 'CursorMovedI', 'TextChangedI' }
  vim.api.nvim_create_autocmd(events, { group = group, callback = moved })
  vim.api.nvim_create_autocmd('CompleteChanged', { group = group, callback = erase })
  -- The menu is still there when this is told.
  local closed = vim.schedule_wrap(function()
    if inserting() then
      moved()
    end
  end)
  vim.api.nvim_create_autocmd('CompleteDone', { group = group, callback = closed })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    callback = function()
      -- What it answers is not handed on: an autocommand that answers true is deleted.
      M.dismiss()
    end,
  })
end

function M.disable()
  M.dismiss()
  vim.api.nvim_create_augroup('nearfield.ghost', {})
end

return M

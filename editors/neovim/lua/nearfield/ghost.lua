-- Ghost text of our own, for a Neovim that has none: asked for after a pause in typing, drawn with
-- one extmark, kept while it is typed along, gone as soon as it does not fit.

local suggestion = require('nearfield.suggestion')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC = 2 -- InlineCompletionTriggerKind
local namespace = vim.api.nvim_create_namespace('nearfield.ghost')

---@type nearfield.Suggestion?
local current
---@type { client: vim.lsp.Client, id: integer? }?
local asked
---@type uv.uv_timer_t?
local timer
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
local function draw()
  erase()
  local rest = current and suggestion.rest(current)
  if not rest or rest == '' or vim.fn.pumvisible() == 1 then
    return
  end
  local lines = vim.split(rest, '\n', { plain = true })
  local below = {}
  for i = 2, #lines do
    below[i - 1] = { { lines[i], 'NearfieldGhost' } }
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  drawn = vim.api.nvim_get_current_buf()
  vim.api.nvim_buf_set_extmark(drawn, namespace, row - 1, col, {
    virt_text = { { lines[1], 'NearfieldGhost' } },
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
    hl_mode = 'combine',
  })
end

local function forget_question()
  if timer then
    timer:stop()
  end
  if asked and asked.id then
    asked.client:cancel_request(asked.id)
  end
  asked = nil
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

local function ask()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client or not inserting() or vim.fn.pumvisible() == 1 then
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  ---@diagnostic disable-next-line: inject-field
  params.context = { triggerKind = AUTOMATIC }
  local tick, cursor = vim.b.changedtick, vim.api.nvim_win_get_cursor(0)
  local question = { client = client }
  asked = question
  local _, id = client:request(METHOD, params, function(err, result)
    if asked ~= question then
      return
    end
    asked = nil
    local here = vim.api.nvim_get_current_buf() == bufnr
      and vim.b.changedtick == tick
      and vim.deep_equal(vim.api.nvim_win_get_cursor(0), cursor)
    if err or not result or not here or not inserting() then
      return
    end
    local item = (result.items or result)[1]
    current = item and placed(item, client)
    draw()
    if current and suggestion.rest(current) then
      client:notify('textDocument/didShowCompletion', { item = item })
    end
  end, bufnr)
  question.id = id
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
  forget_question()
  if client_of(vim.api.nvim_get_current_buf()) then
    timer = timer or assert(vim.uv.new_timer())
    timer:start(debounce_ms, 0, vim.schedule_wrap(ask))
  end
end

--- Hide the suggestion and ask for none until something is typed. Answers whether there was one.
---@return boolean
function M.dismiss()
  local shown = current ~= nil
  current = nil
  erase()
  forget_question()
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

-- Next edits: what an edit has left to be changed elsewhere, drawn in place when the user rests.
-- One key goes there and then makes it; it is gone as soon as its text changes.

local difference = require('nearfield.difference')
local say = require('nearfield.program').say

local M = {}

-- A pause after which it is looked whether there is something to show.
local REST_MS = 300
local drawing = vim.api.nvim_create_namespace('nearfield.next_edit')
local hints = vim.api.nvim_create_namespace('nearfield.next_edit.hint')

---@class nearfield.Jump what is left to be changed in another file
---@field id string
---@field title string for people
---@field advice string why it is not for us to go there; "" where it is
---@field uri string
---@field range lsp.Range
---@field command? lsp.Command vim.NIL where there is only advice

---@class nearfield.Shown
---@field bufnr integer
---@field tick integer the text that it is for, as `b:changedtick`
---@field client_id integer
---@field id string
---@field jump? nearfield.Jump
---@field edit? nearfield.NextEdit

---@class nearfield.NextEdit
---@field range lsp.Range
---@field text string
---@field command lsp.Command
---@field others integer how many more there are in this buffer
---@field first integer its first row, from 0
---@field last integer its last row
---@field col integer in bytes

---@type nearfield.Shown?
local shown
local question = require('nearfield.question').new()
-- The row from which a text was asked about; it is asked about once more from another one.
---@type { tick: integer, row: integer }?
local asked_from
---@type nearfield.Keys|false
local keys = false
local automatic = false

---@param bufnr integer
---@return vim.lsp.Client?
local function client_of(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr, name = 'nearfield' })[1]
end

---@return integer
local function row_here()
  return vim.api.nvim_win_get_cursor(0)[1] - 1
end

local function inserting()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == 'i'
end

--- What is shown, if it is for the text of this buffer as it is.
---@return nearfield.Shown?
local function current()
  local here = shown
    and shown.bufnr == vim.api.nvim_get_current_buf()
    and shown.tick == vim.b.changedtick
  return here and shown or nil
end

--- The key that takes it, for people.
---@return string
local function key_name()
  local key = keys and (inserting() and keys.accept or not inserting() and keys.next_edit)
  return key and key:match('^<(.*)>$') or key or ':Nearfield next-edit'
end

---@param edit nearfield.NextEdit
local function is_at(edit)
  local row = row_here()
  return edit.first <= row and row <= edit.last
end

--- Say what the key would do: behind the edit, or at the edge towards it.
---@param what nearfield.Shown
local function draw_hint(what)
  vim.api.nvim_buf_clear_namespace(what.bufnr, hints, 0, -1)
  local top, bottom = vim.fn.line('w0') - 1, vim.fn.line('w$') - 1
  local row, words, position = bottom, key_name(), 'right_align'
  local edit = what.edit
  if not edit then
    words = ('→ %s: %s'):format(what.jump.title, words)
  elseif edit.first < top then
    row, words = top, ('↑ edit in line %d: %s'):format(edit.first + 1, words)
  elseif edit.first > bottom then
    words = ('↓ edit in line %d: %s'):format(edit.first + 1, words)
  else
    row, position = edit.first, 'eol'
    words = is_at(edit) and words or words .. ' to go there'
  end
  if edit and edit.others > 0 then
    words = ('%s (+%d)'):format(words, edit.others)
  end
  -- Other windows on the same text have edges of their own.
  if vim.api.nvim__ns_set then
    pcall(vim.api.nvim__ns_set, hints, { wins = { vim.api.nvim_get_current_win() } })
  end
  vim.api.nvim_buf_set_extmark(what.bufnr, hints, row, 0, {
    virt_text = { { ' ' .. words .. ' ', 'NearfieldNextEditHint' } },
    virt_text_pos = position,
  })
end

---@param bufnr integer
---@param block nearfield.BlockChange
local function draw_block(bufnr, block)
  local width, come = 0, {}
  local tab = vim.bo[bufnr].tabstop
  for i, line in ipairs(block.lines) do
    -- Virtual lines have no tabs.
    come[i] = line:gsub('\t', (' '):rep(tab))
    width = math.max(width, vim.fn.strdisplaywidth(come[i]))
  end
  for i, line in ipairs(come) do
    local padding = (' '):rep(width - vim.fn.strdisplaywidth(line))
    come[i] = { { line .. padding, 'NearfieldNextEditAdd' } }
  end
  for row = block.row, block.row + block.count - 1 do
    vim.api.nvim_buf_set_extmark(bufnr, drawing, row, 0, {
      end_row = row + 1,
      hl_group = 'NearfieldNextEditDelete',
      hl_eol = true,
      strict = false,
    })
  end
  if #come > 0 then
    local below = block.row + block.count - 1
    vim.api.nvim_buf_set_extmark(bufnr, drawing, math.max(below, 0), 0, {
      virt_lines = come,
      virt_lines_above = below < 0,
    })
  end
end

---@param bufnr integer
---@param edit nearfield.NextEdit
---@param encoding 'utf-8'|'utf-16'|'utf-32'
local function draw(bufnr, edit, encoding)
  local start, finish = edit.range.start, edit.range['end']
  local old = vim.api.nvim_buf_get_lines(bufnr, start.line, finish.line + 1, false)
  -- An edit may reach to the line behind the last one.
  if #old <= finish.line - start.line then
    table.insert(old, '')
  end
  local from = vim.str_byteindex(old[1], encoding, start.character, false)
  local to = vim.str_byteindex(old[#old], encoding, finish.character, false)
  local whole = old[1]:sub(1, from) .. edit.text .. old[#old]:sub(to + 1)
  local changes, block = difference.of(start.line, old, vim.split(whole, '\r?\n'))
  if block then
    draw_block(bufnr, block)
    edit.first = block.row
    edit.last = block.row + math.max(block.count - 1, 0)
  end
  for _, change in ipairs(changes or {}) do
    if change.last > change.first then
      vim.api.nvim_buf_set_extmark(bufnr, drawing, change.row, change.first, {
        end_col = change.last,
        hl_group = 'NearfieldNextEditDelete',
      })
    end
    if change.text ~= '' then
      vim.api.nvim_buf_set_extmark(bufnr, drawing, change.row, change.last, {
        virt_text = { { change.text, 'NearfieldNextEditAdd' } },
        virt_text_pos = 'inline',
      })
    end
  end
  edit.col = from
end

--- Show nothing, and wait for nothing.
local function clear()
  question:forget()
  if shown and vim.api.nvim_buf_is_valid(shown.bufnr) then
    vim.api.nvim_buf_clear_namespace(shown.bufnr, drawing, 0, -1)
    vim.api.nvim_buf_clear_namespace(shown.bufnr, hints, 0, -1)
  end
  shown = nil
end

---@param client vim.lsp.Client
---@param result { edit: table?, others: integer, jump: nearfield.Jump? }
local function show(client, result)
  clear()
  local edit, jump = result.edit, result.jump
  ---@type nearfield.Shown
  local what = {
    bufnr = vim.api.nvim_get_current_buf(),
    tick = vim.b.changedtick,
    client_id = client.id,
    id = '',
  }
  if edit and edit ~= vim.NIL then
    what.id = edit.command.arguments[1]
    what.edit = {
      range = edit.range,
      text = edit.text,
      command = edit.command,
      others = result.others,
      first = edit.range.start.line,
      last = edit.range['end'].line,
      col = 0,
    }
    draw(what.bufnr, what.edit, client.offset_encoding)
    client:notify('textDocument/didShowInlineEdit', { item = { command = edit.command } })
  elseif not jump or jump == vim.NIL then
    return
  elseif jump.command == vim.NIL then
    vim.api.nvim_echo({ { ('Nearfield: %s. %s'):format(jump.title, jump.advice) } }, false, {})
    return
  else
    what.id, what.jump = jump.id, jump
  end
  shown = what
  draw_hint(what)
end

--- Ask for the nearest one and show it; then `done` is told.
---@param done? fun(err?: lsp.ResponseError)
local function ask(done)
  local bufnr, tick = vim.api.nvim_get_current_buf(), vim.b.changedtick
  local client = client_of(bufnr)
  if not client then
    return
  end
  local place = vim.lsp.util.make_position_params(0, client.offset_encoding)
  local row = row_here()
  asked_from = (not asked_from or asked_from.tick ~= tick) and { tick = tick, row = row } or nil
  local params = {
    command = 'nearfield.nextEdit',
    arguments = {
      {
        uri = place.textDocument.uri,
        position = place.position,
        version = vim.lsp.util.buf_versions[bufnr],
      },
    },
  }
  question:ask(client, 'workspace/executeCommand', params, bufnr, function(err, result)
    local here = vim.api.nvim_get_current_buf() == bufnr and vim.b.changedtick == tick
    if result and here then
      show(client, result)
    end
    if done and here then
      done(err)
    end
  end)
end

local function soon()
  question:forget()
  if automatic and client_of(vim.api.nvim_get_current_buf()) then
    question:after(REST_MS, function()
      -- Not while lines are selected, a command is typed or keys are waited for.
      if vim.list_contains({ 'n', 'i' }, vim.api.nvim_get_mode().mode) then
        ask()
      end
    end)
  end
end

--- The text has changed, or is another one.
local function changed()
  -- Leaving Insert mode changes nothing.
  if not current() then
    clear()
    soon()
  end
end

local function moved()
  local what = current()
  local tick = vim.b.changedtick
  if what then
    draw_hint(what)
  elseif asked_from and asked_from.tick == tick and asked_from.row ~= row_here() then
    soon()
  end
end

---@param client vim.lsp.Client
---@param edit nearfield.NextEdit
local function make(client, edit)
  local bufnr = vim.api.nvim_get_current_buf()
  clear()
  -- So that `u` takes back the edit and not what was typed before.
  vim.bo.undolevels = vim.bo.undolevels
  local change = { range = edit.range, newText = edit.text }
  vim.lsp.util.apply_text_edits({ change }, bufnr, client.offset_encoding)
  local lines = vim.split(edit.text, '\r?\n')
  local row = math.min(edit.range.start.line + #lines, vim.api.nvim_buf_line_count(bufnr))
  local col = #lines == 1 and edit.col + #lines[1] or #lines[#lines]
  if not inserting() then
    col = math.max(col - 1, 0)
  end
  vim.api.nvim_win_set_cursor(0, { row, col })
  client:exec_cmd(edit.command, { bufnr = bufnr })
  ask()
end

---@param what nearfield.Shown
local function go_to(what)
  local edit = what.edit
  if edit then
    vim.cmd("normal! m'")
    local last = vim.api.nvim_buf_line_count(what.bufnr)
    vim.api.nvim_win_set_cursor(0, { math.min(edit.first + 1, last), edit.col })
    vim.cmd('normal! zv')
    draw_hint(what)
    return
  end
  local client = vim.lsp.get_client_by_id(what.client_id)
  clear()
  if client then
    -- What is to be changed there is asked for when it is open.
    local place = { uri = what.jump.uri, range = what.jump.range }
    vim.lsp.util.show_document(place, client.offset_encoding, { focus = true })
  end
end

--- Whether something is open for which keys are meant.
local function is_busy()
  local cmp, blink = package.loaded.cmp, package.loaded['blink.cmp']
  return vim.fn.pumvisible() == 1
    or (cmp ~= nil and cmp.visible())
    or (blink ~= nil and blink.is_visible())
    or (inserting() and vim.snippet.active({ direction = 1 }))
end

--- Go to the next edit that is shown, or make it where the cursor is there; false where none is, or
--- the key is meant for a menu or a snippet.
---@return boolean
function M.take()
  local what = current()
  local client = what and vim.lsp.get_client_by_id(what.client_id)
  if not what or not client or is_busy() then
    return false
  end
  if what.edit and is_at(what.edit) then
    make(client, what.edit)
  else
    go_to(what)
  end
  return true
end

--- Look for one where none is shown, and go there; one in another file is only shown.
function M.go()
  if M.take() then
    return
  end
  ask(function(err)
    local what = current()
    if err then
      say(err.message, vim.log.levels.ERROR)
    elseif not what then
      say('nothing is left to be changed here')
    elseif what.edit and not is_at(what.edit) then
      go_to(what)
    end
  end)
end

--- Take it away, and do not have it offered again; false where none is shown.
---@return boolean
function M.dismiss()
  local what = current()
  clear()
  local client = what and vim.lsp.get_client_by_id(what.client_id)
  if what and client then
    client:exec_cmd({
      title = 'Dismiss the next edit',
      command = 'nearfield.dismissEdit',
      arguments = { what.id },
    })
  end
  return what ~= nil
end

---@param options nearfield.Options
function M.enable(options)
  keys, automatic = options.keys or false, options.next_edits
  local links = { Add = 'DiffAdd', Delete = 'DiffDelete', Hint = 'DiagnosticVirtualTextHint' }
  for name, group in pairs(links) do
    vim.api.nvim_set_hl(0, 'NearfieldNextEdit' .. name, { link = group, default = true })
  end
  local group = vim.api.nvim_create_augroup('nearfield.next_edit', {})
  local function on(events, act)
    vim.api.nvim_create_autocmd(events, {
      group = group,
      callback = function()
        act()
      end,
    })
  end
  on({ 'TextChanged', 'TextChangedI', 'TextChangedP', 'InsertLeave', 'BufEnter' }, changed)
  on({ 'CursorMoved', 'CursorMovedI', 'WinScrolled', 'WinEnter', 'InsertEnter' }, moved)
  on({ 'BufLeave', 'LspDetach' }, clear)
  local escape = vim.keycode('<Esc>')
  vim.on_key(function(_, typed)
    -- In Insert mode it ends that, which is when an edit elsewhere is looked at.
    if typed == escape and shown and vim.api.nvim_get_mode().mode == 'n' then
      M.dismiss()
    end
  end, hints)
end

function M.disable()
  clear()
  vim.api.nvim_create_augroup('nearfield.next_edit', {})
  vim.on_key(nil, hints)
end

return M

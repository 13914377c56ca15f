-- A conversation in a buffer: what is said stands there as it comes, and can be yanked like any
-- text.

local panel = require('nearfield.panel')
local say = require('nearfield.program').say

local M = {}

local METHOD = 'nearfield/chat'
local HINT = ' <CR>: say something   <C-c>: stop   q: close'

---@class nearfield.Talk
---@field bufnr integer
---@field client vim.lsp.Client
---@field uri string the document that it is about
---@field session? string
---@field token? string of the answer that is coming
---@field request? integer
---@field from integer the line at which that answer begins

---@type nearfield.Talk?
local talk
local tokens = 0

---@param change fun(bufnr: integer)
local function edit(change)
  if talk and vim.api.nvim_buf_is_valid(talk.bufnr) then
    vim.bo[talk.bufnr].modifiable = true
    change(talk.bufnr)
    vim.bo[talk.bufnr].modifiable = false
  end
end

--- Write at the end; windows that show the end go on showing it.
---@param text string
local function write(text)
  edit(function(bufnr)
    local last = vim.api.nvim_buf_line_count(bufnr)
    local line = vim.api.nvim_buf_get_lines(bufnr, last - 1, last, false)[1]
    local lines = vim.split(text, '\n', { plain = true })
    vim.api.nvim_buf_set_text(bufnr, last - 1, #line, last - 1, #line, lines)
    local now = vim.api.nvim_buf_line_count(bufnr)
    for _, window in ipairs(vim.fn.win_findbuf(bufnr)) do
      if vim.api.nvim_win_get_cursor(window)[1] == last then
        vim.api.nvim_win_set_cursor(window, { now, 0 })
      end
    end
  end)
end

--- What comes while an answer is written.
---@param value { kind: string, text?: string, name?: string, state?: string }
local function progress(value)
  if value.kind == 'text' then
    write(value.text or '')
  elseif value.kind == 'restart' then
    edit(function(bufnr)
      vim.api.nvim_buf_set_lines(bufnr, talk.from, -1, false, { '' })
    end)
  elseif value.kind == 'call' and value.state ~= 'asking' then
    write(('\n> `%s`: %s\n'):format(value.name, value.state))
  end
end

---@param reason string why there is no more, "" for nothing
local function ended(reason)
  talk.token, talk.request = nil, nil
  write((reason ~= '' and '\n> ' .. reason:gsub('\n', ' ') or '') .. '\n')
end

local function cancel()
  if talk and talk.request then
    talk.client:cancel_request(talk.request)
  end
end

--- Neovim hands on no answer to a cancelled request, so the end is written here.
local function stop()
  if talk and talk.token then
    cancel()
    ended('stopped')
  end
end

--- The buffer is gone, and with it the conversation.
local function close()
  if talk then
    cancel()
    if talk.session then
      talk.client:request('nearfield/chat/close', { session = talk.session }, function() end)
    end
    talk = nil
  end
end

---@param client vim.lsp.Client
---@param uri string
local function open(client, uri)
  if talk and vim.api.nvim_buf_is_valid(talk.bufnr) and talk.client.id == client.id then
    talk.uri = uri
    if #vim.fn.win_findbuf(talk.bufnr) == 0 then
      vim.cmd('botright sbuffer ' .. talk.bufnr)
    end
    return
  end
  close()
  local bufnr = panel.open({ '' }, 'markdown', HINT)
  talk = { bufnr = bufnr, client = client, uri = uri, from = 0 }
  local function key(lhs, act, desc)
    vim.keymap.set('n', lhs, act, { buffer = bufnr, desc = 'Nearfield: ' .. desc })
  end
  key('<C-c>', stop, 'stop the answer')
  key('<CR>', function()
    M.say(client, talk and talk.uri or uri, '')
  end, 'say something')
  local group = vim.api.nvim_create_augroup('nearfield.chat', {})
  vim.api.nvim_create_autocmd('BufWipeout', { group = group, buffer = bufnr, callback = close })
  vim.api.nvim_create_autocmd('LspProgress', {
    group = group,
    pattern = { 'text', 'restart', 'call' },
    callback = function(args)
      local params = args.data.params
      if talk and params.token == talk.token and args.data.client_id == talk.client.id then
        progress(params.value)
      end
    end,
  })
end

---@param uri string
---@param message string
local function ask(uri, message)
  tokens = tokens + 1
  local token = ('nearfield-chat-%d'):format(tokens)
  local first = vim.api.nvim_buf_line_count(talk.bufnr) == 1
  write((first and '' or '\n') .. '## You\n\n' .. message .. '\n\n## Nearfield\n\n')
  talk.token, talk.from = token, vim.api.nvim_buf_line_count(talk.bufnr) - 1
  local params = {
    message = message,
    session = talk.session,
    textDocument = { uri = uri },
    partialResultToken = token,
  }
  local asked = talk
  local _, id = talk.client:request(METHOD, params, function(err, result)
    if talk ~= asked or talk.token ~= token then
      return
    end
    if err then
      ended(err.message)
      return
    end
    talk.session = result.session
    local why = type(result.wrong) == 'string' and result.wrong or ''
    ended(why)
  end)
  talk.request = id
end

--- Say `message` in the conversation about a document; it is asked for when empty.
---@param client vim.lsp.Client
---@param uri string
---@param message string
function M.say(client, uri, message)
  open(client, uri)
  if talk.token then
    say('it is answering still; <C-c> stops it', vim.log.levels.WARN)
  elseif message ~= '' then
    ask(uri, message)
  else
    client:notify('nearfield/chat/prepare', vim.empty_dict())
    vim.ui.input({ prompt = 'Say: ' }, function(said)
      if said and said ~= '' and talk then
        ask(uri, said)
      end
    end)
  end
end

--- `:Nearfield chat`
---@param client vim.lsp.Client
---@param message string
function M.run(client, message)
  M.say(client, vim.uri_from_bufnr(0), message)
end

return M

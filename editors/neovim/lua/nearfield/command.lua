-- `:Nearfield {what}`: what the server of this buffer offers, and what helps when there is none.

local program = require('nearfield.program')
local ask, say = program.ask, program.say

local M = {}

local SERVER = 'nearfield'
local PATIENCE_MS = 2000

---@return vim.lsp.Client?
local function client_here()
  return vim.lsp.get_clients({ bufnr = 0, name = SERVER })[1]
end

---@param command string
---@return fun(client: vim.lsp.Client, rest: string)
local function execute(command)
  return function(client, rest)
    local arguments = rest ~= '' and { rest } or nil
    local params = { command = command, arguments = arguments }
    ask(client, 'workspace/executeCommand', params, function() end)
  end
end

---@param client vim.lsp.Client
local function status(client)
  ask(client, 'nearfield/status', vim.empty_dict(), function(s)
    local words = vim.tbl_filter(function(word)
      return word and word ~= vim.NIL and word ~= ''
    end, { s.state, s.detail, s.model, s.provider })
    local last = require('nearfield.status').last(s)
    local why = last and last.reason ~= '' and vim.trim(last.sentence .. ' ' .. last.advice) or nil
    say(table.concat(words, ', ') .. (why and '\nNo suggestion: ' .. why or ''))
  end)
end

--- The last requests, one a line, in a window of its own.
---@param client vim.lsp.Client
local function trace(client)
  ask(client, 'nearfield/trace', { last = 50 }, function(entries)
    local lines = { 'answered in  shown  reason       model' }
    for _, entry in ipairs(entries) do
      local shown = entry.shown and 'yes' or 'no'
      local fields = { entry.total_ms, shown, entry.reason, entry.model }
      table.insert(lines, vim.trim(('%8.1f ms  %-5s  %-11s  %s'):format(unpack(fields))))
    end
    vim.cmd.new()
    vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
    vim.bo.buftype, vim.bo.bufhidden, vim.bo.modifiable = 'nofile', 'wipe', false
  end)
end

local function log()
  vim.cmd.tabedit(vim.fn.fnameescape(vim.lsp.log.get_filename()))
  vim.cmd('normal! G')
end

--- End the server, with force when it takes too long, and start it for the same buffers.
local function restart()
  if not vim.lsp.is_enabled(SERVER) then
    say('it was not started by vim.lsp.enable() or setup()', vim.log.levels.ERROR)
    return
  end
  local old = vim.lsp.get_clients({ name = SERVER })
  vim.lsp.enable(SERVER, false)
  local begun = vim.uv.now()
  local timer = assert(vim.uv.new_timer())
  timer:start(20, 20, function()
    vim.schedule(function()
      if timer:is_closing() then
        return
      end
      for _, client in ipairs(old) do
        if not client:is_stopped() then
          if vim.uv.now() - begun > PATIENCE_MS then
            client:stop(true)
          end
          return
        end
      end
      timer:close()
      vim.lsp.enable(SERVER)
    end)
  end)
end

---@class nearfield.Command
---@field run fun(client: vim.lsp.Client?, rest: string, lines: nearfield.Lines?)
---@field needs? true|string a server, and the command that it must offer

--- A function of a module that is loaded when it is needed.
---@param module string
---@param name string
local function lazily(module, name)
  return function(...)
    return require(module)[name](...)
  end
end

---@type table<string, nearfield.Command>
local commands = {
  status = { run = status, needs = true },
  trace = { run = trace, needs = true },
  pause = { run = execute('nearfield.pause'), needs = 'nearfield.pause' },
  resume = { run = execute('nearfield.resume'), needs = 'nearfield.resume' },
  ['next-edit'] = { run = lazily('nearfield.next_edit', 'go'), needs = 'nearfield.nextEdit' },
  explain = { run = lazily('nearfield.actions', 'explain'), needs = 'nearfield.explain' },
  review = { run = lazily('nearfield.actions', 'review'), needs = 'nearfield.review' },
  ['clear-review'] = {
    run = lazily('nearfield.actions', 'clear_review'),
    needs = 'nearfield.clearReview',
  },
  rewrite = { run = lazily('nearfield.actions', 'rewrite'), needs = 'nearfield.rewrite' },
  load = { run = execute('nearfield.loadModel'), needs = 'nearfield.loadModel' },
  model = { run = lazily('nearfield.models', 'run'), needs = true },
  rate = { run = execute('nearfield.rate'), needs = 'nearfield.rate' },
  unload = { run = execute('nearfield.unloadModel'), needs = 'nearfield.unloadModel' },
  chat = { run = lazily('nearfield.chat', 'run'), needs = true },
  ['commit-message'] = { run = lazily('nearfield.commit', 'run') },
  panel = { run = lazily('nearfield.control_panel', 'open') },
  restart = { run = restart },
  log = { run = log },
}

---@param command nearfield.Command
---@param client vim.lsp.Client?
---@return boolean
local function offered(command, client)
  if not command.needs then
    return true
  elseif not client or command.needs == true then
    return client ~= nil
  end
  local provider = client.server_capabilities.executeCommandProvider
  return provider ~= nil and vim.list_contains(provider.commands, command.needs)
end

--- All commands.
---@return string[]
function M.names()
  return vim.fn.sort(vim.tbl_keys(commands))
end

--- The commands that can be run here and begin with `lead`.
---@param lead string
---@return string[]
function M.complete(lead)
  local client = client_here()
  local names = {}
  for name, command in pairs(commands) do
    if vim.startswith(name, lead) and offered(command, client) then
      table.insert(names, name)
    end
  end
  table.sort(names)
  return names
end

--- Run a command, `status` when none is named, with the words behind its name and on those lines.
---@param said string
---@param lines? nearfield.Lines
function M.run(said, lines)
  local name, rest = said:match('^(%S*)%s*(.*)$')
  name = name == '' and 'status' or name
  local command, client = commands[name], client_here()
  if not command then
    local known = table.concat(M.names(), ', ')
    say(('there is no command %q, only %s'):format(name, known), vim.log.levels.ERROR)
  elseif not offered(command, client) then
    local why = client and 'this server does not offer it' or 'no server runs for this buffer'
    say(('%s: %s; see :checkhealth nearfield'):format(name, why), vim.log.levels.ERROR)
  else
    command.run(client, rest, lines)
  end
end

return M

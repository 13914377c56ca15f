-- What is asked for at a place of the buffer: an explanation, a review, a rewrite.

local panel = require('nearfield.panel')
local program = require('nearfield.program')
local say = program.say

local M = {}

---@class nearfield.Lines
---@field first integer counted from 1
---@field last integer

--- Run a command of the server's, and hand on what it answers.
---@param client vim.lsp.Client
---@param command string
---@param arguments table
---@param done fun(result: table)
local function execute(client, command, arguments, done)
  local params = { command = command, arguments = { arguments } }
  program.ask(client, 'workspace/executeCommand', params, function(result)
    done(result or {})
  end)
end

--- The given lines; without them the cursor.
---@param client vim.lsp.Client
---@param lines? nearfield.Lines
---@return lsp.Range
function M.range(client, lines)
  if not lines then
    local here = vim.lsp.util.make_position_params(0, client.offset_encoding).position
    return { start = here, ['end'] = here }
  end
  local text = vim.fn.getline(lines.last)
  local width = vim.str_utfindex(text, client.offset_encoding, #text)
  return {
    start = { line = lines.first - 1, character = 0 },
    ['end'] = { line = lines.last - 1, character = width },
  }
end

--- What a command that could do nothing says of it.
---@param result table
---@return string
local function wrong(result)
  local why = result.wrong
  return type(why) == 'string' and why ~= '' and why or 'there is nothing to say'
end

--- Explain what is at the cursor, or the lines, in a floating window.
---@param client vim.lsp.Client
---@param _ string
---@param lines? nearfield.Lines
function M.explain(client, _, lines)
  local arguments = { uri = vim.uri_from_bufnr(0), range = M.range(client, lines) }
  if not lines then
    arguments.position, arguments.range = arguments.range.start, nil
  end
  execute(client, 'nearfield.explain', arguments, function(result)
    if type(result.markdown) ~= 'string' or result.markdown == '' then
      say(wrong(result), vim.log.levels.WARN)
      return
    end
    local text = vim.split(result.markdown, '\n', { plain = true })
    local options = { border = 'rounded', focus_id = 'nearfield.explain', wrap = true }
    vim.lsp.util.open_floating_preview(text, 'markdown', options)
  end)
end

--- Review the lines, or all of the buffer: what is found comes as diagnostics.
---@param client vim.lsp.Client
---@param _ string
---@param lines? nearfield.Lines
function M.review(client, _, lines)
  local arguments = { uri = vim.uri_from_bufnr(0), range = lines and M.range(client, lines) }
  execute(client, 'nearfield.review', arguments, function(result)
    if type(result.error) == 'string' and result.error ~= '' then
      say(result.error, vim.log.levels.ERROR)
      return
    end
    local found = result.findings or 0
    local words = { [0] = 'nothing was found', 'one finding' }
    say(words[found] or ('%d findings'):format(found))
  end)
end

--- Take the findings of reviews away again.
---@param client vim.lsp.Client
function M.clear_review(client)
  execute(client, 'nearfield.clearReview', { uri = vim.uri_from_bufnr(0) }, function() end)
end

--- Show an edit as a diff; it is applied when the user says so, if the buffer is as it was.
---@param client vim.lsp.Client
---@param source integer
---@param tick integer
---@param result { edit: lsp.WorkspaceEdit, diff: string }
local function preview(client, source, tick, result)
  local lines = vim.split(vim.trim(result.diff), '\n', { plain = true })
  local bufnr = panel.open(lines, 'diff', ' a: apply   q: discard')
  vim.keymap.set('n', 'a', function()
    vim.cmd.close()
    if not vim.api.nvim_buf_is_valid(source) or vim.b[source].changedtick ~= tick then
      say('the text has changed since; ask again', vim.log.levels.WARN)
      return
    end
    vim.lsp.util.apply_workspace_edit(result.edit, client.offset_encoding)
  end, { buffer = bufnr, desc = 'Nearfield: apply the change' })
end

--- Rewrite the lines, or what the cursor is in, as `instruction` says; it is asked for when empty.
---@param client vim.lsp.Client
---@param instruction string
---@param lines? nearfield.Lines
function M.rewrite(client, instruction, lines)
  local source, tick = vim.api.nvim_get_current_buf(), vim.b.changedtick
  local arguments = {
    uri = vim.uri_from_bufnr(source),
    range = M.range(client, lines),
    version = vim.lsp.util.buf_versions[source],
    preview = true,
  }
  ---@param said string?
  local function ask(said)
    if not said or said == '' then
      return
    end
    arguments.instruction = said
    execute(client, 'nearfield.rewrite', arguments, function(result)
      if type(result.edit) ~= 'table' or type(result.diff) ~= 'string' then
        say(wrong(result), vim.log.levels.WARN)
      else
        preview(client, source, tick, result)
      end
    end)
  end
  if instruction == '' then
    vim.ui.input({ prompt = 'Rewrite: ' }, ask)
  else
    ask(instruction)
  end
end

return M

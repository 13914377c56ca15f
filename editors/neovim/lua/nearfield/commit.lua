-- `:Nearfield commit-message`: a message for what is staged, at the top of a `gitcommit` buffer.
-- Git opens that buffer outside of any workspace's server, so the command line is asked.

local program = require('nearfield.program')
local say = program.say

local M = {}

---@param bufnr integer
---@param message string
local function put(bufnr, message)
  if not vim.api.nvim_buf_is_valid(bufnr) then
    return
  end
  local lines = vim.split(vim.trim(message), '\n')
  local first = vim.api.nvim_buf_get_lines(bufnr, 0, 1, false)[1] or ''
  vim.api.nvim_buf_set_lines(bufnr, 0, first == '' and 1 or 0, false, lines)
end

--- Ask for a message, in the style that is named behind the command.
---@param _ vim.lsp.Client?
---@param rest string
function M.run(_, rest)
  local bufnr = vim.api.nvim_get_current_buf()
  if vim.bo[bufnr].filetype ~= 'gitcommit' then
    say('this is no commit message: `git commit` opens one', vim.log.levels.ERROR)
    return
  end
  local command = { program.name(), 'commit-message' }
  if rest ~= '' then
    vim.list_extend(command, { '--style', rest })
  end
  say('writing a commit message …', vim.log.levels.INFO)
  -- Git starts its editor in the top folder of the working tree.
  local done = vim.schedule_wrap(function(result)
    if result.code == 0 then
      put(bufnr, result.stdout)
    else
      say(vim.trim(result.stderr or ''), vim.log.levels.ERROR)
    end
  end)
  local started, why = pcall(vim.system, command, { text = true, cwd = vim.fn.getcwd() }, done)
  if not started then
    say(tostring(why), vim.log.levels.ERROR)
  end
end

return M

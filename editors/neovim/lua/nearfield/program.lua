-- What every part of the plugin needs: the program that is run, messages in its name, and requests.

local M = {}

--- The program that the settings start, else the one on the PATH.
---@return string
function M.name()
  local config = vim.lsp.config and vim.lsp.config.nearfield or nil
  local cmd = config and config.cmd
  return type(cmd) == 'table' and cmd[1] or 'nearfield'
end

--- Show a message as Nearfield's.
---@param text string
---@param level? integer one of vim.log.levels, INFO without it
function M.say(text, level)
  vim.notify('Nearfield: ' .. text, level or vim.log.levels.INFO)
end

--- Ask the server, and hand on what it answers; an error is shown.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param done fun(result: any)
function M.ask(client, method, params, done)
  client:request(method, params, function(err, result)
    if err then
      M.say(err.message, vim.log.levels.ERROR)
    else
      done(result)
    end
  end, 0)
end

return M

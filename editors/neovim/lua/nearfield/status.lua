-- What the server says of itself in `nearfield/status`.

local M = {}

---@class nearfield.Status
---@field state 'starting'|'loading'|'ready'|'unavailable'|'paused'
---@field detail string
---@field progress? number from 0 to 1, while loading
---@field provider string
---@field model string
---@field last? { reason: string, sentence: string, advice: string } of the last completion

---@type table<integer, nearfield.Status>
local said = {}

--- The server has said this.
---@param client_id integer
---@param status nearfield.Status
function M.told(client_id, status)
  said[client_id] = status
  vim.api.nvim_exec_autocmds('User', { pattern = 'NearfieldStatus', modeline = false })
  vim.cmd.redrawstatus()
end

--- The state of the server of a buffer; nil where there is none.
---@param bufnr? integer
---@return nearfield.Status?
function M.get(bufnr)
  local client = vim.lsp.get_clients({ bufnr = bufnr or 0, name = 'nearfield' })[1]
  return client
    and (said[client.id] or { state = 'starting', detail = '', provider = '', model = '' })
end

--- What became of the last completion; nil where there was none, or the server does not say.
---@param status nearfield.Status
---@return { reason: string, sentence: string, advice: string }?
function M.last(status)
  local last = status.last
  return type(last) == 'table' and last or nil
end

--- A few words for a statusline, "" where there is no server.
---@return string
function M.line()
  local status = M.get()
  if not status then
    return ''
  end
  local words = status.state
  if status.state == 'ready' then
    words = status.model ~= '' and status.model or status.provider
    local last = M.last(status)
    if last and last.reason ~= '' then
      words = ('%s (%s)'):format(words, (last.reason:gsub('_', ' ')))
    end
  end
  -- Statuslines read `%` as the beginning of an item.
  return (('Nearfield: ' .. words):gsub('%%', ''))
end

return M

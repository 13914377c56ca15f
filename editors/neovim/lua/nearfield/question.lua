-- A question to the server: asked after a pause, given up when another one takes its place.

---@class nearfield.Question
---@field private timer? uv.uv_timer_t
---@field private asked? { client: vim.lsp.Client, id: integer? }
local Question = {}
Question.__index = Question

--- Wait for nothing more: neither for the pause nor for an answer.
function Question:forget()
  if self.timer then
    self.timer:stop()
  end
  if self.asked and self.asked.id then
    self.asked.client:cancel_request(self.asked.id)
  end
  self.asked = nil
end

--- Do `act` after a pause, unless the question is forgotten before.
---@param ms integer
---@param act fun()
function Question:after(ms, act)
  self.timer = self.timer or assert(vim.uv.new_timer())
  self.timer:start(ms, 0, vim.schedule_wrap(act))
end

--- Ask, and hand on the answer, unless the question is forgotten before.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param bufnr integer
---@param answered fun(err?: lsp.ResponseError, result: any)
function Question:ask(client, method, params, bufnr, answered)
  self:forget()
  local asked = { client = client }
  self.asked = asked
  local _, id = client:request(method, params, function(err, result)
    if self.asked == asked then
      self.asked = nil
      answered(err, result)
    end
  end, bufnr)
  asked.id = id
end

local M = {}

---@return nearfield.Question
function M.new()
  return setmetatable({}, Question)
end

return M

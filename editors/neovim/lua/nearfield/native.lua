-- Neovim's own ghost text (0.12), with what it lacks: taking a word or a line, and a look at
-- whether the suggestion still fits, since it may be a pause in typing old.

local suggestion = require('nearfield.suggestion')

local M = {}

local PATIENCE_MS = 100

--- Let `act` have Neovim's suggestion, before the next key is worked off; false where there is
--- none, or `act` says false.
---@param act fun(item: vim.lsp.inline_completion.Item): boolean
---@return boolean
local function with_item(act)
  local done, result = false, false
  local found = vim.lsp.inline_completion.get({
    on_accept = function(item)
      result = act(item)
      done = true
    end,
  })
  -- It is only scheduled, and what is typed meanwhile would come in front of it.
  return found and vim.wait(PATIENCE_MS, function()
    return done
  end, 1) and result
end

--- Take the suggestion, or the beginning of it; false where there is none.
---@param part nearfield.Part
---@return boolean
function M.take(part)
  if vim.fn.pumvisible() == 1 then
    return false
  end
  return with_item(function(item)
    local row, col = unpack(vim.api.nvim_win_get_cursor(0))
    local range = item.range
    local start = range and range.start or { row = row - 1, col = col }
    if type(item.insert_text) ~= 'string' or (range and range.end_.col > col) then
      return false
    end
    return suggestion.take({
      bufnr = vim.api.nvim_get_current_buf(),
      row = start.row,
      col = start.col,
      text = item.insert_text,
      client_id = item.client_id,
      item = { insertText = item.insert_text, command = item.command },
    }, part)
  end)
end

--- Hide the suggestion. Answers whether there was one.
---@return boolean
function M.dismiss()
  return with_item(function()
    return true
  end)
end

---@param enable boolean
local function switch(enable)
  local group = vim.api.nvim_create_augroup('nearfield.native', {})
  for _, client in ipairs(vim.lsp.get_clients({ name = 'nearfield' })) do
    vim.lsp.inline_completion.enable(enable, { client_id = client.id })
  end
  if not enable then
    return
  end
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(args)
      local client = vim.lsp.get_client_by_id(args.data.client_id)
      if client and client.name == 'nearfield' then
        vim.lsp.inline_completion.enable(true, { client_id = client.id })
      end
    end,
  })
end

function M.enable()
  switch(true)
end

function M.disable()
  switch(false)
end

return M

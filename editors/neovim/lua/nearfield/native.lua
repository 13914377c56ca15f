-- Neovim's own ghost text (0.12), with what it lacks: taking a word or a line, and a look at
-- whether the suggestion still fits, since it may be a pause in typing old.

local suggestion = require('nearfield.suggestion')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local INVOKED = 1 -- InlineCompletionTriggerKind
local PATIENCE_MS = 2000

--- Let `act` have Neovim's suggestion, before the next key is worked off; false where there is
--- none, or `act` says false.
---@param act fun(item: vim.lsp.inline_completion.Item): boolean
---@return boolean
local function with_item(act)
  local done, result, is_over = false, false, false
  local found = vim.lsp.inline_completion.get({
    on_accept = function(item)
      -- Later than that the key has done something else.
      result = not is_over and act(item)
      done = true
    end,
  })
  -- It is only scheduled, and what is typed meanwhile would come in front of it.
  local is_there = found and vim.wait(PATIENCE_MS, function()
    return done
  end, 1)
  is_over = true
  return is_there and result
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

-- Where the server has been asked for others: buffer, changedtick, row and column.
---@type integer[]?
local cycled

---@return integer[]
local function here()
  return {
    vim.api.nvim_get_current_buf(),
    vim.b.changedtick,
    unpack(vim.api.nvim_win_get_cursor(0)),
  }
end

---@return boolean
local function shown()
  local namespace = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
  return namespace ~= nil and #vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, {}) > 0
end

--- Neovim asks only for what is suggested without a key, of which there is one. When the server has
--- looked for others it answers with all of them, however it is asked: so Neovim is made to.
---@param step integer
local function select_again(step)
  local bufnr = vim.api.nvim_get_current_buf()
  vim.api.nvim_create_autocmd('LspRequest', {
    group = vim.api.nvim_create_augroup('nearfield.native.cycle', {}),
    buffer = bufnr,
    callback = function(args)
      local request = args.data.request
      if request.method ~= METHOD or request.type ~= 'complete' then
        return
      end
      -- Neovim has its answer only after this was told.
      vim.schedule(function()
        if cycled and vim.deep_equal(cycled, here()) then
          vim.lsp.inline_completion.select({ count = step })
        end
      end)
      return true
    end,
  })
  vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = bufnr, modeline = false })
end

--- Show another suggestion instead; the server looks for others when it is asked by this. False
--- where there is none to be changed.
---@param step integer 1 for the next, -1 for the one before
---@return boolean
function M.cycle(step)
  if not shown() then
    return false
  end
  local place = here()
  if cycled and vim.deep_equal(cycled, place) then
    vim.lsp.inline_completion.select({ count = step })
    return true
  end
  local client = vim.lsp.get_clients({ bufnr = 0, name = 'nearfield' })[1]
  if client then
    local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
    ---@diagnostic disable-next-line: inject-field
    params.context = { triggerKind = INVOKED }
    client:request(METHOD, params, function(err)
      if not err and vim.deep_equal(place, here()) then
        cycled = place
        select_again(step)
      end
    end)
  end
  return true
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

-- Windows of our own: text that goes when it is closed.

local M = {}

--- A window with `lines` below the others, closed by `q`. Answers its buffer.
---@param lines string[]
---@param filetype string
---@param hint string what the keys do
---@return integer
function M.open(lines, filetype, hint)
  vim.cmd('botright new')
  local bufnr = vim.api.nvim_get_current_buf()
  vim.bo.buftype, vim.bo.bufhidden, vim.bo.swapfile = 'nofile', 'wipe', false
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines)
  vim.bo.filetype, vim.bo.modifiable = filetype, false
  vim.wo.winbar = hint:gsub('%%', '%%%%')
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = bufnr, desc = 'Nearfield: close' })
  return bufnr
end

return M

-- What `vim.lsp.enable('nearfield')` starts; change it with `vim.lsp.config('nearfield', { … })`.

---@type vim.lsp.Config
return {
  cmd = { 'nearfield', 'serve' },
  root_markers = { '.git' },
  handlers = {
    ['nearfield/status'] = function(_, status, ctx)
      require('nearfield.status').told(ctx.client_id, status)
    end,
    -- The same for clients of another server; known, so that it is not logged as unknown.
    didChangeStatus = function() end,
  },
}

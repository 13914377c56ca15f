-- `:Nearfield`. All else begins with `vim.lsp.enable('nearfield')` or `require('nearfield').setup()`.

if vim.g.loaded_nearfield then
  return
end
vim.g.loaded_nearfield = true

vim.api.nvim_create_user_command('Nearfield', function(call)
  require('nearfield.command').run(call.args)
end, {
  nargs = '?',
  complete = function(lead)
    return require('nearfield.command').complete(lead)
  end,
  desc = "Nearfield's status and commands",
})

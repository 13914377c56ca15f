-- `:Nearfield`. All else begins with `vim.lsp.enable('nearfield')` or with
-- `require('nearfield').setup()`.

if vim.g.loaded_nearfield then
  return
end
vim.g.loaded_nearfield = true

vim.api.nvim_create_user_command('Nearfield', function(call)
  local lines = call.range > 0 and { first = call.line1, last = call.line2 } or nil
  require('nearfield.command').run(call.args, lines)
end, {
  nargs = '*',
  range = true,
  complete = function(lead, line)
    -- What follows the name are the user's own words.
    local first = line:match('Nearfield%s+%S*$') ~= nil
    return first and require('nearfield.command').complete(lead) or {}
  end,
  desc = "Nearfield's status and commands",
})

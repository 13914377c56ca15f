-- `:Nearfield model`: pick the model of a role, of this machine's own engine or of a provider.

local program = require('nearfield.program')
local ask, say = program.ask, program.say

local M = {}

local LIST, USE = 'nearfield/models/list', 'nearfield/models/use'

---@class nearfield.RolePick
---@field role string
---@field does string
---@field provider string "" where nobody serves it
---@field model string
---@field local boolean

---@class nearfield.ModelPick
---@field name string what picks it
---@field title string
---@field about string
---@field current boolean
---@field recommended boolean
---@field missing boolean whether it has to be fetched first
---@field refused string why it cannot be picked here, "" where it can

---@class nearfield.PickGroup
---@field provider string
---@field title string
---@field local boolean
---@field problem string why it did not say which models it has, "" where it did
---@field models nearfield.ModelPick[]

---@class nearfield.Picks
---@field roles nearfield.RolePick[]
---@field role string
---@field groups nearfield.PickGroup[]

--- A row of the menu: a model, or the reason of a provider that has none to show.
---@param group nearfield.PickGroup
---@param model? nearfield.ModelPick
---@return string
local function row(group, model)
  local where = group['local'] and '' or ' (outside this machine)'
  if not model then
    return ('  %s%s: %s'):format(group.title, where, group.problem)
  end
  local marks = vim.tbl_filter(function(word)
    return word and word ~= ''
  end, {
    model.recommended and 'recommended here',
    model.refused ~= '' and 'not allowed here',
    model.about,
  })
  local mark = model.current and '* ' or '  '
  local words = #marks > 0 and ' - ' .. table.concat(marks, ' · ') or ''
  return ('%s%s%s: %s%s'):format(mark, group.title, where, model.title, words)
end

---@param client vim.lsp.Client
---@param role string
---@param model nearfield.ModelPick
local function use(client, role, model)
  if model.refused ~= '' then
    say(model.refused, vim.log.levels.WARN)
    return
  end
  ask(client, USE, { role = role, name = model.name }, function(now)
    local served = now.model ~= '' and now.model or 'the best model here'
    local more = now.missing
        and (' It is not on this machine yet: run `nearfield models pull %s`.'):format(now.model)
      or ''
    say(('%s is served by %s.%s %s'):format(role, served, more, now.note))
  end)
end

---@param client vim.lsp.Client
---@param role string
local function choose(client, role)
  ask(client, LIST, { role = role }, function(picks)
    local rows = {}
    for _, group in ipairs(picks.groups) do
      for _, model in ipairs(group.models) do
        -- What would have to be fetched fills many screens; `nearfield models list` has it.
        if not model.missing or model.recommended then
          table.insert(rows, { group = group, model = model })
        end
      end
      if group.problem ~= '' then
        table.insert(rows, { group = group })
      end
    end
    local options = {
      prompt = ('Nearfield: model for %s'):format(role),
      format_item = function(item)
        return row(item.group, item.model)
      end,
    }
    vim.ui.select(rows, options, function(chosen)
      if chosen and chosen.model then
        use(client, role, chosen.model)
      elseif chosen then
        say(chosen.group.problem, vim.log.levels.WARN)
      end
    end)
  end)
end

--- Pick a model for `role`, which is asked for when empty.
---@param client vim.lsp.Client
---@param role string
function M.run(client, role)
  if role ~= '' then
    choose(client, role)
    return
  end
  ask(client, LIST, vim.empty_dict(), function(picks)
    local options = {
      prompt = 'Nearfield: choose a model for',
      format_item = function(item)
        local now = item.model ~= '' and item.model or item.provider
        return ('%s: %s, now %s'):format(item.role, item.does, now ~= '' and now or 'nobody')
      end,
    }
    vim.ui.select(picks.roles, options, function(chosen)
      if chosen then
        choose(client, chosen.role)
      end
    end)
  end)
end

return M

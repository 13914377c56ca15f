-- An edit as it is drawn: what goes and what comes, in lines or of whole lines.

local M = {}

-- In one line, what is from `first` to before `last` (bytes) goes, and `text` comes.
---@class nearfield.LineChange
---@field row integer
---@field first integer
---@field last integer
---@field text string

-- `count` whole lines from `row` on go, and `lines` come in their place.
---@class nearfield.BlockChange
---@field row integer
---@field count integer
---@field lines string[]

---@param char string?
local function is_word(char)
  return char ~= nil and vim.fn.match(char, '\\k') == 0
end

--- Whether a word goes on across the boundary before character `at`.
---@param chars string[]
---@param at integer
local function splits_word(chars, at)
  return is_word(chars[at - 1]) and is_word(chars[at])
end

---@param chars string[]
---@param first integer
---@param last integer
local function joined(chars, first, last)
  return table.concat(vim.list_slice(chars, first, last))
end

--- The one change from `old` to `new`, of whole words.
---@param row integer
---@param old string
---@param new string
---@return nearfield.LineChange
local function in_line(row, old, new)
  local a, b = vim.fn.split(old, '\\zs'), vim.fn.split(new, '\\zs')
  local shorter, head, tail = math.min(#a, #b), 0, 0
  while head < shorter and a[head + 1] == b[head + 1] do
    head = head + 1
  end
  while tail < shorter - head and a[#a - tail] == b[#b - tail] do
    tail = tail + 1
  end
  while head > 0 and (splits_word(a, head + 1) or splits_word(b, head + 1)) do
    head = head - 1
  end
  while tail > 0 and (splits_word(a, #a - tail + 1) or splits_word(b, #b - tail + 1)) do
    tail = tail - 1
  end
  return {
    row = row,
    first = #joined(a, 1, head),
    last = #joined(a, 1, #a - tail),
    text = joined(b, head + 1, #b - tail),
  }
end

--- What `new` in the place of `old`, lines of which the first is `row`, changes: within lines where
--- there are as many, else a block of whole lines.
---@param row integer
---@param old string[]
---@param new string[]
---@return nearfield.LineChange[]?, nearfield.BlockChange?
function M.of(row, old, new)
  old, new = vim.list_slice(old), vim.list_slice(new)
  while #old > 0 and #new > 0 and old[1] == new[1] do
    table.remove(old, 1)
    table.remove(new, 1)
    row = row + 1
  end
  while #old > 0 and #new > 0 and old[#old] == new[#new] do
    table.remove(old)
    table.remove(new)
  end
  if #old ~= #new then
    return nil, { row = row, count = #old, lines = new }
  end
  local changes = {}
  for i, line in ipairs(old) do
    if line ~= new[i] then
      table.insert(changes, in_line(row + i - 1, line, new[i]))
    end
  end
  return changes
end

return M

-- Messages that one call brings into lines: each row is written once.

local together = {} -- {r, ids}: messages that stand in the row in which the first of them, r, does

-- Puts a message into its row, with all others that this call brings.
local function join_others(id, r)
  local row = row_key(r[F.lane] .. ':' .. r[F.route], row_of(r))
  local ids = together[row]
  if not ids or #ids == PASSED then
    ids = {}
    together[row] = ids
    together[#together + 1] = {r = r, ids = ids}
  end
  ids[#ids + 1] = id
  await_turn(id, r)
end

-- Writes the rows, and tells the workers.
local function stand_all()
  for _, row in ipairs(together) do
    stand_together(row.ids, row.r, false)
  end
  if next(lines) then
    rouse()
  end
end

-- Shelves: hashes of some tens of entries, which take a third of the memory of a key each. The more entries what they belong
-- to has had, the more shelves it has: each level has SPREAD times as many as the one before. A look-up asks one shelf of each
-- level, the newest first.

local level_of, digits_of

do
  local SPREAD, LEVELS = 16, 6
  local ON_FIRST_LEVEL = 1024 -- entries, on SPREAD shelves

  -- The level on which the next entry stands, where there were `size` before it.
  function level_of(size)
    local level, room = 0, ON_FIRST_LEVEL
    while size >= room and level < LEVELS - 1 do
      level, room = level + 1, room * SPREAD
    end
    return level
  end

  -- What tells a shelf from others: as many hexadecimal digits as its level has levels up to it. The three bytes are random.
  function digits_of(level, one, two, three)
    return string.format('%02x%02x%02x', one, two, three):sub(1, level + 1)
  end
end

-- Tells whose records stand on shelves of the archive. Stands alone, as recall.lua does.
-- KEYS: none (see keys.py).
-- ARGV[1..] names of shelves
-- Returns the ids of messages.

local BEGINNING = 6 -- bytes of ids that are in the name: see archive.lua
local found = {}
for _, name in ipairs(ARGV) do
  for _, rest in ipairs(redis.call('HKEYS', K.archive .. name)) do
    found[#found + 1] = name:sub(1, BEGINNING) .. rest
  end
end
return found

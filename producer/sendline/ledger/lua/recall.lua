-- Reads the records of messages, wherever they are kept. Stands alone: behind shelves and archive, without the prelude.
-- KEYS: none (see keys.py).
-- ARGV[1..] ids, up to 5000
-- Returns for each its record, or nothing.

local keys = {}
for place, id in ipairs(ARGV) do
  keys[place] = K.message .. id
end
local found = redis.call('MGET', unpack(keys))
for place, id in ipairs(ARGV) do
  found[place] = found[place] or archived_raw(id)
end
return found

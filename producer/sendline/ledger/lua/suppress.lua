-- Puts numbers on the suppression list, or takes them off.
-- KEYS: none (see keys.py).
-- ARGV[2] 'add' or 'remove'  [3] why ('' for 'remove')  [4..] numbers
-- Returns how many were not on the list before, or how many were. One that is there keeps its first entry.
-- An entry is a packed array: since (ms), why, account ('': a person said so); inbound.lua writes the same.

local changed = 0

if ARGV[2] == 'remove' then
  for place = 4, #ARGV do
    changed = changed + redis.call('HDEL', K.suppressed, ARGV[place])
  end
else
  local entry = cmsgpack.pack({NOW, ARGV[3], ''})
  for place = 4, #ARGV do
    changed = changed + redis.call('HSETNX', K.suppressed, ARGV[place], entry)
  end
end
return close(changed)

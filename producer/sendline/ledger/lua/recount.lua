-- Sets counts to what was found in the records, if nothing has moved since.
-- KEYS: none (see keys.py).
-- ARGV[2] number of the newest event while the records were read
--     [3] packed array: name of a count, its number, the next name, ...
--     [4] packed array: name of an account, its calls under way, the next name, ...
--     [5] packed array: name of a campaign, its counts as in [3] packed once more, the next name, ...
-- Returns 1, or 0 where something has moved: then nothing changed.

if BEHIND or SEQ ~= tonumber(ARGV[2]) then
  return close(0)
end
local counts, flying = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
for place = 1, #counts, 2 do
  redis.call('HSET', K.counts, counts[place], counts[place + 1])
end
for place = 1, #flying, 2 do
  redis.call('HSET', K.account .. flying[place], 'flying', flying[place + 1])
end
local campaigns = cmsgpack.unpack(ARGV[5])
for place = 1, #campaigns, 2 do
  redis.call('HSET', K.campaign .. campaigns[place], unpack(cmsgpack.unpack(campaigns[place + 1])))
end
return close(1)

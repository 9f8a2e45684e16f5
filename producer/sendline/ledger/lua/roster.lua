-- Tells of campaigns, the newest first: what who looks for messages must know of them.
-- KEYS: none (see keys.py).
-- ARGV[2] place of the first one  [3] how many at most
-- Returns for each {name, its own 16 bytes, its owner ('': none)}: fewer only where there are no more. Names of those that
-- are no longer kept are forgotten on the way.

local place, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply = {}
repeat
  local names = redis.call('ZREVRANGE', K.campaigns, place, place + most - #reply - 1)
  for _, name in ipairs(names) do
    local c = redis.call('HMGET', K.campaign .. name, 'own', 'owner')
    if c[1] then
      reply[#reply + 1] = {name, c[1], c[2] or ''}
      place = place + 1
    else
      redis.call('ZREM', K.campaigns, name)
    end
  end
until #names == 0 or #reply == most
return close(reply)

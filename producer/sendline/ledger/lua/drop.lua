-- Drops what an endpoint was not told: all of it, and forgets the endpoint.
-- KEYS: none (see keys.py).
-- ARGV[2] mark
-- Returns how many messages it was not told of; -1 where there is no such endpoint.

local mark = ARGV[2]
if redis.call('EXISTS', K.endpoint .. mark) == 0 then
  return close(-1)
end
local waiting = redis.call('HLEN', K.notices .. mark) + redis.call('LLEN', K.notices_lost .. mark)
for _, key in ipairs(OF_ENDPOINT) do
  redis.call('UNLINK', K[key] .. mark)
end
redis.call('UNLINK', K.notices_lost .. mark)
redis.call('ZREM', K.endpoints, mark)
return close(waiting)

-- Mends whether a line is announced to the workers: it is where ids stand in it, and only there.
-- KEYS: none (see keys.py).
-- ARGV[2] lane  [3] route
-- Returns 1 where it was not so, else 0.

go_on_when_full()

local lane, route = ARGV[2], ARGV[3]
local changed
if route == '' or redis.call('EXISTS', K.line .. lane .. ':' .. route) == 0 then
  changed = redis.call('ZREM', K.ready .. lane, route)
else
  changed = redis.call('ZADD', K.ready .. lane, 'NX', NOW_US, route)
  if changed == 1 then
    rouse()
  end
end
return close(changed)

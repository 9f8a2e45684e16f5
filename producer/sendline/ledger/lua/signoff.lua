-- A dispatcher's slice ends. If work may go soon, the wake goes back to the queue at once.
-- KEYS: none (see keys.py).
-- ARGV[2] dispatcher  [3] horizon us
-- Returns 1 where work is near, else 0.

go_on_when_full()

redis.call('ZREM', K.awake, ARGV[2])
local upcoming = next_instant(0)
if upcoming and upcoming <= NOW_US + tonumber(ARGV[3]) then
  push_wake()
  return close(1)
end
return close(0)

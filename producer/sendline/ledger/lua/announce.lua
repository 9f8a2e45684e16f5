-- Mends whether a row is announced to the workers.
-- Where ids stand in it, it takes its turns or is held, and its line is looked at. One in which nothing stands is left
-- to the next claim.
-- KEYS: none (see keys.py).
-- ARGV[2] lane  [3] route  [4] row
-- Returns 1 where it was not so, else 0.

local lane, route, row = ARGV[2], ARGV[3], ARGV[4]
local line, changed = lane .. ':' .. route, 0

if route == '' then
  changed = redis.call('ZREM', K.ready .. lane, route) -- no claim takes messages without a route
elseif redis.call('EXISTS', row_key(line, row)) == 1 then
  if not redis.call('ZSCORE', K.rows .. line, row) and not redis.call('ZSCORE', K.held .. line, row) then
    join(lane, route, row)
    changed = 1
  end
  changed = math.max(changed, redis.call('ZADD', K.ready .. lane, 'NX', NOW_US, route))
end
if changed == 1 and route ~= '' then
  rouse()
end
return close(changed)

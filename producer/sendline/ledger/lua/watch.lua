-- Looks whether work that may go is claimed: every worker asks once a second. Changes nothing.
-- KEYS: none (see keys.py).
-- ARGV[2] lines of each lane, and rows of them, at most whose messages are counted
-- Returns {now us, earliest instant us at which something may go (0: none), claims so far, lane and route of
-- that line, messages that may go now, 1 where dispatching is stopped on purpose else 0}.

local most = tonumber(ARGV[2])
local earliest, lane_of, route_of, may_go = 0, 0, '', 0

-- How many messages stand in rows of a line that take turns, or may again: at most in so many rows.
local function count_line(line, rows)
  local found = redis.call('ZRANGE', K.rows .. line, 0, rows - 1)
  for _, row in ipairs(redis.call('ZRANGEBYSCORE', K.held .. line, '-inf', NOW_US, 'LIMIT', 0, rows - #found)) do
    found[#found + 1] = row
  end
  for _, row in ipairs(found) do
    may_go = may_go + redis.call('LLEN', row_key(line, row))
  end
  return #found
end

for lane = 0, LANES - 1 do
  local left = most
  local first = redis.call('ZRANGE', K.ready .. lane, 0, 0, 'WITHSCORES')
  local at = tonumber(first[2])
  if at and (earliest == 0 or at < earliest) then
    earliest, lane_of, route_of = at, lane, first[1]
  end
  if at and at <= NOW_US then
    for _, route in ipairs(redis.call('ZRANGEBYSCORE', K.ready .. lane, '-inf', NOW_US, 'LIMIT', 0, most)) do
      left = left - (left > 0 and count_line(lane .. ':' .. route, left) or 0)
    end
  end
end

local claims = tonumber(redis.call('HGET', K.meta, 'claims') or 0)
return close({NOW_US, earliest, claims, lane_of, route_of, may_go, BEHIND and 1 or 0})

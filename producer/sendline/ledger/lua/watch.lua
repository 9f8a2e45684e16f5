-- Looks whether work that may go is claimed: every worker asks once a second. Changes nothing.
-- KEYS: none (see keys.py).
-- ARGV[2] lines of each lane at most whose messages are counted
-- Returns {now us, earliest instant us at which something may go (0: none), claims so far, lane and route of
-- that line, messages that may go now, 1 where dispatching is stopped on purpose else 0}.

local most = tonumber(ARGV[2])
local earliest, lane_of, route_of, may_go = 0, 0, '', 0

for lane = 0, LANES - 1 do
  local first = redis.call('ZRANGE', K.ready .. lane, 0, 0, 'WITHSCORES')
  local at = tonumber(first[2])
  if at and (earliest == 0 or at < earliest) then
    earliest, lane_of, route_of = at, lane, first[1]
  end
  if at and at <= NOW_US then
    for _, route in ipairs(redis.call('ZRANGEBYSCORE', K.ready .. lane, '-inf', NOW_US, 'LIMIT', 0, most)) do
      may_go = may_go + redis.call('LLEN', K.line .. lane .. ':' .. route)
    end
  end
end

local claims = tonumber(redis.call('HGET', K.meta, 'claims') or 0)
return close({NOW_US, earliest, claims, lane_of, route_of, may_go, BEHIND and 1 or 0})

-- Takes uncertain messages that their providers shall be asked about now: one an account and call, within its rate.
-- KEYS: none (see keys.py).
-- ARGV[2..] names of the accounts that the caller can ask
-- Returns for each {id, record}. Each is asked about again after as long as it has been uncertain, between half a
-- minute and an hour.

go_on_when_full()

local LOOKED_AT = 100
local NEXT_CALL = 1000 -- ms
local LONGEST = 3600000 -- ms

local free, served, reply = {}, {}, {}
for place = 2, #ARGV do
  free[ARGV[place]] = true
end

-- Takes a token of the account's rate, where it may call now.
local function may_ask(name)
  local key = K.account .. name
  local h = redis.call('HMGET', key, 'interval', 'tat', 'paused_until', 'stopped')
  local interval, tat = tonumber(h[1]), tonumber(h[2] or 0)
  if not interval or h[4] or tonumber(h[3] or 0) > NOW then
    return false
  end
  redis.call('HSET', key, 'tat', string.format('%.0f', math.max(tat, NOW_US) + interval))
  return true
end

local function ask(id)
  local r = load(id)
  if not r or r[F.status] ~= S.UNCERTAIN then
    return redis.call('ZREM', K.uncertain, id)
  end
  local name = r[F.account]
  if served[name] then
    return redis.call('ZADD', K.uncertain, NOW + NEXT_CALL, id) -- behind those of other accounts
  end
  if not free[name] or not may_ask(name) then
    return redis.call('ZADD', K.uncertain, NOW + FIRST_ASKED, id) -- perhaps by another worker, or later
  end
  free[name], served[name] = nil, true
  local held_for = NOW - (r[F.created] + r[F.due] - DEADLINE)
  redis.call('ZADD', K.uncertain, NOW + math.min(math.max(held_for, FIRST_ASKED), LONGEST), id)
  reply[#reply + 1] = {id, cmsgpack.pack(r)}
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', K.uncertain, '-inf', NOW, 'LIMIT', 0, LOOKED_AT)) do
  if not next(free) then
    break
  end
  ask(id)
end
return close(reply)

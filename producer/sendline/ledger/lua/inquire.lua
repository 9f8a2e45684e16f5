-- Takes uncertain messages that their providers shall be asked about now: one an account and call, within its rate.
-- KEYS: none (see keys.py).
-- ARGV[2..] names of the accounts that the caller can ask
-- Returns for each {id, record}. Each is asked about again after as long as it has been uncertain, between half a
-- minute and an hour.

go_on_when_full()

local LOOKED_AT = 100
local NEXT_CALL = 1000 -- ms
local LONGEST = 3600000 -- ms
local SHARE = 10 -- of an account's rate at most one token in so many: sending goes on
local LEFT_FOR = 60000 -- ms for which what this caller can't ask is left to one who can

local free, served, reply = {}, {}, {}
for place = 2, #ARGV do
  free[ARGV[place]] = true
end

-- Takes a token of the account's rate, a coming one where none is left. Returns 0, or after how many ms to look again.
local function take_token(name)
  local a, key = account_of(name), K.account .. name
  if not a or a.stopped or a.halted or a.paused_until > NOW then
    return FIRST_ASKED
  end
  local asked = tonumber(redis.call('HGET', key, 'asked') or 0)
  if asked <= NOW_US and NOW_US < asked + SHARE * a.interval then
    return NEXT_CALL
  end
  a.tat, a.spent = math.max(a.tat, NOW_US) + a.interval, true
  redis.call('HSET', key, 'asked', decimal(NOW_US))
  return 0
end

local function ask(id, due)
  local r = load(id)
  if not r or r[F.status] ~= S.UNCERTAIN then
    return redis.call('ZREM', K.uncertain, id)
  end
  local name = r[F.account]
  if free[name] then
    free[name], served[name] = nil, take_token(name)
    if served[name] == 0 then
      local held_for = NOW - (r[F.created] + r[F.due] - DEADLINE)
      redis.call('ZADD', K.uncertain, NOW + math.min(math.max(held_for, FIRST_ASKED), LONGEST), id)
      reply[#reply + 1] = {id, cmsgpack.pack(r)}
      return
    end
  end
  if served[name] then
    redis.call('ZADD', K.uncertain, NOW + math.max(served[name], NEXT_CALL), id) -- behind those of other accounts
  elseif NOW - due >= LEFT_FOR then
    redis.call('ZADD', K.uncertain, NOW + FIRST_ASKED, id)
  end
end

local found = redis.call('ZRANGEBYSCORE', K.uncertain, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, LOOKED_AT)
for place = 1, #found, 2 do
  if not next(free) then
    break
  end
  ask(found[place], tonumber(found[place + 1]))
end
write_limits()
return close(reply)

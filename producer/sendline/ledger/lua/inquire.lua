-- Takes messages that their providers shall be asked about now: one an account and call, within its rate.
-- First what is uncertain, then what is sent and whose receipt is late.
-- KEYS: none (see keys.py).
-- ARGV[2..] names of the accounts that the caller can ask
-- Returns for each {id, record}. Each is asked about again after as long as it has been uncertain, or sent, between
-- half a minute and an hour; what is sent, until its deadline.

local LOOKED_AT = 100
local LONGEST = 3600000 -- ms
local SHARE = 10 -- of an account's rate at most one token in so many: sending goes on
local LEFT_FOR = 60000 -- ms for which what this caller can't ask is left to one who can

local free, waits, reply = {}, {}, {}
for place = 2, #ARGV do
  free[ARGV[place]] = true
end

-- Takes a token of the account's rate, a coming one where none is left. Returns whether it did, and after how many ms
-- it may be asked again.
local function take_token(name)
  local a, key = account_of(name), K.account .. name
  if not a or a.stopped or a.halted or a.paused_until > NOW then
    return false, FIRST_ASKED
  end
  local asked = tonumber(redis.call('HGET', key, 'asked') or 0)
  local may_ask = asked > NOW_US or NOW_US >= asked + SHARE * a.interval
  if may_ask then
    a.tat, a.spent = math.max(a.tat, NOW_US) + a.interval, true
    redis.call('HSET', key, 'asked', decimal(NOW_US))
    asked = NOW_US
  end
  local wait = math.ceil((asked + SHARE * a.interval - NOW_US) / 1000)
  return may_ask, math.min(math.max(wait, 1), FIRST_ASKED)
end

-- The instant (ms) at which what is sent is final, whatever became of it. (What is uncertain the tick takes away.)
local function ends_at(r)
  return r[F.status] == S.SENT and r[F.created] + r[F.due] or math.huge
end

-- Puts down when to ask again.
local function ask_again(set, id, r)
  local asked_for = NOW - (r[F.created] + r[F.due] - DEADLINE)
  local next_at = NOW + math.min(math.max(asked_for, FIRST_ASKED), LONGEST)
  if next_at < ends_at(r) then
    redis.call('ZADD', set, next_at, id)
  else
    redis.call('ZREM', set, id)
  end
end

local function ask(set, status, id, due)
  local r = load(id)
  if not r or r[F.status] ~= status or ends_at(r) <= NOW then
    return redis.call('ZREM', set, id)
  end
  local name = r[F.account]
  if free[name] then
    local may_ask, wait = take_token(name)
    free[name], waits[name] = nil, wait
    if may_ask then
      ask_again(set, id, r)
      reply[#reply + 1] = {id, cmsgpack.pack(r)}
      return
    end
  end
  if waits[name] then
    redis.call('ZADD', set, NOW + waits[name], id) -- behind those of other accounts
  elseif NOW - due >= LEFT_FOR then
    redis.call('ZADD', set, NOW + FIRST_ASKED, id)
  end
end

local function ask_about(set, status)
  local found = redis.call('ZRANGEBYSCORE', set, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, LOOKED_AT)
  for place = 1, #found, 2 do
    if not next(free) then
      break
    end
    ask(set, status, found[place], tonumber(found[place + 1]))
  end
end

ask_about(K.uncertain, S.UNCERTAIN)
ask_about(K.unreported, S.SENT)
write_limits()
return close(reply)

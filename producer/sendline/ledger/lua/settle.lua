-- Settles attempts: writes what each came to, and what that says about its account.
-- KEYS: none (see keys.py).
-- ARGV[2..]: for each attempt a packed array:
--   id, token, target status, attempt counted (0 or 1), delay ms (-1: back to the head of its line),
--   deadline ms, provider id (''), digest of account and provider id (''), code, reason,
--   account effect ('', 'open', 'pause', 'stop'), ms of pause
-- Returns for each 'settled'; 'again' (settled before by this token); 'learned' (only the provider's id was
-- new: a receipt came first, or the claim was judged dead); 'dead' (the claim is no longer this one: nothing
-- changed); 'unknown'.

go_on_when_full()

-- What an attempt says of its account. Only one that was claimed after the account stopped shows that it works
-- again: others were under way already.
local function affect(name, token, effect, pause, reason)
  local key = K.account .. name
  if effect == 'open' then
    local stopped_after = tonumber(redis.call('HGET', key, 'stopped_after'))
    if stopped_after and token > stopped_after then
      redis.call('HDEL', key, 'stopped', 'stopped_after', 'paused_until')
      release(name)
    end
  elseif effect ~= '' then
    local until_ms = math.max(tonumber(redis.call('HGET', key, 'paused_until') or 0), NOW + pause)
    redis.call('HSET', key, 'paused_until', until_ms, 'cause', reason)
    if effect == 'stop' then
      redis.call('HSET', key, 'stopped', reason, 'stopped_after', redis.call('HGET', K.meta, 'claims') or 0)
    end
  end
end

-- A probe of a stopped account that was handed back unsent shows nothing: the next one may go at once.
local function forget_probe(name)
  local key = K.account .. name
  if redis.call('HEXISTS', key, 'stopped') == 1 then
    redis.call('HDEL', key, 'paused_until')
    release(name)
  end
end

local function give_back(id, r, s)
  local delay = s[5]
  if s[4] == 0 then
    r[F.attempts] = r[F.attempts] - 1
  end
  if has(r, FLAG.CANCEL) then
    move(id, r, S.CANCELED, s[9], 'canceled before the provider accepted it')
    return finish(id, r)
  end
  local target = s[3]
  if target == S.CREATED and has(r, FLAG.RETRIED) then
    target = S.RETRYING -- it goes back to where it came from
  end
  move(id, r, target, s[9], s[10])
  if delay < 0 then
    enqueue(id, r, true)
    if s[3] == S.CREATED then
      forget_probe(r[F.account])
    end
  else
    postpone(id, r, delay)
  end
  save(id, r)
end

-- What comes too late still tells the provider's id, by which receipts find the message.
local function learn(id, r, s)
  if s[7] == '' or r[F.provider_id] ~= '' then
    return false
  end
  index(id, r, s[7], s[8])
  redis.call('SET', K.message .. id, cmsgpack.pack(r), 'KEEPTTL')
  unpark(id, r, s[8])
  return true
end

local function settle(s)
  local id, token, target = s[1], s[2], s[3]
  local r = load(id)
  if not r then
    return 'unknown'
  end
  if r[F.claim] ~= token then
    redis.call('HINCRBY', K.meta, 'dead', 1)
    local judged = r[F.claim] == 0 and r[F.attempts] > 0
    return judged and learn(id, r, s) and 'learned' or 'dead'
  end
  if r[F.status] ~= S.SENDING then
    return learn(id, r, s) and 'learned' or 'again'
  end
  affect(r[F.account], token, s[11], s[12], s[10])
  if target == S.CREATED or target == S.RETRYING then
    give_back(id, r, s)
  elseif target == S.UNCERTAIN then
    doubt(id, r, s[9], s[10], math.max(s[5], 0))
  else
    move(id, r, target, s[9], s[10])
    if target == S.SENT then
      index(id, r, s[7], s[8])
      entrust(id, r, s[6])
      if s[7] ~= '' then
        unpark(id, r, s[8])
      end
    else
      finish(id, r)
    end
  end
  return 'settled'
end

local reply = {}
for place = 2, #ARGV do
  reply[place - 1] = settle(cmsgpack.unpack(ARGV[place]))
end
return close(reply)

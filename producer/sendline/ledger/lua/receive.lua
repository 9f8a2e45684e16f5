-- Takes receipts in: what providers tell of messages they accepted.
-- KEYS: none (see keys.py).
-- ARGV[2]: a packed array with, for each receipt, an array:
--   account, id from our token ('' if none), provider id (''), digest of account and provider id (''),
--   target status (-1: news that moves nothing), code, reason, 1 if the message was guessed: found by a search
-- Returns for each 'applied'; 'unchanged' (known already, or not a move that the table allows);
-- 'parked' (its provider id is not known yet); 'foreign' (the message is another account's, or was guessed and the
-- provider's id is another message's); 'unknown'.

-- Keeps a receipt until the provider id it names is known; the oldest gives way where there are too many.
local function park(digest, status, code, reason)
  if digest == '' or status < 0 then
    return 'unknown'
  end
  local parked = decode(redis.call('HGET', K.parked, digest))
  if parked and (status == S.SENT or parked[1] == S.DELIVERED) then
    return 'parked' -- nothing overrides a delivery, and `sent` says less than whatever is here
  end
  redis.call('HSET', K.parked, digest, cmsgpack.pack({status, code, reason}))
  redis.call('ZADD', K.parked_at, NOW + PARKED_FOR, digest)
  if redis.call('ZCARD', K.parked_at) > PARKED_MOST then
    redis.call('HDEL', K.parked, redis.call('ZPOPMIN', K.parked_at)[1])
  end
  return 'parked'
end

-- Whether the account carries the message. After a failover that forgot claims any of its route may have.
local function belongs(r, account)
  if r[F.account] == account then
    return true
  end
  if r[F.error] == 'failover' and (',' .. r[F.route] .. ','):find(',' .. account .. ',', 1, true) then
    r[F.account] = account
    return true
  end
  return false
end

local function receive(m)
  local account, id, provider_id, digest, status, code, reason, guessed = unpack(m)
  if id == '' then
    id = find_noted(digest)
    if not id then
      return park(digest, status, code, reason)
    end
  end
  local r = load(id)
  if not r then
    return 'unknown'
  end
  if not belongs(r, account) or (guessed == 1 and is_anothers(id, digest)) then
    return 'foreign'
  end
  local learns = r[F.attempts] > 0 and provider_id ~= '' and r[F.provider_id] == ''
  if learns then
    index(id, r, provider_id, digest)
    amend(id, r)
  end
  local applied = status >= 0 and prove(id, r, status, code, reason)
  if learns then
    unpark(id, r, digest)
  end
  return applied and 'applied' or 'unchanged'
end

local reply = {}
for place, m in ipairs(cmsgpack.unpack(ARGV[2])) do
  reply[place] = receive(m)
end
return close(reply)

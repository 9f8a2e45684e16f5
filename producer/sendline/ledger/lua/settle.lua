-- Settles attempts: writes what each came to, and what that says about its account.
-- KEYS: none (see keys.py).
-- ARGV[2] dispatcher  [3] number of this call, rising: the same number is the same call again
--     [4..] for each attempt a packed array:
--   id, token, target status, attempt counted (0 or 1), delay ms (-1: back to the head of its line),
--   deadline ms, provider id (''), digest of account and provider id (''), code, reason,
--   account effect ('', 'open', 'pause', 'stop', 'fail'), ms of pause, account,
--   1 where the route's next account is tried next
-- Returns for each 'settled'; 'again' (settled before by this token); 'learned' (only the provider's id was
-- new: a receipt came first, or the claim was judged dead); 'dead' (the claim is no longer this one: only its
-- timeline tells of it); 'unknown'; 'late' (a later call of this dispatcher came first: nothing changed).

local number = tonumber(ARGV[3])
local last = tonumber(redis.call('GET', K.settler .. ARGV[2]) or 0)
local reply = {}
if number < last then
  for place = 4, #ARGV do
    reply[place - 3] = 'late'
  end
  return close(reply)
end
local repeated = number == last
redis.call('SET', K.settler .. ARGV[2], ARGV[3], 'PX', CALLS_KEPT)

local is_anything_parked = redis.call('EXISTS', K.parked) == 1

-- What comes too late still tells the provider's id, by which receipts find the message.
local function learn(id, r, s)
  if s[7] == '' or r[F.provider_id] ~= '' or is_anothers(id, s[8]) then
    return false
  end
  index(id, r, s[7], s[8])
  amend(id, r)
  if is_anything_parked then
    unpark(id, r, s[8])
  end
  return true
end

-- Whether this ledger never gave the token out: it was claimed in what a failover forgot.
local function is_forgotten(token)
  local m = redis.call('HMGET', K.meta, 'claims', 'lost_above', 'lost_upto')
  if m[2] and token > tonumber(m[2]) and token <= tonumber(m[3]) then
    return true
  end
  return BEHIND and token > tonumber(m[1] or 0)
end

-- Brings a forgotten claim back, so that its outcome counts. The newest one wins.
local function remember(id, r, s)
  local token = s[2]
  if token <= r[F.claim] or not is_forgotten(token) then
    return false
  end
  if is_waiting(r) then
    if has(r, FLAG.QUEUED) then
      step_out(id, r)
      set(r, FLAG.QUEUED, false)
    end
    r[F.due] = 0
    r[F.account] = s[13]
    r[F.attempts] = r[F.attempts] + 1
    move(id, r, S.SENDING, '', 'by account ' .. s[13] .. ': the ledger had forgotten that')
  elseif r[F.status] == S.UNCERTAIN and r[F.error] == 'failover' then
    r[F.account] = s[13]
  else
    return false
  end
  r[F.claim] = token
  return true
end

-- The claim has ended, and perhaps another one has begun.
local function come_too_late(id, r, s)
  local judged = r[F.claim] == 0 and r[F.attempts] > 0
  local learned = judged and learn(id, r, s)
  if not repeated then
    redis.call('HINCRBY', K.meta, 'dead', 1)
    local said = s[10] ~= '' and ': ' .. s[10] or ''
    write_down(r, 'late', 'an outcome after its claim had ended changes nothing: ' .. STATUS[s[3]] .. said)
    amend(id, r)
  end
  return learned and 'learned' or 'dead'
end

local function settle(s)
  local id, token, target = s[1], s[2], s[3]
  local r = load(id)
  if not r then
    return 'unknown'
  end
  if r[F.claim] ~= token and not remember(id, r, s) then
    return come_too_late(id, r, s)
  end
  -- uncertain by a recovery, while its call went on: the outcome of that very claim decides, until it is final
  local held = r[F.status] == S.UNCERTAIN and target ~= S.UNCERTAIN and r[F.created] + r[F.due] > NOW
  if r[F.status] ~= S.SENDING and not held then
    return learn(id, r, s) and 'learned' or 'again'
  end
  affect(id, r[F.account], token, s[11], s[12], s[10])
  if target == S.CREATED or target == S.RETRYING then
    give_back(id, r, target, s[4] == 1, s[5], s[9], s[10], s[14] == 1)
  elseif target == S.UNCERTAIN then
    doubt(id, r, s[9], s[10], math.max(s[5], 0))
  elseif target == S.FAILED then
    give_up(id, r, target, s[9], s[10])
  else
    if held then
      r[F.attempts] = math.max(r[F.attempts], 1) -- given back uncounted before: it was an attempt all the same
    end
    move(id, r, target, s[9], s[10], held)
    index(id, r, s[7], s[8])
    entrust(id, r, s[6])
    if s[7] ~= '' and is_anything_parked then
      unpark(id, r, s[8])
    end
  end
  return 'settled'
end

local settlements, ids = {}, {}
for place = 4, #ARGV do
  local s = argument(place)
  settlements[place - 3], ids[place - 3] = s, s[1]
end
load_ahead(ids)
for place, s in ipairs(settlements) do
  reply[place] = settle(s)
end
if next(lines) then
  rouse()
end
return close(reply)

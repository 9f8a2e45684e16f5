-- Where a message stands: in its line, at its timer, held, or final.

local LONGEST_CLAIM = 120000 -- ms: above any lease
local FIRST_ASKED = 30000 -- ms after which a provider is first asked what became of an uncertain message

-- What a waiting message is that stands in its line: its timer is then the end of its validity.
local function await_turn(id, r)
  set(r, FLAG.QUEUED, true)
  r[F.due] = 0
  local ends = expires_at(r)
  timers[id] = ends < math.huge and ends -- a campaign's end is looked at for all its messages together
end

-- Puts a waiting message into its line.
local function enqueue(id, r, at_head)
  stand(id, r, at_head)
  await_turn(id, r)
end

-- Keeps a waiting message out of its line until `delay` ms from now; the tick puts it back.
local function postpone(id, r, delay)
  set(r, FLAG.QUEUED, false)
  r[F.due] = NOW + delay - r[F.created]
  timers[id] = math.min(NOW + delay, expires_at(r))
end

-- A final message: no text, no timer, kept for the retention, or (`is_again`) for as long as it was to be kept before.
local finish
do
  local is_anything_late -- looked up once a call

  function finish(id, r, is_again)
    r[F.text] = ''
    r[F.due] = 0
    r[F.expires] = 0
    set(r, FLAG.QUEUED, false)
    if has(r, FLAG.TEMPLATED) and not BAD[r[F.status]] then
      r[F.extras] = '' -- what was not delivered may be sent in another round
    end
    timers[id] = false
    if is_anything_late == nil then
      is_anything_late = redis.call('EXISTS', K.unreported) == 1
    end
    if is_anything_late then
      redis.call('ZREM', K.unreported, id)
    end
    if is_again then
      return amend(id, r) -- it is kept no longer than what it is found by
    end
    save(id, r, RETENTION)
  end
end

local await_news
do
  local known = {}

  -- A campaign has a message that is not final before `till` (ms), unless news of it comes.
  function await_news(campaign, till)
    known[campaign] = known[campaign] or tonumber(redis.call('HGET', K.campaign .. campaign, 'open_until') or 0)
    if till > known[campaign] then
      known[campaign] = till
      if redis.call('EXISTS', K.campaign .. campaign) == 0 then
        return
      end
      redis.call('HSET', K.campaign .. campaign, 'open_until', till)
      for _, kept in ipairs({K.campaign, K.members}) do -- one that has ended is kept for longer than its messages, too
        redis.call('PEXPIRE', kept .. campaign, decimal(till - NOW + RETENTION), 'GT')
      end
    end
  end
end

-- A message that is uncertain, until proof, a person or its deadline; its provider is asked where that can be.
local function hold(id, r)
  set(r, FLAG.QUEUED, false)
  r[F.due] = NOW + DEADLINE - r[F.created]
  timers[id] = NOW + DEADLINE
  if has(r, FLAG.TEMPLATED) then
    await_news(r[F.campaign], NOW + DEADLINE)
  end
  local asks = r[F.to] ~= '' and redis.call('HGET', K.account .. r[F.account], 'asks') == '1' -- '': it was erased
  redis.call('ZADD', K.uncertain, asks and NOW + FIRST_ASKED or '+inf', id)
end

-- Ends a message that is not sent, or not again. Where it was uncertain before, an earlier attempt may have been
-- accepted all the same: then it is uncertain once more, and not sent any more.
local function give_up(id, r, status, code, reason)
  local in_doubt = has(r, FLAG.DOUBTED)
  if r[F.status] == S.UNCERTAIN and (in_doubt or not MOVES[S.UNCERTAIN][status]) then
    return amend(id, r) -- it is held already
  end
  if in_doubt then
    if has(r, FLAG.QUEUED) then
      step_out(id, r) -- it may enter a line again
    end
    move(id, r, S.UNCERTAIN, code, reason .. '; but an earlier attempt may have been accepted')
    hold(id, r)
    return save(id, r)
  end
  move(id, r, status, code, reason)
  finish(id, r)
end

-- A probe of a stopped account that was handed back unsent shows nothing: the next one may go at once.
local function forget_probe(name)
  local key = K.account .. name
  if redis.call('HEXISTS', key, 'stopped') == 1 then
    redis.call('HDEL', key, 'paused_until', 'probing')
    release(name)
  end
end

-- What was not sent leaves the day's caps as if it had not been claimed, unless another day may have begun.
local function refund(r)
  local key = K.account .. r[F.account]
  local h = redis.call('HMGET', key, 'cap', 's_cap', 'used', 'day', 'unit', 'sender')
  local units = h[5] == 'segments' and math.max(r[F.segments], 1) or 1
  local same_day = h[4] and tonumber(h[4]) <= NOW - LONGEST_CLAIM
  if (h[1] or '0') ~= '0' and same_day and tonumber(h[3]) >= units then
    redis.call('HINCRBY', key, 'used', -units)
  end
  if (h[2] or '0') ~= '0' then
    local number = K.number .. r[F.account] .. ':' .. mark_of(r[F.sender] == '' and h[6] or r[F.sender])
    local n = redis.call('HMGET', number, 'used', 'day')
    if n[2] and tonumber(n[2]) <= NOW - LONGEST_CLAIM and tonumber(n[1]) >= units then
      redis.call('HINCRBY', number, 'used', -units)
    end
  end
end

-- The account that did not accept a message is the last of its route from now on: the one behind it is next.
local function pass_on(r)
  local names, place = {}, 0
  for name in r[F.route]:gmatch('[^,]+') do
    names[#names + 1] = name
    place = name == r[F.account] and #names or place
  end
  local order = {}
  for step = 1, #names do
    order[step] = names[(place + step - 1) % #names + 1]
  end
  r[F.route] = table.concat(order, ',')
end

-- A message that was certainly not accepted waits again: in `delay` ms, or (-1) at the head of its line.
-- `target` is `created` where its call was not begun: then it goes back to where it came from.
local function give_back(id, r, target, counted, delay, code, reason, onward)
  if not counted then
    r[F.attempts] = r[F.attempts] - 1
    refund(r)
  end
  if has(r, FLAG.CANCEL) then
    if r[F.status] == S.UNCERTAIN and not has(r, FLAG.DOUBTED) then
      move(id, r, S.RETRYING, code, reason) -- it was certainly not accepted, so nothing is in doubt any more
    end
    return give_up(id, r, S.CANCELED, code, 'canceled before the provider accepted it')
  end
  local unsent = target == S.CREATED or code == 'handed_back'
  if has(r, FLAG.RETRIED) or r[F.status] == S.UNCERTAIN then
    target = S.RETRYING
  end
  if onward then
    pass_on(r)
    reason = reason .. '; account ' .. r[F.route]:match('[^,]+') .. ' is tried next'
  end
  move(id, r, target, code, reason)
  if unsent then
    forget_probe(r[F.account])
  end
  if delay < 0 then
    enqueue(id, r, true)
  elseif onward and delay == 0 then
    enqueue(id, r, false)
  else
    postpone(id, r, delay)
  end
  save(id, r)
end

-- A message that the provider has: its text is not needed any more; it is final `deadline` ms from now. Where its
-- account can be asked, its timer is the instant at which its receipt is late.
local entrust
do
  local waits = {} -- of accounts: ms (0: not asked)

  function entrust(id, r, deadline)
    local name = r[F.account]
    local wait = waits[name]
    if not wait then
      wait = tonumber(redis.call('HGET', K.account .. name, 'receipt_ms') or 0)
      waits[name] = wait
    end
    r[F.text] = ''
    r[F.due] = math.max(NOW + deadline - r[F.created], 1)
    r[F.expires] = 0
    set(r, FLAG.QUEUED, false)
    timers[id] = wait > 0 and wait < deadline and NOW + wait
    if has(r, FLAG.TEMPLATED) and deadline > 0 then
      await_news(r[F.campaign], NOW + deadline)
    elseif has(r, FLAG.TEMPLATED) then
      set(r, FLAG.UNREPORTED, true)
      r[F.extras] = '' -- it is final, and not sent again
      tally(r[F.campaign], 'unreported', 1)
    end
    save(id, r, deadline + RETENTION)
  end
end

local function resends(r)
  if has(r, FLAG.RESEND) then
    return true
  end
  if has(r, FLAG.HOLD) then
    return false
  end
  local policy = redis.call('HGET', K.account .. r[F.account], 'on_uncertain')
  if policy and policy ~= '' then
    return policy == 'resend'
  end
  return r[F.lane] == 0
end

-- Sends again what may have been sent, `delay` ms from now and by the same account: to another one goes only
-- what was certainly not accepted.
local function resend(id, r, code, reason, delay)
  move(id, r, S.RETRYING, code, reason)
  set(r, FLAG.DOUBTED, true)
  r[F.route] = r[F.account]
  postpone(id, r, delay)
end

-- A message whose fate is not known is held, or sent again, as its policy says.
local function doubt(id, r, code, reason, delay)
  move(id, r, S.UNCERTAIN, code, reason)
  if has(r, FLAG.CANCEL) or not resends(r) or r[F.attempts] >= MAX_ATTEMPTS then
    hold(id, r)
  else
    resend(id, r, code, 'sent again, as its policy says', delay)
  end
  save(id, r)
end

-- Whether the provider's id is known as that of another message.
local function is_anothers(id, digest)
  local holder = digest ~= '' and find_noted(digest)
  return holder and holder ~= id
end

-- Remembers which message a provider's id belongs to.
local function index(id, r, provider_id, digest)
  if provider_id ~= '' and r[F.provider_id] == '' then
    r[F.provider_id] = provider_id
    note(digest, id)
  end
end

-- What a receipt proves about a message. Returns whether it changed anything.
local function prove(id, r, to, code, reason)
  local was_final = FINAL[r[F.status]]
  if not move(id, r, to, code, reason, true) then
    return false
  end
  if to == S.SENT then
    entrust(id, r, DEADLINE)
  else
    finish(id, r, was_final)
  end
  return true
end

-- Receipts can overtake the answer to the send: what was parked for this provider id is applied now.
local function unpark(id, r, digest)
  local parked = redis.call('HGET', K.parked, digest)
  if parked then
    redis.call('HDEL', K.parked, digest)
    redis.call('ZREM', K.parked_at, digest)
    local receipt = decode(parked)
    if receipt then
      prove(id, r, receipt[1], receipt[2], receipt[3])
    end
  end
end

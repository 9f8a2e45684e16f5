-- Stands before every verb: the clock, the record, its moves, and the counts and events of one call.
-- Every verb's ARGV[1] is a packed array of the bounds in force (see Limits in limits.py):
--   retention ms, deadline ms, events kept, attempts at most, idempotency ms
-- A verb ends with `return close(reply)`, which writes counts and events.

local t = clock()
local NOW_US = tonumber(t[1]) * 1000000 + tonumber(t[2])
local NOW = math.floor(NOW_US / 1000)

local bounds = cmsgpack.unpack(ARGV[1])
local RETENTION, DEADLINE, EVENTS_KEPT, MAX_ATTEMPTS, IDEMPOTENCY = unpack(bounds)

local TIMELINE_FULL, TIMELINE_KEPT = 4096, 3072 -- bytes
local PARKED_MOST, PARKED_FOR = 10000, 3600000 -- receipts, ms
local WAKE_EVERY, WAKES_MOST = 1000, 100 -- ms, wakes in their queue
local AWAKE_MOST = 60000 -- ms; a longer promise was made before the clock stepped back

local deltas, flights, events, lines = {}, {}, {}, {}

-- A record that can't be read is passed over, so that it harms no other; `sendline audit` names it.
local function load(id)
  local raw = redis.call('GET', K.message .. id)
  if not raw then
    return false
  end
  local readable, r = pcall(cmsgpack.unpack, raw)
  return readable and type(r) == 'table' and r
end

-- Redis out of memory refuses a script whose first write needs some; after any other write it lets it go on.
-- Every verb that helps the ledger drain begins with this one.
local function go_on_when_full()
  redis.call('DEL', K.nothing)
end

local function save(id, r, ttl)
  if ttl then
    redis.call('SET', K.message .. id, cmsgpack.pack(r), 'PX', ttl)
  else
    redis.call('SET', K.message .. id, cmsgpack.pack(r))
  end
end

local function has(r, flag)
  return math.floor(r[F.flags] / flag) % 2 == 1
end

local function set(r, flag, on)
  if has(r, flag) ~= on then
    r[F.flags] = r[F.flags] + (on and flag or -flag)
  end
end

local function expires_at(r)
  return r[F.created] + r[F.expires]
end

local function is_waiting(r)
  return r[F.status] == S.CREATED or r[F.status] == S.RETRYING
end

-- A timeline that has grown too long keeps its first entry and its newest ones.
local function shorten(timeline)
  local function after(offset)
    for _ = 1, 4 do
      offset = cmsgpack.unpack_one(timeline, offset)
    end
    return offset
  end
  local first = after(0)
  local offset = first
  while #timeline - offset > TIMELINE_KEPT do
    offset = after(offset)
  end
  return timeline:sub(1, first) .. timeline:sub(offset + 1)
end

local function record_change(id, r, code, reason)
  local entry = cmsgpack.pack(r[F.status], NOW - r[F.created], code, reason)
  local timeline = r[F.timeline] .. entry
  if #timeline > TIMELINE_FULL then
    timeline = shorten(timeline)
  end
  r[F.timeline] = timeline
  events[#events + 1] = cmsgpack.pack({id, r[F.status], NOW, code, reason})
end

local function count(name, by)
  deltas[name] = (deltas[name] or 0) + by
end

-- The one place where a status changes. Returns whether the table allows it; if not, nothing has happened.
local function move(id, r, to, code, reason, proof)
  local from = r[F.status]
  local allowed = MOVES[from][to] or (proof and r[F.attempts] > 0 and PROOFS[from][to])
  if not allowed then
    return false
  end
  count(STATUS[from], -1)
  count(STATUS[to], 1)
  if from == S.SENDING then
    flights[r[F.account]] = (flights[r[F.account]] or 0) - 1
  elseif to == S.SENDING then
    flights[r[F.account]] = (flights[r[F.account]] or 0) + 1
  end
  if to == S.RETRYING then
    set(r, FLAG.RETRIED, true)
  end
  r[F.status] = to
  r[F.error] = code
  record_change(id, r, code, reason)
  return true
end

-- Puts a waiting message into its line; its timer is then the end of its validity.
local function enqueue(id, r, at_head)
  local lane, route = r[F.lane], r[F.route]
  local line = K.line .. lane .. ':' .. route
  redis.call(at_head and 'LPUSH' or 'RPUSH', line, id)
  set(r, FLAG.QUEUED, true)
  r[F.due] = 0
  redis.call('ZADD', K.timers, expires_at(r), id)
  if route ~= '' and not lines[line] then
    lines[line] = true
    redis.call('ZADD', K.ready .. lane, 'NX', NOW_US, route)
  end
end

-- Keeps a waiting message out of its line until `delay` ms from now; the tick puts it back.
local function postpone(id, r, delay)
  set(r, FLAG.QUEUED, false)
  r[F.due] = NOW + delay - r[F.created]
  redis.call('ZADD', K.timers, math.min(NOW + delay, expires_at(r)), id)
end

-- A final message: no text, no timer, kept for the retention.
local function finish(id, r)
  r[F.text] = ''
  r[F.due] = 0
  r[F.expires] = 0
  set(r, FLAG.QUEUED, false)
  redis.call('ZREM', K.timers, id)
  save(id, r, RETENTION)
end

-- A message that the provider has: its text is not needed any more; it is final `deadline` ms from now.
local function entrust(id, r, deadline)
  r[F.text] = ''
  r[F.due] = math.max(NOW + deadline - r[F.created], 1)
  r[F.expires] = 0
  set(r, FLAG.QUEUED, false)
  redis.call('ZREM', K.timers, id)
  save(id, r, deadline + RETENTION)
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

-- A message whose fate is not known: held until its deadline, or sent again `delay` ms from now, then by the
-- same account: to another one goes only what was certainly not accepted.
local function doubt(id, r, code, reason, delay)
  move(id, r, S.UNCERTAIN, code, reason)
  if has(r, FLAG.CANCEL) or not resends(r) or r[F.attempts] >= MAX_ATTEMPTS then
    r[F.due] = NOW + DEADLINE - r[F.created]
    redis.call('ZADD', K.timers, NOW + DEADLINE, id)
  else
    move(id, r, S.RETRYING, code, 'sent again, as its policy says')
    r[F.route] = r[F.account]
    postpone(id, r, delay)
  end
  save(id, r)
end

-- Remembers which message a provider's id belongs to.
local function index(id, r, provider_id, digest)
  if provider_id ~= '' and r[F.provider_id] == '' then
    r[F.provider_id] = provider_id
    redis.call('SET', K.index .. digest, id, 'PX', DEADLINE)
  end
end

-- What a receipt proves about a message. Returns whether it changed anything.
local function prove(id, r, to, code, reason)
  if not move(id, r, to, code, reason, true) then
    return false
  end
  if to == S.SENT then
    entrust(id, r, DEADLINE)
  else
    finish(id, r)
  end
  return true
end

-- Receipts can overtake the answer to the send: what was parked for this provider id is applied now.
local function unpark(id, r, digest)
  local parked = redis.call('HGET', K.parked, digest)
  if parked then
    redis.call('HDEL', K.parked, digest)
    redis.call('ZREM', K.parked_at, digest)
    local receipt = cmsgpack.unpack(parked)
    prove(id, r, receipt[1], receipt[2], receipt[3])
  end
end

-- The instant (us) at which something may go next, in this lane or a later one; nil where nothing waits.
local function next_instant(lane)
  local earliest
  for each = lane, LANES - 1 do
    local first = redis.call('ZRANGE', K.ready .. each, 0, 0, 'WITHSCORES')
    if first[2] then
      earliest = math.min(earliest or math.huge, tonumber(first[2]))
    end
  end
  return earliest
end

-- Starts a dispatcher. Where no worker takes wakes, the queue stays short.
local function push_wake()
  local wake = redis.call('HMGET', K.wake, 'queue', 'envelope')
  if wake[1] and redis.call('LLEN', wake[1]) < WAKES_MOST then
    redis.call('LPUSH', wake[1], wake[2])
    redis.call('HSET', K.meta, 'wake_at', NOW)
  end
end

-- The same, at most once a second.
local function wake_another()
  local last = tonumber(redis.call('HGET', K.meta, 'wake_at') or 0)
  if NOW - last >= WAKE_EVERY or last > NOW then
    push_wake()
  end
end

-- Tells the workers that something may go now: a bell for one that is awake, else the wake.
local function rouse()
  if redis.call('ZCOUNT', K.awake, NOW, NOW + AWAKE_MOST) == 0 then
    wake_another()
  elseif redis.call('LLEN', K.bell) == 0 then
    redis.call('LPUSH', K.bell, '1')
  end
end

-- What waited for the account to work again may go now.
local function release(name)
  for lane = 0, LANES - 1 do
    for _, route in ipairs(redis.call('ZRANGE', K.ready .. lane, 0, -1)) do
      if (',' .. route .. ','):find(',' .. name .. ',', 1, true) then
        redis.call('ZADD', K.ready .. lane, 'XX', 'LT', NOW_US, route)
      end
    end
  end
  rouse()
end

local function close(reply)
  for name, by in pairs(deltas) do
    if by ~= 0 then
      redis.call('HINCRBY', K.counts, name, by)
    end
  end
  for account, by in pairs(flights) do
    if by ~= 0 then
      redis.call('HINCRBY', K.account .. account, 'flying', by)
    end
  end
  if #events > 0 then
    local seq = redis.call('HINCRBY', K.meta, 'seq', #events) - #events
    for place, event in ipairs(events) do
      redis.call('XADD', K.events, 'MAXLEN', '~', EVENTS_KEPT, string.format('%.0f-1', seq + place), 'e', event)
    end
  end
  return reply
end

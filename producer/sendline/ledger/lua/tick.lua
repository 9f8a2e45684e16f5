-- The once-a-second housekeeping: looks at messages whose timer has come.
-- KEYS: none (see keys.py).
-- ARGV[2] worker  [3] ms for which it alone ticks  [4] messages at most
-- Returns {1 if this worker ticks else 0, messages looked at, 1 if the ledger is behind what somebody has seen of it:
-- then nothing is looked at until `sendline recover`}.

local GAP, GAPS_KEPT = 3000, 20 -- ms without a tick: one such time may be a failover's
local worker, lock, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.call('GET', K.tick)
if holder and holder ~= worker then
  return close({0, 0, BEHIND and 1 or 0})
end
redis.call('SET', K.tick, worker, 'PX', lock)
if BEHIND then
  return close({1, 0, 1})
end

-- What is left of a pause, and of the climb behind it, is left of them still.
local function set_back(name, was)
  local key = K.account .. name
  local h = redis.call('HMGET', key, 'paused_until', 'eased', 'eased_at')
  if h[1] then
    local till = tonumber(h[1])
    redis.call('HSET', key, 'paused_until', till > was and NOW + till - was or math.min(till, NOW))
  end
  if h[2] then
    local eased_at = string.format('%.0f', tonumber(h[3]) - (was - NOW) * 1000)
    redis.call('HSET', key, 'eased_at', eased_at)
    await_whole(name, h[2], eased_at)
  end
end

-- The clock stepped back: instants that were near are far now, so everything is looked at again.
local ticked_at = tonumber(redis.call('HGET', K.meta, 'ticked_at') or 0)
if ticked_at > NOW + 1000 then
  local seen = {}
  for _, name in ipairs(redis.call('ZRANGE', K.eased, 0, -1)) do
    set_back(name, ticked_at)
    seen[name] = true
  end
  for lane = 0, LANES - 1 do
    for _, route in ipairs(redis.call('ZRANGE', K.ready .. lane, 0, -1)) do
      for name in route:gmatch('[^,]+') do
        if not seen[name] then
          set_back(name, ticked_at)
          seen[name] = true
        end
      end
      redis.call('ZADD', K.ready .. lane, 'XX', NOW_US, route)
      local held = K.held .. lane .. ':' .. route
      for _, row in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', '(' .. NEVER_US)) do
        redis.call('ZADD', held, NOW_US, row)
      end
    end
  end
  for _, mark in ipairs(redis.call('ZRANGE', K.endpoints, 0, -1)) do
    redis.call('ZADD', K.endpoints, NOW, mark)
  end
end
if ticked_at > 0 and NOW - ticked_at > GAP then
  local gaps = redis.call('HGET', K.meta, 'gaps')
  gaps = gaps and cmsgpack.unpack(gaps) or {}
  gaps[#gaps + 1] = {ticked_at, NOW}
  if #gaps > GAPS_KEPT then
    table.remove(gaps, 1)
  end
  redis.call('HSET', K.meta, 'gaps', cmsgpack.pack(gaps))
end
redis.call('HSET', K.meta, 'ticked_at', NOW)

local function look(id)
  local r = load(id)
  if not r then
    timers[id] = false
    return
  end
  local status = r[F.status]
  if status == S.SENDING then
    r[F.claim] = 0
    doubt(id, r, 'worker_died', 'its worker did not settle within the lease', 0)
  elseif is_waiting(r) then
    if expires_at(r) <= NOW then
      give_up(id, r, S.EXPIRED, r[F.error], 'its validity ended')
    elseif has(r, FLAG.QUEUED) then
      timers[id] = expires_at(r)
    else
      enqueue(id, r, false)
      save(id, r)
    end
  elseif status == S.UNCERTAIN then
    r[F.text] = '' -- final from now on: its deadline has passed
    timers[id] = false
    redis.call('ZREM', K.uncertain, id)
    save(id, r, RETENTION)
  else
    timers[id] = false
    if status == S.SENT and r[F.provider_id] ~= '' and r[F.created] + r[F.due] > NOW then
      redis.call('ZADD', K.unreported, NOW, id)
    end
  end
end

local ids = redis.call('ZRANGEBYSCORE', K.timers, '-inf', NOW, 'LIMIT', 0, most)
for _, id in ipairs(ids) do
  look(id)
end

-- Rates that have climbed back: the next claim may be hours away, and its people wait to be told.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', K.eased, '-inf', NOW, 'LIMIT', 0, most)) do
  local h = redis.call('HMGET', K.account .. name, 'eased', 'eased_at', 'interval')
  if h[1] and fraction(tonumber(h[1]), tonumber(h[2])) < 1 then
    await_whole(name, h[1], h[2])
  else
    end_easing(name)
    if h[1] and h[3] then
      note_change(name, 'full_rate', '')
    end
  end
end

local of_campaigns = look_after_campaigns(most)

redis.call('ZREMRANGEBYSCORE', K.unreported, '-inf', NOW - DEADLINE) -- nobody asks about it any more
redis.call('ZREMRANGEBYSCORE', K.awake, '-inf', NOW - AWAKE_MOST)
redis.call('ZREMRANGEBYSCORE', K.awake, NOW + AWAKE_MOST, '+inf')
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', K.parked_at, '-inf', NOW, 'LIMIT', 0, most)) do
  redis.call('HDEL', K.parked, digest)
  redis.call('ZREM', K.parked_at, digest)
end

if not is_awake() then
  local upcoming = next_instant(0)
  local queue = redis.call('HGET', K.wake, 'queue')
  if upcoming and upcoming <= NOW_US + 1000000 or queue and redis.call('LLEN', queue) == 0 then
    wake_another()
  end
end
return close({1, math.max(#ids, of_campaigns), 0})

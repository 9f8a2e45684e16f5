-- What attempts say of their accounts. Only one that was claimed after an account was stopped, or its breaker opened, says
-- anything about that: others were under way already.

local BREAKS_AFTER = 10 -- messages whose calls failed one after the other: one that fails ten times is one
local FIRST_PROBE, LONGEST_PROBE = 2000, 60000 -- ms until a broken account is tried with one message, doubled each time
local READ = {'paused_until', 'stopped', 'failed', 'broken', 'stopped_after', 'failures', 'probes', 'eased', 'eased_at',
  'throttled_after'}

local states, newest = {}, nil

local function state_of(name)
  if not states[name] then
    local h = redis.call('HMGET', K.account .. name, unpack(READ))
    local s = {name = name, key = K.account .. name}
    for place, field in ipairs(READ) do
      s[field] = (place == 2 or place == 3) and h[place] or tonumber(h[place] or nil)
    end
    if s.paused_until and s.paused_until > NOW + LONGEST_PAUSE then
      s.paused_until = nil -- the clock stepped back
    end
    states[name] = s
  end
  return states[name]
end

-- Writes fields of an account's state; false takes one away.
local function put(s, fields)
  for field, value in pairs(fields) do
    s[field] = value
    if value then
      redis.call('HSET', s.key, field, value)
    else
      redis.call('HDEL', s.key, field)
    end
  end
end

-- The newest token that was given out.
local function newest_token()
  newest = newest or tonumber(redis.call('HGET', K.meta, 'claims') or 0)
  return newest
end

local function recover(s)
  put(s, {stopped = false, broken = false, paused_until = false, failures = false, failed = false, probes = false,
    probing = false})
  note_change(s.name, 'recovered', '')
  release(s.name)
end

local function stop(s, pause, reason)
  if not s.stopped or s.broken then
    note_change(s.name, 'stopped', reason)
  end
  put(s, {stopped = reason, broken = false, probing = false, stopped_after = newest_token(), cause = reason,
    paused_until = math.max(s.paused_until or 0, NOW + pause)})
  release(s.name) -- its routes' next accounts take over
end

-- The breaker opens, or stays open after its probe failed.
local function break_off(s, reason)
  local probes = (s.probes or 0) + 1
  if not s.stopped then
    note_change(s.name, 'broken', reason)
  end
  local asked = not s.stopped and s.paused_until or 0 -- by its provider; else it is the lease of the probe
  put(s, {stopped = reason, broken = 1, stopped_after = newest_token(), cause = reason, probes = probes, probing = false,
    paused_until = math.max(asked, NOW + math.min(FIRST_PROBE * 2 ^ (probes - 1), LONGEST_PROBE))})
  release(s.name)
end

local function fail(s, id, reason)
  local failed = redis.sha1hex(id):sub(1, 8)
  if s.stopped and not s.broken then
    put(s, {paused_until = NOW + LONGEST_PROBE, probing = false})
    release(s.name)
  elseif s.stopped or (failed ~= s.failed and (s.failures or 0) + 1 >= BREAKS_AFTER) then
    break_off(s, reason)
  elseif failed ~= s.failed then
    put(s, {failures = (s.failures or 0) + 1, failed = failed})
  end
end

-- The whole account pauses; its rate is halved, once for all that was under way.
local function slow_down(s, token, pause, reason)
  if s.broken and token > s.stopped_after then
    recover(s) -- it answers; of the credentials of one that is stopped that says nothing
  end
  put(s, {paused_until = math.max(s.paused_until or 0, NOW + pause), cause = reason})
  if token > (s.throttled_after or -1) then
    local part = math.max(fraction(s.eased, s.eased_at) / 2, LEAST_FRACTION)
    put(s, {eased = string.format('%.6f', part), throttled_after = newest_token()})
    note_change(s.name, 'throttled', reason)
  end
  put(s, {eased_at = string.format('%.0f', s.paused_until * 1000)})
  await_whole(s.name, s.eased, s.eased_at)
end

local function affect(id, name, token, effect, pause, reason)
  if effect == '' then
    return
  end
  local s = state_of(name)
  local fresh = token > (s.stopped_after or -1)
  if effect == 'pause' then
    slow_down(s, token, pause, reason)
  elseif effect == 'stop' then
    stop(s, pause, reason)
  elseif effect == 'fail' and fresh then
    fail(s, id, reason)
  elseif effect == 'open' and fresh and s.stopped then
    recover(s)
  elseif effect == 'open' and fresh and s.failures then
    put(s, {failures = false, failed = false})
  end
end

-- The limits in force of an account: those that are configured, but for those that a person has adjusted.

local REMEMBERED = 600000 -- ms for which a recovery reckons with the limits of before
local BURST_US, LEAST_BURST = 20000, 2 -- the default burst: what the rate allows in 20 ms; a late claim loses no slot

local function remember_limits(key)
  local h = redis.call('HMGET', key, 'interval', 'burst', 'was_interval', 'was_burst', 'was_until')
  if not h[1] then
    return
  end
  local interval, burst = tonumber(h[1]), tonumber(h[2])
  if h[5] and tonumber(h[5]) > NOW then
    interval, burst = math.min(interval, tonumber(h[3])), math.max(burst, tonumber(h[4]))
  end
  redis.call('HSET', key, 'was_interval', interval, 'was_burst', burst,
    'was_until', string.format('%.0f', NOW + REMEMBERED))
end

-- Lists an account, or takes it off a list of meta: `split`, those that limit what goes from one sender, which have rows for
-- each sender (see lines.lua), or `hooked`, those that name an endpoint (see notices.lua).
local function list_account(field, name, listed)
  local list = redis.call('HGET', K.meta, field) or ','
  local here = list:find(',' .. name .. ',', 1, true)
  if listed and not here then
    redis.call('HSET', K.meta, field, list .. name .. ',')
  elseif here and not listed then
    list = list:sub(1, here) .. list:sub(here + #name + 2)
    if list == ',' then
      redis.call('HDEL', K.meta, field)
    else
      redis.call('HSET', K.meta, field, list)
    end
  end
end

-- What a person has adjusted.
local function adjusted_of(key)
  local adjusted = redis.call('HGET', key, 'adjusted')
  return adjusted and cjson.decode(adjusted) or {}
end

local function default_burst(interval)
  return math.max(LEAST_BURST, math.floor(BURST_US / interval + 0.5))
end

-- Puts limits in force: a map of configured ones, and a map of those that a person has adjusted.
local function put_in_force(name, configured, adjusted)
  local key, l = K.account .. name, {}
  for field, value in pairs(configured) do
    l[field] = adjusted[field] or value
  end
  if l.burst == 0 then
    l.burst = default_burst(l.interval)
  end
  if l.s_burst == 0 then
    l.s_burst = 1
  end
  for field, value in pairs(l) do
    redis.call('HSET', key, field, value)
  end
  list_account('split', name, l.s_interval > 0 or l.s_cap > 0)
end

-- What an account may send, and when. A limiter is an account, or one sender of an account; it counts units: messages or
-- segments. GCRA, in integer microseconds: `tat` is the instant at which everything that went would have gone at the
-- rate's pace. `cost` units may go at an instant where tat is at most (burst - cost) intervals ahead of it; a message that
-- is larger than the burst goes as if it were as large, and leaves a debt.
-- A claim is dated by the token that it takes. Tokens that came while work was waiting are kept for GRACE, so that a
-- claim that comes late costs nothing of the rate, and the limit holds exactly at the instants of claims.

local GRACE = 20000 -- us
local LARGEST = 40 -- units of one message, at most: how far a debt may go
local DAY = 86400000 -- ms
local USE_OVER = 10 -- seconds over which the rate in use is averaged

local accounts = {}
local account_of, number_of

do
  local SHORTEST_DAY = 72000000 -- ms
  local READ = { -- in the order in which account_of takes them
    'interval', 'burst', 'in_flight', 'cap', 'unit', 'sender', 's_interval', 's_burst', 's_cap', 'days', 'tat', 'flying',
    'paused_until', 'stopped', 'broken', 'halted', 'eased', 'eased_at', 'owed1', 'owed2', 'used', 'day', 'use', 'use_at',
    'pace',
  }

  -- The day (ms) in which now is: from one midnight to the next, by the published calendar.
  local function day_of(days)
    local first = days and days[1] or 0
    if days and NOW >= first then
      for place = 2, #days do
        if NOW < days[place] then
          return days[place - 1], days[place]
        end
      end
      first = days[#days]
    end
    local start = first + math.floor((NOW - first) / DAY) * DAY
    return start, start + DAY
  end

  -- Begins a new day's count. It goes on where the clock stepped back into an earlier day, and where another time zone's
  -- midnight comes in the middle of the day that was counted.
  local function roll(l, days)
    local start, stop = day_of(days)
    if start >= l.day + SHORTEST_DAY then
      l.used, l.day = 0, start
    elseif start < l.day then
      l.day = start
    end
    l.day_ends = stop
  end

  -- At another pace than before as many tokens are missing as were missing then.
  local function keep_pace(l, before)
    if before and before ~= l.interval and before > 0 and l.tat > NOW_US then
      l.tat, l.spent = NOW_US + math.ceil((l.tat - NOW_US) * l.interval / before), true
    end
  end

  -- The clock stepped back, or the limits changed: more can't have been spent than the burst, and a debt.
  local function clamp(l, now_us)
    if l.tat > now_us + (l.burst + l.debt) * l.interval then
      l.tat, l.spent = now_us + l.burst * l.interval, true
    end
  end

  function account_of(name)
    local a = accounts[name]
    if a ~= nil then
      return a
    end
    local interval, burst, in_flight, cap, unit, sender, s_interval, s_burst, s_cap, days, tat, flying, paused_until,
      stopped, broken, halted, eased, eased_at, owed1, owed2, used, day, use, use_at, pace =
      unpack(redis.call('HMGET', K.account .. name, unpack(READ)))
    if not interval then
      accounts[name] = false
      return false
    end
    a = {
      name = name, interval = tonumber(interval), burst = tonumber(burst), tat = tonumber(tat or 0),
      in_flight = tonumber(in_flight or 0), flying = tonumber(flying or 0), cap = tonumber(cap or 0),
      segments = unit == 'segments', debt = unit == 'segments' and LARGEST or 1, sender = sender or '',
      s_interval = tonumber(s_interval or 0), s_burst = tonumber(s_burst or 0), s_cap = tonumber(s_cap or 0),
      days = days and cjson.decode(days), used = tonumber(used or 0), day = tonumber(day or 0),
      paused_until = tonumber(paused_until or 0), stopped = stopped, broken = broken, halted = halted,
      owed = {tonumber(owed1 or 0), tonumber(owed2 or 0)}, use = tonumber(use or 0),
      use_at = tonumber(use_at or 0), units = 0,
    }
    if a.paused_until > NOW + LONGEST_PAUSE then
      a.paused_until = 0 -- the clock stepped back
    end
    if eased then
      local part = fraction(tonumber(eased), tonumber(eased_at))
      a.interval = math.ceil(a.interval / part)
      if part >= 1 then
        end_easing(name)
        note_change(name, 'full_rate', '')
      end
    end
    keep_pace(a, tonumber(pace or nil))
    clamp(a, NOW_US)
    if a.paused_until > 0 then -- a pause leaves nothing saved up: behind it the first message goes alone
      a.floor = a.paused_until * 1000 + (a.burst - 1) * a.interval
    end
    roll(a, a.days)
    accounts[name] = a
    return a
  end

  -- The limiter of the number that a message goes from.
  function number_of(a, sender)
    local from = sender == '' and a.sender or sender
    a.numbers = a.numbers or {}
    local n = a.numbers[from]
    if not n then
      local key = K.number .. a.name .. ':' .. mark_of(from)
      local h = redis.call('HMGET', key, 'tat', 'used', 'day', 'pace')
      n = {
        key = key, interval = a.s_interval, burst = a.s_burst, cap = a.s_cap, debt = a.debt, tat = tonumber(h[1] or 0),
        used = tonumber(h[2] or 0), day = tonumber(h[3] or 0),
      }
      keep_pace(n, tonumber(h[4] or nil))
      clamp(n, NOW_US)
      roll(n, a.days)
      a.numbers[from] = n
    end
    return n
  end
end

-- The instant (us) from which `cost` units may go.
local function instant_of(l, cost)
  return math.max(l.tat, l.floor or 0) - (l.burst - math.min(cost, l.burst)) * l.interval
end

-- Whether the day's cap leaves room; where it doesn't for a large message, the day is over for the others, too.
local function fits_day(l, cost)
  if l.cap == 0 or l.used == 0 or l.used + cost <= l.cap then
    return true
  end
  l.used, l.spent = math.max(l.used, l.cap), true
  return false
end

-- How many messages of one unit may go now, if tokens from the instant `base` on count.
local function tokens(l, base)
  local from = math.max(l.tat, l.floor or 0, base)
  local free = l.interval > 0 and math.floor((NOW_US + l.burst * l.interval - from) / l.interval) or math.huge
  if l.cap > 0 then
    free = math.min(free, l.cap - l.used)
  end
  return free
end

local function spend(l, at, cost)
  l.tat = math.max(l.tat, l.floor or 0, at) + cost * l.interval
  l.used = l.used + cost
  l.spent = true
end

-- Writes back what was spent.
local function write_limits()
  for name, a in pairs(accounts) do
    if a and a.spent then
      local since = math.max(NOW_US - a.use_at, 0) / 1000000
      local use = a.use * math.exp(-since / USE_OVER) + a.units / USE_OVER
      redis.call('HSET', K.account .. name, 'tat', decimal(a.tat), 'pace', a.interval,
        'used', a.used, 'day', decimal(a.day),
        'owed1', string.format('%.4f', a.owed[1]), 'owed2', string.format('%.4f', a.owed[2]),
        'use', string.format('%.4f', use), 'use_at', decimal(NOW_US))
    end
    for _, n in pairs(a and a.numbers or {}) do
      if n.spent then
        redis.call('HSET', n.key, 'tat', decimal(n.tat), 'pace', n.interval, 'used', n.used, 'day', decimal(n.day))
        redis.call('PEXPIRE', n.key, math.max(2 * DAY, math.ceil((n.tat - NOW_US) / 1000) + DAY))
      end
    end
  end
end

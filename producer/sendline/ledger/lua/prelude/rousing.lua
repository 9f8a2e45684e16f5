-- Who is told that something may go.

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
  if BEHIND then
    return
  end
  local wake = redis.call('HMGET', K.wake, 'queue', 'envelope')
  if wake[1] and redis.call('LLEN', wake[1]) < WAKES_MOST then
    redis.call('LPUSH', wake[1], wake[2])
    redis.call('HSET', K.meta, 'wake_at', NOW)
    WOKEN = NOW
  end
end

-- The same, at most once a second.
local function wake_another()
  if NOW - WOKEN >= WAKE_EVERY or WOKEN > NOW then
    push_wake()
  end
end

-- Whether a dispatcher is awake; not counting this one, where it is named.
local function is_awake(but)
  local number = redis.call('ZCOUNT', K.awake, NOW, NOW + AWAKE_MOST)
  local own = but and number > 0 and tonumber(redis.call('ZSCORE', K.awake, but) or nil)
  return number > (own and own >= NOW and own <= NOW + AWAKE_MOST and 1 or 0)
end

-- Tells the workers that something may go now: a bell for one that is awake, else the wake.
local function rouse()
  if BEHIND then
    return
  end
  if not is_awake() then
    wake_another()
  elseif redis.call('LLEN', K.bell) == 0 then
    redis.call('LPUSH', K.bell, '1')
  end
end

local released = {}

-- What waited for these accounts ({name = true}) may go now, as far as they are concerned: the next claim looks.
local function release_all(names)
  for lane = 0, LANES - 1 do
    for _, route in ipairs(redis.call('ZRANGE', K.ready .. lane, 0, -1)) do
      for name in route:gmatch('[^,]+') do
        if names[name] then
          redis.call('ZADD', K.ready .. lane, 'XX', 'LT', NOW_US, route)
          local held = K.held .. lane .. ':' .. route -- limits of senders may be others now
          for _, row in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', '(' .. NEVER_US)) do
            redis.call('ZADD', held, 'LT', NOW_US, row)
          end
        end
      end
    end
  end
  rouse()
end

local function release(name)
  if not released[name] then
    released[name] = true
    release_all({[name] = true})
  end
end

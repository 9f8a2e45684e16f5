-- An account that was asked to slow down: its rate is halved, and climbs back in a straight line (additive increase,
-- multiplicative decrease). `eased` is the fraction of its rate at the instant `eased_at` (us), the end of its pause.

local CLIMB_US = 45000000 -- from nothing to the whole rate
local LEAST_FRACTION = 0.02
local LONGEST_PAUSE = 3600000 -- ms: adapters pause for an hour at most

-- The fraction of its rate that is in force now.
local function fraction(eased, eased_at)
  if not eased or eased_at > NOW_US + LONGEST_PAUSE * 1000 then
    return 1 -- nobody asked, or the clock stepped back
  end
  return math.min(1, eased + math.max(0, NOW_US - eased_at) / CLIMB_US)
end

-- Writes down when its rate will be whole, for the tick to look: a claim may not come by for long.
local function await_whole(name, eased, eased_at)
  redis.call('ZADD', K.eased, math.ceil((eased_at + (1 - eased) * CLIMB_US) / 1000), name)
end

-- Its rate is whole again.
local function end_easing(name)
  redis.call('HDEL', K.account .. name, 'eased', 'eased_at', 'throttled_after')
  redis.call('ZREM', K.eased, name)
end

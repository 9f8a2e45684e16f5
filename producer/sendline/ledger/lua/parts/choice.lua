-- Which account carries the next message of a route: the first that is not stopped, broken, halted or through with its
-- day. One that is merely paused or at its rate is waited for.

local UNKNOWN_FOR_US, HALTED_FOR_US = 5000000, 60000000

-- Why an account carries nothing now, and the instant (us) to look again; nil where it may.
local function closed(a)
  if a.halted then
    return 'is paused by a person', NOW_US + HALTED_FOR_US
  end
  if a.stopped and a.paused_until > NOW then
    return a.broken and 'fails' or 'is stopped', a.paused_until * 1000
  end
  if a.cap > 0 and a.used >= a.cap then
    return 'has used up its day', a.day_ends * 1000
  end
end

-- Returns the account's name (nil where all are closed), why it is not the route's first, and the instant at which one
-- that was passed over may go.
local function choose(route)
  local again, why
  for name in route:gmatch('[^,]+') do
    local a = account_of(name)
    local reason, at = 'is not configured', NOW_US + UNKNOWN_FOR_US
    if a then
      reason, at = closed(a)
    end
    if not reason then
      return name, why, again
    end
    why = why or 'account ' .. name .. ' ' .. reason
    again = math.min(again or at, at)
  end
  return nil, why, again or NOW_US + UNKNOWN_FOR_US
end

-- Takes what a request asks for out of the rate of its API key: all of it or nothing.
-- KEYS: none (see keys.py).
-- ARGV[2] the key's id  [3] us between two messages  [4] the most that go at once  [5] messages; 0 only asks what is left
--     [6] name of this call: the same name is the same call again
-- Returns {1 or 0: it may go on, how many more may go now, us after which it may (0: now), us after which nothing is taken}.
-- Kept are two instants (us), packed: when all that was let through would have gone at the rate, and when that was written.

local CALL_KEPT = 60000 -- ms for which a call that was let through is known: no answer is waited for longer
local KEPT_ON = 60000 -- ms for which nothing is forgotten though it counts no more: clocks may be set back

local interval, most, asked = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function standing(tat)
  return math.max(math.floor((NOW_US + most * interval - tat) / interval), 0), tat - NOW_US
end

local function keep(tat)
  local ttl = string.format('%d', math.ceil((tat - NOW_US) / 1000) + KEPT_ON)
  redis.call('SET', K.admitted .. ARGV[2], cmsgpack.pack({tat, NOW_US}), 'PX', ttl)
end

local stored = decode(redis.call('GET', K.admitted .. ARGV[2])) or {0, 0}
local tat = math.max(stored[1], NOW_US)
if stored[2] > NOW_US then -- the clock was set back: as much is taken as before, and time counts from here
  tat = math.max(stored[1] - stored[2], 0) + NOW_US
  keep(tat)
end
local left, taken_for = standing(tat)

if asked == 0 or redis.call('EXISTS', K.decision .. ARGV[6]) == 1 then
  return close({1, left, 0, taken_for})
end
local needed = math.min(asked, most)
if left < needed then
  return close({0, left, taken_for + (needed - most) * interval, taken_for})
end
keep(tat + asked * interval)
redis.call('SET', K.decision .. ARGV[6], '1', 'PX', CALL_KEPT)
left, taken_for = standing(tat + asked * interval)
return close({1, left, 0, taken_for})

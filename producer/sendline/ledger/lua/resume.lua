-- Takes back a person's pause of an account; where there is none, lifts whatever else holds it up.
-- Then it goes on at its whole rate; one that was stopped, or whose breaker is open, is tried at once with one message.
-- KEYS: none (see keys.py).
-- ARGV[2] account
-- Returns 1, or 0 where no worker has published the account.

local key = K.account .. ARGV[2]
if redis.call('HEXISTS', key, 'interval') == 0 then
  return close(0)
end
if redis.call('HDEL', key, 'halted') == 1 then -- what its provider asked for still holds
  note_change(ARGV[2], 'resumed', '')
  release(ARGV[2])
  return close(1)
end
local h = redis.call('HMGET', key, 'paused_until', 'stopped', 'eased', 'eased_at', 'probing')
local slowed = h[3] and fraction(tonumber(h[3]), tonumber(h[4])) < 1
local paused = tonumber(h[1] or 0) > NOW and tonumber(h[1]) <= NOW + LONGEST_PAUSE
if not h[2] or tonumber(h[5] or 0) <= NOW then -- else the one message is under way
  redis.call('HDEL', key, 'paused_until')
end
end_easing(ARGV[2])
if paused or h[2] or slowed then
  note_change(ARGV[2], 'resumed', '')
end
release(ARGV[2])
return close(1)

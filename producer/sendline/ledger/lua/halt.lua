-- Lets an account send nothing, until a person lets it go on.
-- KEYS: none (see keys.py).
-- ARGV[2] account  [3] the person's reason ('': none, or the one that was given before)
-- Returns 1, or 0 where no worker has published the account.

local key = K.account .. ARGV[2]
if redis.call('HEXISTS', key, 'interval') == 0 then
  return close(0)
end
local before = redis.call('HGET', key, 'halted')
local reason = ARGV[3] == '' and before or ARGV[3]
if before ~= reason then
  redis.call('HSET', key, 'halted', reason)
  note_change(ARGV[2], 'paused', reason)
  release(ARGV[2]) -- its routes' next accounts take over
end
return close(1)

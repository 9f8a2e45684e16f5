-- Lets an account send nothing, until a person lets it go on.
-- KEYS: none (see keys.py).
-- ARGV[2] account  [3] the person's reason
-- Returns 1, or 0 where no worker has published the account.

go_on_when_full()

local key = K.account .. ARGV[2]
if redis.call('HEXISTS', key, 'interval') == 0 then
  return close(0)
end
if redis.call('HSET', key, 'halted', ARGV[3]) == 1 then
  note_change(ARGV[2], 'halted', ARGV[3])
  release(ARGV[2]) -- its routes' next accounts take over
end
return close(1)

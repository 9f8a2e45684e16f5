-- Lets an account go on, whatever had held it up.
-- It goes on at its whole rate; one that was stopped, or whose breaker is open, is tried at once with one message.
-- KEYS: none (see keys.py).
-- ARGV[2] account
-- Returns 1, or 0 where no worker has published the account.

go_on_when_full()

local key = K.account .. ARGV[2]
if redis.call('HEXISTS', key, 'interval') == 0 then
  return close(0)
end
redis.call('HDEL', key, 'paused_until', 'eased', 'eased_at', 'throttled_after')
if redis.call('HDEL', key, 'halted') == 1 then
  note_change(ARGV[2], 'resumed', '')
end
release(ARGV[2])
return close(1)

-- A dispatcher's slice ends. If work may go soon, the wake goes back to the queue at once.
-- KEYS: none (see keys.py).
-- ARGV[2] dispatcher  [3] horizon us
-- Returns 1 where a wake was pushed, else 0.

redis.call('ZREM', K.awake, ARGV[2])
for lane = 0, LANES - 1 do
  local first = redis.call('ZRANGE', K.ready .. lane, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) <= NOW_US + tonumber(ARGV[3]) then
    local wake = redis.call('HMGET', K.wake, 'queue', 'envelope')
    if wake[1] then
      redis.call('LPUSH', wake[1], wake[2])
      redis.call('HSET', K.meta, 'wake_at', NOW)
    end
    return close(1)
  end
end
return close(0)

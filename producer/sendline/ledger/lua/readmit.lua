-- Tells an endpoint again, now: one that was stopped, or that rests.
-- KEYS: none (see keys.py).
-- ARGV[2] mark
-- Returns how many messages wait for it to be told of them; -1 where there is no such endpoint.

go_on_when_full()

local mark = ARGV[2]
local key = K.endpoint .. mark
if redis.call('EXISTS', key) == 0 then
  return close(-1)
end
redis.call('HDEL', key, 'stopped', 'failures', 'failing_since', 'rests_until')
local due = redis.call('ZRANGE', K.notices_due .. mark, 0, -1)
for _, about in ipairs(due) do
  redis.call('ZADD', K.notices_due .. mark, 'LT', NOW, about)
end
redis.call('DEL', K.notice_tries .. mark)
look_at_endpoint(mark, NOW)
ring_for_notices()
return close(redis.call('HLEN', K.notices .. mark))

-- Tells an endpoint again, now: one that was stopped, or that rests.
-- KEYS: none (see keys.py).
-- ARGV[2] mark
-- Returns how many messages wait for it to be told of them; -1 where there is no such endpoint.

local HURRIED = 10000 -- messages; others wait for their own instants, an hour at most
local mark = ARGV[2]
local key = K.endpoint .. mark
if redis.call('EXISTS', key) == 0 then
  return close(-1)
end
redis.call('HDEL', key, 'stopped', 'failures', 'failing_since', 'rests_until')
for _, key in ipairs(OF_ENDPOINT) do
  redis.call('PERSIST', K[key] .. mark)
end
local later = '(' .. string.format('%.0f', NOW)
for _, about in ipairs(redis.call('ZRANGEBYSCORE', K.notices_due .. mark, later, '+inf', 'LIMIT', 0, HURRIED)) do
  redis.call('ZADD', K.notices_due .. mark, NOW, about)
end
redis.call('DEL', K.notice_tries .. mark) -- so their time begins with the next failure
redis.call('ZADD', K.endpoints, NOW, mark)
look_at_endpoint(mark, NOW)
ring_for_notices()
return close(redis.call('HLEN', K.notices .. mark))

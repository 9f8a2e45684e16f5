-- Remembers what a request with an idempotency key asked for, unless its key is remembered already.
-- KEYS: none (see keys.py).
-- ARGV[2] digest of the idempotency key  [3] id of the request's first message  [4] 8 bytes of digest of the request
-- Returns 1 where the key stands for this request, 0 where it stands for another one or for a message.

local key = K.idempotency .. ARGV[2]
local first = redis.call('GET', key)
if first then
  return close(first:sub(17) == ARGV[4] and 1 or 0)
end
redis.call('SET', key, ARGV[3] .. ARGV[4], 'PX', IDEMPOTENCY)
return close(1)

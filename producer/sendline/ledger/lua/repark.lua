-- Mends a parked receipt: each has an end, each end a receipt. One that can't be read is dropped.
-- KEYS: none (see keys.py).
-- ARGV[2] digest of account and provider id
-- Returns 1 where it was not so, else 0.

local digest = ARGV[2]
local parked = redis.call('HGET', K.parked, digest)
local readable, receipt = pcall(cmsgpack.unpack, parked or '')
local changed
if readable and type(receipt) == 'table' and STATUS[receipt[1]] then
  changed = redis.call('ZADD', K.parked_at, 'NX', NOW + PARKED_FOR, digest)
else
  changed = redis.call('HDEL', K.parked, digest) + redis.call('ZREM', K.parked_at, digest)
end
return close(changed > 0 and 1 or 0)

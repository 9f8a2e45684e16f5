-- Takes notices that an endpoint was never told out of what is lost, to tell it after all. Called until nothing is left.
-- KEYS: none (see keys.py).
-- ARGV[2] mark  [3] most  [4] name of the person's call: the same name is the same call again
-- Returns how many were taken; -1 where there is no such endpoint.

local mark, most = ARGV[2], tonumber(ARGV[3])
if redis.call('EXISTS', K.endpoint .. mark) == 0 then
  return close(-1)
end
local before = redis.call('GET', K.decision .. ARGV[4])
if before then
  return close(tonumber(before))
end

local function by_number(one, other)
  return one.number < other.number
end

local packed = redis.call('RPOP', K.notices_lost .. mark, most) or {}
for _, lost in ipairs(packed) do
  local offset, about = cmsgpack.unpack_one(lost, 0)
  local found = notices_in(redis.call('HGET', K.notices .. mark, about) or '')
  for _, notice in ipairs(notices_in(lost:sub(offset + 1))) do
    found[#found + 1] = since(notice, NOW)
  end
  table.sort(found, by_number)
  redis.call('HSET', K.notices .. mark, about, joined(found))
  if not redis.call('ZSCORE', K.notices_out .. mark, about) then
    redis.call('ZADD', K.notices_due .. mark, 'LT', NOW, about)
  end
end
redis.call('SET', K.decision .. ARGV[4], #packed, 'PX', CALLS_KEPT)
look_at_endpoint(mark, NOW)
ring_for_notices()
return close(#packed)

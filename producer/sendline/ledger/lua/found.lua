-- Founds a campaign: nothing is sent before it is started.
-- KEYS: none (see keys.py).
-- ARGV[2] name  [3] its own 16 bytes, by which the ids of its messages are made  [4] its spec (JSON)
--     [5] weight ('': 1)  [6] packed map of what the ledger itself heeds: valid_for (ms), and where there are such source,
--     owner, callback_url, pause_at (millionths) and pause_over
-- Returns {1 founded, 2 there already with this very spec, source and owner, 3 there with another one; its 16 bytes}.

local name, own, spec = ARGV[2], ARGV[3], ARGV[4]
local key = K.campaign .. name
local heeded = cmsgpack.unpack(ARGV[6])
local there = redis.call('HMGET', key, 'own', 'spec', 'source', 'owner')
if there[1] then
  local is_same = there[2] == spec and (there[3] or nil) == heeded.source and (there[4] or nil) == heeded.owner
  return close({is_same and 2 or 3, there[1]})
end
-- What late news of an earlier one of this name left.
redis.call('DEL', key, K.members .. name, K.outcomes .. name, K.hours .. name)
redis.call('HSET', key, 'own', own, 'spec', spec, 'state', 'created', 'at', NOW, 'ends', decimal(NOW + UNSTARTED_FOR))
for field, value in pairs(heeded) do
  redis.call('HSET', key, field, value)
end
redis.call('ZADD', K.campaigns, NOW, name)
if ARGV[5] ~= '' then
  redis.call('HSET', K.weights, name, ARGV[5])
end
still(name)
return close({1, own})

-- Binds a campaign that was founded without a source to the first one that is imported.
-- KEYS: none (see keys.py).
-- ARGV[2] campaign  [3] its own 16 bytes  [4] what tells the source apart from others
-- Returns the source that it is bound to, perhaps an earlier one; nothing where there is no such campaign.

local key = K.campaign .. ARGV[2]
if redis.call('HGET', key, 'own') ~= ARGV[3] then
  return close(false)
end
redis.call('HSETNX', key, 'source', ARGV[4])
return close(redis.call('HGET', key, 'source'))

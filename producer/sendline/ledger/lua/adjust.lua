-- Lets other limits of an account be in force at once than those that are configured, until they are taken back.
-- KEYS: none (see keys.py).
-- ARGV[2] account  [3] packed map: limit (see configure.lua) to its value; -1 takes it back: the configured one counts
-- Returns 1, or 0 where no worker has published the account.

go_on_when_full()

local name, changes = ARGV[2], cmsgpack.unpack(ARGV[3])
local key = K.account .. name
local configured = redis.call('HEXISTS', key, 'interval') == 1 and redis.call('HGET', key, 'configured')
if not configured then
  return close(0)
end
remember_limits(key)
local adjusted, told = adjusted_of(key), {}
for field, value in pairs(changes) do
  adjusted[field] = value >= 0 and value or nil
  told[#told + 1] = field
end
put_in_force(name, cjson.decode(configured), adjusted)
if next(adjusted) then
  redis.call('HSET', key, 'adjusted', cjson.encode(adjusted))
else
  redis.call('HDEL', key, 'adjusted')
end
table.sort(told)
note_change(name, 'adjusted', table.concat(told, ', '))
release(name)
return close(1)

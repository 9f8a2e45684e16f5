-- Lets other limits of an account be in force at once than those that are configured, until they are taken back.
-- KEYS: none (see keys.py).
-- ARGV[2] account  [3] packed map: limit (see configure.lua) to its value; -1 takes it back: the configured one counts;
--     where the map has '*', everything that was adjusted is taken back first
-- Returns 1, or 0 where no worker has published the account.

local name, changes = ARGV[2], cmsgpack.unpack(ARGV[3])
local key = K.account .. name
local configured = redis.call('HEXISTS', key, 'interval') == 1 and redis.call('HGET', key, 'configured')
if not configured then
  return close(0)
end
configured = cjson.decode(configured)
local before = adjusted_of(key)
local adjusted = changes['*'] and {} or adjusted_of(key)
for field in pairs(configured) do
  local value = changes[field]
  if value then
    adjusted[field] = value >= 0 and value or nil
  end
end

-- What is other than before: limit, what is in force ('-': what is configured), and what is configured.
local told = {}
for field, value in pairs(configured) do
  if adjusted[field] ~= before[field] then
    local now = adjusted[field] and string.format('%.0f', adjusted[field]) or '-'
    told[#told + 1] = string.format('%s %s %.0f', field, now, value)
  end
end
if #told == 0 then
  return close(1)
end
remember_limits(key)
put_in_force(name, configured, adjusted)
if next(adjusted) then
  redis.call('HSET', key, 'adjusted', cjson.encode(adjusted))
else
  redis.call('HDEL', key, 'adjusted')
end
table.sort(told)
note_change(name, 'adjusted', table.concat(told, ', '))
release(name)
return close(1)

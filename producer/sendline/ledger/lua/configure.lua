-- Publishes what a worker knows: accounts and routes for producers, limits for claims, and the wake.
-- KEYS: none (see keys.py).
-- ARGV[2] directory (JSON: {"accounts": [{"name": ...}, ...], ...})  [3] queue of the wake  [4] its envelope
--     [5..] for each account a packed array: name,
--           map of limits: interval us, burst (0: from the rate), in_flight (0: no bound), cap of a day (0: none),
--             s_interval, s_burst, s_cap: the same for each sender of it (s_interval 0: no bound),
--           map of others: on_uncertain ('' for the lane's default), asks (1 if its provider can be asked what became
--             of a message), receipt_ms (after which it is asked about what is sent; 0: it is not), unit, zone (whose
--             midnights), sender (of messages that name none), callback_url (told of its messages' events; '': none)
-- Returns 1. Accounts that the earlier directory named and this one does not, stop being claimed for. What a person
-- has adjusted stays in force.

local before = redis.call('GET', K.directory)
if before then
  for _, account in ipairs(cjson.decode(before).accounts) do
    remember_limits(K.account .. account.name)
    redis.call('HDEL', K.account .. account.name, 'interval')
    list_account('hooked', account.name, false)
  end
end
local names = {}
for place = 5, #ARGV do
  local name, limits, others = unpack(cmsgpack.unpack(ARGV[place]))
  local key = K.account .. name
  for field, value in pairs(others) do
    redis.call('HSET', key, field, value)
  end
  redis.call('HSET', key, 'configured', cjson.encode(limits))
  put_in_force(name, limits, adjusted_of(key))
  list_account('hooked', name, others.callback_url ~= '')
  local h = redis.call('HMGET', key, 'stopped', 'probing')
  if h[1] and tonumber(h[2] or 0) <= NOW then
    redis.call('HDEL', key, 'paused_until') -- its configuration may be mended: it is tried at once
  end
  names[name] = true
end
release_all(names)
redis.call('SET', K.directory, ARGV[2])
redis.call('HSET', K.wake, 'queue', ARGV[3], 'envelope', ARGV[4])
rouse()
return close(1)

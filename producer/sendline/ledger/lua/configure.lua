-- Publishes what a worker knows: accounts and routes for producers, limits for claims, and the wake.
-- KEYS: none (see keys.py).
-- ARGV[2] directory (JSON: {"accounts": [{"name": ...}, ...], ...})  [3] queue of the wake  [4] its envelope
--     [5..] for each account a packed array: name, interval us, burst, in flight at most (0: no bound),
--           on_uncertain ('' for the lane's default), 1 if its provider can be asked what became of a message
-- Returns 1. Accounts that the earlier directory named and this one does not, stop being claimed for.

local REMEMBERED = 600000 -- ms for which a recovery reckons with the limits of before

go_on_when_full()

local function remember_limits(key)
  local h = redis.call('HMGET', key, 'interval', 'burst', 'was_interval', 'was_burst', 'was_until')
  if not h[1] then
    return
  end
  local interval, burst = tonumber(h[1]), tonumber(h[2])
  if h[5] and tonumber(h[5]) > NOW then
    interval, burst = math.min(interval, tonumber(h[3])), math.max(burst, tonumber(h[4]))
  end
  redis.call('HSET', key, 'was_interval', interval, 'was_burst', burst,
    'was_until', string.format('%.0f', NOW + REMEMBERED))
end

local before = redis.call('GET', K.directory)
if before then
  for _, account in ipairs(cjson.decode(before).accounts) do
    remember_limits(K.account .. account.name)
    redis.call('HDEL', K.account .. account.name, 'interval')
  end
end
for place = 5, #ARGV do
  local name, interval, burst, in_flight, on_uncertain, asks = unpack(cmsgpack.unpack(ARGV[place]))
  local key = K.account .. name
  redis.call('HSET', key, 'interval', interval, 'burst', burst, 'in_flight', in_flight, 'on_uncertain', on_uncertain,
    'asks', asks)
  if redis.call('HEXISTS', key, 'stopped') == 1 then
    redis.call('HDEL', key, 'paused_until') -- its configuration may be mended: it is tried at once
    release(name)
  end
end
redis.call('SET', K.directory, ARGV[2])
redis.call('HSET', K.wake, 'queue', ARGV[3], 'envelope', ARGV[4])
rouse()
return close(1)

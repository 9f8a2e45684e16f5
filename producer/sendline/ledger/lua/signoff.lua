-- A dispatcher's slice ends. If work may go soon, or nobody else is awake, the wake goes back to the queue at once.
-- KEYS: none (see keys.py).
-- ARGV[2] dispatcher  [3] number of this call, of the same row as its claims  [4] horizon us
--     [5] number of a claim whose answer never came (0: none): what it took goes back unsent
-- Returns 1 where the wake went back, else 0; 0 too where a later call of this dispatcher came before this one.

local dispatcher, call, unanswered = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local before = redis.call('GET', K.dispatcher .. dispatcher)
before = before and cmsgpack.unpack(before) or {0}
if call < before[1] then
  return close(0)
end
if unanswered > 0 and before[1] == unanswered then
  for place = #before - 1, 2, -2 do
    local id, token = before[place], before[place + 1]
    local r = load(id)
    if r and r[F.status] == S.SENDING and r[F.claim] == token then
      give_back(id, r, S.CREATED, false, -1, 'handed_back', 'the answer to its claim never reached the worker')
    end
  end
end
redis.call('SET', K.dispatcher .. dispatcher, cmsgpack.pack({call}), 'PX', CALLS_KEPT)
redis.call('ZREM', K.awake, dispatcher)
local upcoming = next_instant(0)
if not is_awake() or upcoming and upcoming <= NOW_US + tonumber(ARGV[4]) then
  push_wake()
  return close(1)
end
return close(0)

-- Writes what became of telling endpoints.
-- KEYS: none (see keys.py).
-- ARGV[2] ms for which a notice is tried  [3..] for each a packed array:
--   mark, what it is about, number of the last notice that the endpoint took (0: none), 'taken', 'failed', 'gone' or
--   'back' (handed back untried), ms until the next try, reason
-- Returns for each 'told', 'waits' (something is left to tell), 'rests' (so it does, and the endpoint fails),
-- 'stopped' (nothing more is told it until a person says so) or 'unknown'.

go_on_when_full()

local KEPT_FOR = tonumber(ARGV[2])
local FAILING_AFTER = 5 -- tries in vain, one after the other
local FIRST_REST, LONGEST_REST = 5000, 600000 -- ms for which a failing endpoint is left alone, doubled each time

-- Takes away what the endpoint took; what was tried for long enough is lost. Returns how many it took, and what is left.
local function sort_out(mark, about, last, failed)
  local left, took = {}, 0
  for _, notice in ipairs(notices_in(redis.call('HGET', K.notices .. mark, about) or '')) do
    if notice.number <= last then
      took = took + 1
    elseif failed and NOW - notice.since >= KEPT_FOR then
      lose(mark, about, notice.packed)
    else
      left[#left + 1] = notice
    end
  end
  return took, left
end

local function note_success(key, took)
  redis.call('HINCRBY', key, 'told', took)
  redis.call('HSET', key, 'told_at', NOW)
  redis.call('HDEL', key, 'failures', 'failing_since', 'reason', 'rests_until')
end

-- Returns 'rests' where it does from now on.
local function note_failure(key, verdict, reason)
  local failures = redis.call('HINCRBY', key, 'failures', 1)
  redis.call('HSETNX', key, 'failing_since', NOW)
  redis.call('HSET', key, 'reason', reason, 'failed_at', NOW)
  if verdict == 'gone' or NOW - tonumber(redis.call('HGET', key, 'failing_since')) >= KEPT_FOR then
    redis.call('HSETNX', key, 'stopped', NOW)
  elseif failures >= FAILING_AFTER then
    local rest = math.min(FIRST_REST * 2 ^ (failures - FAILING_AFTER), LONGEST_REST)
    redis.call('HSET', key, 'rests_until', NOW + rest)
    return 'rests'
  end
end

local function settle(mark, about, last, verdict, delay, reason)
  local key = K.endpoint .. mark
  if redis.call('EXISTS', key) == 0 then
    return 'unknown'
  end
  local failed = verdict == 'failed' or verdict == 'gone'
  local took, left = sort_out(mark, about, last, failed)
  local was_mine = redis.call('ZREM', K.notices_out .. mark, about) == 1
  local state
  if took > 0 then
    note_success(key, took)
  end
  if failed then
    state = note_failure(key, verdict, reason)
  end
  if #left == 0 then
    redis.call('HDEL', K.notices .. mark, about)
    redis.call('HDEL', K.notice_tries .. mark, about)
    redis.call('ZREM', K.notices_due .. mark, about)
  else
    redis.call('HSET', K.notices .. mark, about, joined(left))
    if took > 0 then
      redis.call('HDEL', K.notice_tries .. mark, about)
    elseif failed then
      redis.call('HINCRBY', K.notice_tries .. mark, about, 1)
    end
    if was_mine then
      redis.call('ZADD', K.notices_due .. mark, failed and NOW + delay or NOW, about)
    end
  end
  if redis.call('HEXISTS', key, 'stopped') == 1 then
    return 'stopped'
  end
  if state == 'rests' then
    redis.call('ZADD', K.endpoints, redis.call('HGET', key, 'rests_until'), mark)
  end
  look_at_endpoint(mark, NOW)
  return state or (#left == 0 and 'told' or 'waits')
end

local reply = {}
for place = 3, #ARGV do
  reply[place - 2] = settle(unpack(cmsgpack.unpack(ARGV[place])))
end
return close(reply)

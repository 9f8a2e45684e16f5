-- Writes what became of telling endpoints.
-- KEYS: none (see keys.py).
-- ARGV[2] ms for which a notice is tried, from its first failure on  [3..] for each a packed array:
--   mark, what it is about, end of its claim ms, when it was taken ms, 'taken', 'failed', 'gone' or 'back' (handed back
--   untried), ms until the next try, reason, then of each notice that the endpoint took: number, since when it was tried
-- Returns for each 'told', 'waits' (something is left to tell), 'rests' (so it does, and the endpoint fails), 'stopped'
-- (nothing more is told it until a person says so) or 'unknown'. Where the claim is over only what was taken counts.

local KEPT_FOR = tonumber(ARGV[2])
local FIRST_REST = 5000 -- ms for which a failing endpoint is left alone, doubled each time

-- What is left of the notices when those that were taken are gone; also how many were.
local function sort_out(mark, about, o)
  local gone, left, took = {}, {}, 0
  for place = 8, #o, 2 do
    gone[o[place] .. ':' .. o[place + 1]] = true
  end
  local readable, found = pcall(notices_in, redis.call('HGET', K.notices .. mark, about) or '')
  for _, notice in ipairs(readable and found or {}) do
    if gone[notice.number .. ':' .. notice.since] then
      took = took + 1
    else
      left[#left + 1] = notice
    end
  end
  return left, took
end

-- What was tried for long enough is lost. The time begins with the first failure.
local function lose_old(mark, about, left, tries)
  local kept = {}
  for _, notice in ipairs(left) do
    if tries == 0 then
      since(notice, NOW)
    end
    if NOW - notice.since >= KEPT_FOR then
      lose(mark, about, notice.packed)
    else
      kept[#kept + 1] = notice
    end
  end
  return kept
end

local function note_success(key, took)
  redis.call('HINCRBY', key, 'told', took)
  redis.call('HSET', key, 'told_at', NOW)
  redis.call('HDEL', key, 'failures', 'failing_since', 'reason', 'rests_until')
end

-- Nothing more is told the endpoint. What waits for it is kept for a while.
local function stop(mark)
  if redis.call('HSETNX', K.endpoint .. mark, 'stopped', NOW) == 1 then
    for _, key in ipairs(OF_ENDPOINT) do
      redis.call('PEXPIRE', K[key] .. mark, LOST_KEPT_FOR)
    end
  end
end

-- Calls that were under way together fail together: they count once. Returns 'rests' where the endpoint does from now on.
local function note_failure(mark, o)
  local key = K.endpoint .. mark
  local last = tonumber(redis.call('HGET', key, 'failed_at') or 0)
  redis.call('HSETNX', key, 'failing_since', NOW)
  redis.call('HSET', key, 'reason', o[7])
  local fresh = o[4] >= last or last > NOW
  local failures = redis.call('HINCRBY', key, 'failures', fresh and 1 or 0)
  if fresh then
    redis.call('HSET', key, 'failed_at', NOW)
  end
  if o[5] == 'gone' or NOW - tonumber(redis.call('HGET', key, 'failing_since')) >= KEPT_FOR then
    stop(mark)
  elseif failures >= FAILING_AFTER then
    local rest = math.min(FIRST_REST * 2 ^ (failures - FAILING_AFTER), LONGEST_REST)
    redis.call('HSET', key, 'rests_until', NOW + rest)
    redis.call('ZADD', K.endpoints, NOW + rest, mark)
    return 'rests'
  end
end

-- Writes what is left, to be told now or later.
local function keep(mark, about, left, at, tries)
  if #left == 0 then
    redis.call('HDEL', K.notices .. mark, about)
    redis.call('HDEL', K.notice_tries .. mark, about)
    redis.call('ZREM', K.notices_due .. mark, about)
    return
  end
  redis.call('HSET', K.notices .. mark, about, joined(left))
  redis.call('HSET', K.notice_tries .. mark, about, tries)
  if at then
    redis.call('ZADD', K.notices_due .. mark, at, about)
  end
end

local function settle(o)
  local mark, about, verdict = o[1], o[2], o[5]
  local key = K.endpoint .. mark
  if redis.call('EXISTS', key) == 0 then
    return 'unknown'
  end
  local left, took = sort_out(mark, about, o)
  local mine = tonumber(redis.call('ZSCORE', K.notices_out .. mark, about) or 0) == o[3]
  local tries = took > 0 and 0 or tonumber(redis.call('HGET', K.notice_tries .. mark, about) or 0)
  local state, at
  if took > 0 then
    note_success(key, took)
  end
  if mine then
    redis.call('ZREM', K.notices_out .. mark, about)
    at = NOW
    if verdict == 'failed' or verdict == 'gone' then
      state = note_failure(mark, o)
      left = lose_old(mark, about, left, tries)
      at, tries = NOW + o[6], tries + 1
    end
  end
  keep(mark, about, left, at, tries)
  if redis.call('HEXISTS', key, 'stopped') == 1 then
    return 'stopped'
  end
  look_at_endpoint(mark, NOW)
  return state or (#left == 0 and 'told' or 'waits')
end

local reply = {}
for place = 3, #ARGV do
  local readable, became = pcall(settle, cmsgpack.unpack(ARGV[place]))
  reply[place - 2] = readable and became or 'unknown' -- one that is damaged harms no other
end
return close(reply)

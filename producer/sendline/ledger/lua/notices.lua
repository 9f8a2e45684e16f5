-- Takes notices that endpoints may be told now: a claim for `lease` ms on each message (or what came in) that they are about.
-- KEYS: none (see keys.py).
-- ARGV[2] most that are taken  [3] lease ms  [4] most that are under way to one endpoint
-- Returns {next instant ms (0: none), now ms, born us, then for each {mark, URL, what it is about, its notices, tries in vain,
-- record of the message or ''}}. One endpoint that fails is tried with one at a time.

go_on_when_full()

local room, lease, most_each = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local LOOKED_AT, RETURNED = 100, 100
local FORGOTTEN_AFTER = 86400000 -- ms without any notice
local FAILING_AFTER = 5 -- tries in vain, one after the other
local reply = {0, NOW, BORN}

-- What was under way in a worker that died is due again.
local function take_back(mark)
  for _, about in ipairs(redis.call('ZRANGEBYSCORE', K.notices_out .. mark, '-inf', NOW, 'LIMIT', 0, RETURNED)) do
    redis.call('ZREM', K.notices_out .. mark, about)
    redis.call('ZADD', K.notices_due .. mark, NOW, about)
  end
end

local function hand_out(mark, url, about)
  local found = redis.call('HGET', K.notices .. mark, about)
  redis.call('ZREM', K.notices_due .. mark, about)
  if found then
    redis.call('ZADD', K.notices_out .. mark, NOW + lease, about)
    local tries = tonumber(redis.call('HGET', K.notice_tries .. mark, about) or 0)
    local record = #about == 16 and redis.call('GET', K.message .. about) or ''
    reply[#reply + 1] = {mark, url, about, found, tries, record}
    room = room - 1
  end
end

-- Sets when the endpoint is looked at again. One that nothing was told for long, and nothing is to be, is forgotten.
local function look_later(mark, full)
  local out = redis.call('ZRANGE', K.notices_out .. mark, 0, 0, 'WITHSCORES')[2]
  local due = not full and redis.call('ZRANGE', K.notices_due .. mark, 0, 0, 'WITHSCORES')[2]
  local at = math.min(tonumber(out or math.huge), tonumber(due or math.huge))
  if at == math.huge then
    at = NOW + FORGOTTEN_AFTER + 1
    if redis.call('EXISTS', K.notices_lost .. mark) == 0 then
      redis.call('PEXPIRE', K.endpoint .. mark, FORGOTTEN_AFTER)
    end
  end
  redis.call('ZADD', K.endpoints, at, mark)
end

local function serve(mark)
  local h = redis.call('HMGET', K.endpoint .. mark, 'url', 'stopped', 'failures')
  if not h[1] then
    return redis.call('ZREM', K.endpoints, mark)
  end
  if h[2] then
    return redis.call('ZADD', K.endpoints, '+inf', mark)
  end
  take_back(mark)
  local places = tonumber(h[3] or 0) >= FAILING_AFTER and 1 or most_each
  places = places - redis.call('ZCARD', K.notices_out .. mark)
  local most = math.min(places, room)
  local due = most > 0 and redis.call('ZRANGEBYSCORE', K.notices_due .. mark, '-inf', NOW, 'LIMIT', 0, most) or {}
  for _, about in ipairs(due) do
    hand_out(mark, h[1], about)
  end
  look_later(mark, #due >= places)
end

for _, mark in ipairs(redis.call('ZRANGEBYSCORE', K.endpoints, '-inf', NOW, 'LIMIT', 0, LOOKED_AT)) do
  if room <= 0 then
    break
  end
  serve(mark)
end
local first = redis.call('ZRANGE', K.endpoints, 0, 0, 'WITHSCORES')[2]
reply[1] = first and first ~= 'inf' and tonumber(first) or 0
return close(reply)

-- Takes notices that endpoints may be told now: a claim for `lease` ms on each message (or what came in) that they are about.
-- KEYS: none (see keys.py).
-- ARGV[2] most that are taken  [3] lease ms  [4] most that are under way to one endpoint
--     [5] packed map: host to how many more of the caller's calls it may have; others may have [6]
-- Returns {next instant ms (0: none), now ms, born us, then for each {mark, URL of the endpoint, what it is about, its notices,
-- tries in vain, record of the message or '', end of the claim ms}}. An endpoint that fails is tried with one at a time, and
-- one that is not known to take them with few.

local room, lease, most_each = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local places, places_each = cmsgpack.unpack(ARGV[5]), tonumber(ARGV[6])
local LOOKED_AT, RETURNED = 200, 100
local LONGEST_WAIT = 7200000 -- ms: no try is further ahead, unless the clock stepped back
local HOST_FULL_FOR = 250 -- ms
local FORGOTTEN_AFTER = 86400000 -- ms without any notice
local UNPROVEN = 2 -- under way to one that took nothing yet, or not the last time
local reply = {0, NOW, BORN}

-- What was under way in a worker that died is due again, and so is what would be due before the clock stepped back.
local function take_back(mark)
  for _, about in ipairs(redis.call('ZRANGEBYSCORE', K.notices_out .. mark, '-inf', NOW, 'LIMIT', 0, RETURNED)) do
    redis.call('ZREM', K.notices_out .. mark, about)
    redis.call('ZADD', K.notices_due .. mark, NOW, about)
  end
  local ahead = '(' .. string.format('%.0f', NOW + LONGEST_WAIT)
  for _, about in ipairs(redis.call('ZRANGEBYSCORE', K.notices_due .. mark, ahead, '+inf', 'LIMIT', 0, RETURNED)) do
    redis.call('ZADD', K.notices_due .. mark, NOW, about)
  end
end

local function hand_out(mark, url, about)
  local found = redis.call('HGET', K.notices .. mark, about)
  redis.call('ZREM', K.notices_due .. mark, about)
  if found then
    redis.call('ZADD', K.notices_out .. mark, NOW + lease, about)
    local tries = tonumber(redis.call('HGET', K.notice_tries .. mark, about) or 0)
    local record = #about == 16 and (redis.call('GET', K.message .. about) or archived_raw(about)) or ''
    reply[#reply + 1] = {mark, url, about, found, tries, record, NOW + lease}
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
  local h = redis.call('HMGET', K.endpoint .. mark, 'url', 'stopped', 'failures', 'told_at')
  if not h[1] then
    return redis.call('ZREM', K.endpoints, mark)
  end
  if h[2] then -- looked at again when it may be forgotten
    return redis.call('ZADD', K.endpoints, NOW + LOST_KEPT_FOR, mark)
  end
  take_back(mark)
  local host = h[1]:match('^%a+://([^/]*)') or h[1]
  local here = places[host] or places_each
  if here <= 0 then
    return redis.call('ZADD', K.endpoints, NOW + HOST_FULL_FOR, mark)
  end
  local failures, free = tonumber(h[3] or 0), UNPROVEN
  if failures >= FAILING_AFTER then
    free = 1
  elseif failures == 0 and h[4] then
    free = most_each
  end
  free = free - redis.call('ZCARD', K.notices_out .. mark)
  local most = math.min(free, room, here)
  local due = most > 0 and redis.call('ZRANGEBYSCORE', K.notices_due .. mark, '-inf', NOW, 'LIMIT', 0, most) or {}
  for _, about in ipairs(due) do
    hand_out(mark, h[1], about)
  end
  places[host] = here - #due
  look_later(mark, #due >= free)
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

-- Starts, pauses, resumes or cancels a campaign; it counts for every claim from now on.
-- KEYS: none (see keys.py).
-- ARGV[2] name  [3] 'start', 'schedule', 'pause', 'resume' or 'cancel'
--     [4] schedule: the instant (ms) at which it starts; pause: the cause ('': a person said so)
-- Returns {1 done, 0 not from the state that it is in, -1 no such campaign; its state before ('late': it was not started in
-- time, and is about to end)}.

local FROM = {
  start = {created = true, scheduled = true},
  schedule = {created = true, scheduled = true},
  pause = {running = true},
  resume = {paused = true},
  cancel = {created = true, scheduled = true, running = true, paused = true},
}

local COMES_TO = {start = 'running', schedule = 'scheduled', pause = 'paused', resume = 'running', cancel = 'canceled'}

local name, what = ARGV[2], ARGV[3]
local state, ends = unpack(redis.call('HMGET', K.campaign .. name, 'state', 'ends'))
if not state then
  return close({-1, ''})
elseif state == COMES_TO[what] and what ~= 'schedule' then
  return close({1, state}) -- it is so: perhaps by this very call, whose reply was lost
elseif not FROM[what][state] then
  return close({0, state})
elseif state == 'created' and what ~= 'cancel' and ends and tonumber(ends) <= NOW then
  return close({0, 'late'})
end
if what == 'start' then
  begin_campaign(name)
elseif what == 'schedule' then
  redis.call('HSET', K.campaign .. name, 'state', 'scheduled', 'start_at', ARGV[4], 'ends', end_from(name, ARGV[4]))
  redis.call('ZADD', K.starts, ARGV[4], name)
elseif what == 'pause' then
  pause_campaign(name, ARGV[4])
elseif what == 'resume' then
  redis.call('HSET', K.campaign .. name, 'state', 'running')
  redis.call('HDEL', K.campaign .. name, 'cause')
  redis.call('DEL', K.outcomes .. name)
  unstill(name)
else
  redis.call('HSET', K.campaign .. name, 'state', 'canceled', 'ended', NOW)
  redis.call('ZREM', K.starts, name)
  redis.call('SADD', K.running, name) -- until what waits has been ended
  still(name)
end
return close({1, state})

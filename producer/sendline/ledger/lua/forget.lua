-- Forgets what a number wrote to us, what of it could not be read, and that it opted out.
-- KEYS: none (see keys.py).
-- ARGV[2] number  [3] 1: that it opted out is kept
--     [4] where to go on in the stream of what came in: '-' at the beginning, else '(' and the id of the entry before
-- Returns {messages that it wrote, where to go on ('': that was the end), 1 if it was on the suppression list and is not any
-- more, requests that could not be read and held it}. The list and the requests are looked at by the first call.

local READ = 1000 -- entries a call
local number, from = ARGV[2], ARGV[4]

local wrote, behind = 0, ''
local found = redis.call('XRANGE', K.inbound, from, '+', 'COUNT', READ)
for _, entry in ipairs(found) do
  local m = decode(entry[2][2])
  if m and m[2] == number then
    redis.call('SADD', K.inbound_erased, entry[1]:match('^%d+'))
    redis.call('XDEL', K.inbound, entry[1])
    wrote = wrote + 1
  end
end
if #found == READ then
  behind = '(' .. found[READ][1]
end

local digits = '%f[%d]' .. number:gsub('^%+', '') .. '%f[%D]' -- within a longer one it is another number

local function holds_it(request)
  for _, part in ipairs(decode(request) or {request}) do
    if type(part) == 'string' and part:find(digits) then
      return true
    end
  end
  return false
end

local opted_out, held = 0, 0
if from == '-' then
  for first = redis.call('LLEN', K.rejected) - 1, 0, -50 do
    for _, request in ipairs(redis.call('LRANGE', K.rejected, math.max(first - 49, 0), first)) do
      if holds_it(request) then
        held = held + redis.call('LREM', K.rejected, -1, request)
      end
    end
  end
  opted_out = ARGV[3] ~= '1' and redis.call('HDEL', K.suppressed, number) or 0

  -- numbers of what is trimmed anyway need not be remembered
  local oldest = found[1] and tonumber(found[1][1]:match('^%d+'))
  for _, gone in ipairs(oldest and redis.call('SMEMBERS', K.inbound_erased) or {}) do
    if tonumber(gone) < oldest - EVENTS_KEPT then
      redis.call('SREM', K.inbound_erased, gone)
    end
  end
end
return close({wrote, behind, opted_out, held})

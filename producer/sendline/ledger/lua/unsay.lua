-- Takes back what an endpoint is still to be told of what a number wrote to us, and what it never was.
-- KEYS: none (see keys.py).
-- ARGV[2] number  [3] mark of the endpoint
-- Returns how many such things there were.

local number, mark = ARGV[2], ARGV[3]
local ABOUT = 'in:' -- what came in is told under this, and a digest: see inbound.lua
local SENDER = 5 -- its place in the packed event
local gone = 0

-- Whether notices, packed one after the other, are of what the number wrote: all of them are of one sender.
local function are_theirs(notices)
  local readable, _, _, _, event = pcall(cmsgpack.unpack_limit, notices, 3, 0) -- offset, number, since, event
  return readable and type(event) == 'table' and event[SENDER] == number
end

local cursor = '0'
repeat
  local step = redis.call('HSCAN', K.notices .. mark, cursor, 'MATCH', ABOUT .. '*', 'COUNT', 1000)
  cursor = step[1]
  for place = 1, #step[2], 2 do
    local about = step[2][place]
    if are_theirs(step[2][place + 1]) then
      redis.call('HDEL', K.notices .. mark, about)
      redis.call('ZREM', K.notices_due .. mark, about)
      redis.call('ZREM', K.notices_out .. mark, about)
      redis.call('HDEL', K.notice_tries .. mark, about)
      gone = gone + 1
    end
  end
until cursor == '0'

for _, lost in ipairs(redis.call('LRANGE', K.notices_lost .. mark, 0, -1)) do
  local offset, about = cmsgpack.unpack_one(lost, 0)
  if type(about) == 'string' and about:sub(1, #ABOUT) == ABOUT and are_theirs(lost:sub(offset + 1)) then
    gone = gone + redis.call('LREM', K.notices_lost .. mark, 1, lost)
  end
end
return close(gone)

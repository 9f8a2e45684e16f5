-- Finds messages to a number by their places in the book.
-- KEYS: none (see keys.py).
-- ARGV[2] week since the epoch  [3] number  [4] its end, by which its messages are listed
--     [5] how many of the places are left: those behind were looked at  [6] how many to look at
-- Returns {places that are left then; then id, record, ... of those found, the newest first}. Numbers with the same end
-- share a list: what merely holds the digits is returned, too.

local HOUR, HOURS_A_WEEK, WINDOW = 3600000, 168, 16777216 -- see book.lua
local week, to = tonumber(ARGV[2]), ARGV[3]
local key = K.addressed .. ARGV[2] .. ':' .. ARGV[4]
local left = math.min(tonumber(ARGV[5]), redis.call('LLEN', key))
local first = math.max(left - ARGV[6], 0)
local reply = {first}

local function beginning_of(hour)
  local window = math.floor(hour * HOUR / WINDOW)
  return string.char(math.floor(window / 65536) % 256, math.floor(window / 256) % 256, window % 256)
end

local ids = {}
local places = left > first and redis.call('LRANGE', key, first, left - 1) or {}
for n = #places, 1, -1 do
  local hour = week * HOURS_A_WEEK + places[n] % HOURS_A_WEEK
  local id = redis.call('LINDEX', K.book .. decimal(hour), math.floor(places[n] / HOURS_A_WEEK))
  if id then
    ids[#ids + 1] = #id == 13 and beginning_of(hour) .. id or id
  end
end
for _, id in ipairs(ids) do
  local raw = redis.call('GET', K.message .. id) or archived_raw(id)
  if raw and raw:find(to, 1, true) then
    reply[#reply + 1] = id
    reply[#reply + 1] = raw
  end
end
return close(reply)

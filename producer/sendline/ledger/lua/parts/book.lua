-- By what messages are found again: the book, which lists them by the hour in which they were accepted, and for each end of
-- a number the places in the book of messages to such numbers. What is listed may be gone: who reads looks for its record.
-- An entry of the book is an id, mostly without its beginning, which its hour tells; or a stretch of a campaign's messages,
-- which stand in the campaign's own list: where it begins, how many it has, the end of the
-- campaign's own 16 bytes, since its name may be used again, and that.
-- See finding.py, which reads all this.

local HOUR, HOURS_A_WEEK = 3600000, 168
local WINDOW = 16777216 -- ms for which the first three bytes of an id, its time, stay the same
local USUALLY_VALID = 259200000 -- ms; what is valid for longer is listed for longer
local ENDING = 3 -- digits of a number by which its messages are listed
local NOW_HOUR = math.floor(NOW / HOUR)
local entries, addressed, longest = {}, {}, 0

local beginning
do
  local window = math.floor(NOW_HOUR * HOUR / WINDOW)
  beginning = string.char(math.floor(window / 65536) % 256, math.floor(window / 256) % 256, window % 256)
end

-- Lists a message. Returns its place in the book, counted from what this call adds.
local function list_message(id, to, valid_for)
  entries[#entries + 1] = id:sub(1, 3) == beginning and id:sub(4) or id
  local ending = to:sub(-ENDING)
  addressed[ending] = addressed[ending] or {}
  table.insert(addressed[ending], #entries)
  longest = math.max(longest, valid_for)
end

local function list_stretch(campaign, own, first, number)
  entries[#entries + 1] = string.format('%010d%06d', first, number) .. own:sub(-4) .. campaign
end

-- Writes values behind a list, which is kept for as long as messages of its time may be. Returns its length, and until when
-- (ms) it is kept where that is new.
local function append(key, values, span)
  local length
  for first = 1, #values, PASSED do
    length = redis.call('RPUSH', key, unpack(values, first, math.min(first + PASSED - 1, #values)))
  end
  local kept = decimal(span + math.max(longest, USUALLY_VALID) + 2 * DEADLINE + RETENTION)
  if length == #values then
    redis.call('PEXPIRE', key, kept)
  elseif longest > USUALLY_VALID then
    redis.call('PEXPIRE', key, kept, 'GT')
  else
    return length
  end
  return length, decimal(NOW + kept)
end

-- A place in the book is one number, small enough to be kept in few bytes: see finding.py.
local function write_addressed(before)
  local week = K.addressed .. decimal(math.floor(NOW_HOUR / HOURS_A_WEEK)) .. ':'
  for ending, places in pairs(addressed) do
    for n, place in ipairs(places) do
      places[n] = decimal((before + place - 1) * HOURS_A_WEEK + NOW_HOUR % HOURS_A_WEEK)
    end
    append(week .. ending, places, HOURS_A_WEEK * HOUR)
  end
end

local function write_book()
  if #entries == 0 then
    return
  end
  local length, till = append(K.book .. decimal(NOW_HOUR), entries, HOUR)
  if till then
    redis.call('ZADD', K.hours_of_book, 'GT', till, decimal(NOW_HOUR))
    redis.call('ZREMRANGEBYSCORE', K.hours_of_book, '-inf', NOW)
    local last = redis.call('ZRANGE', K.hours_of_book, -1, -1, 'WITHSCORES')[2]
    redis.call('PEXPIRE', K.hours_of_book, decimal(last - NOW))
  end
  write_addressed(length - #entries)
end

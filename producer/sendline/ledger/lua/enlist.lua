-- Accepts messages of a campaign: a stretch of its source, all or nothing, and each stretch once.
-- KEYS: none (see keys.py).
-- ARGV[2] campaign  [3] its own 16 bytes  [4] last line that was done with before  [5] last line of this stretch
--     [6] rows read in it  [7] rows rejected in it  [8] 1: this is its end
--     [9] packed array, the same for all: flags, account ('': none), routes as an array, 1: more than one may go to a
--     recipient, so that ids can't be reckoned from it
--     [10] packed map: key of time zones to the instants (us) at which its window opens and closes, in turns
--     [11..] for each message a packed array:
--   id, recipient, segments, values as a packed map, sender, key of time zones (''), not before (ms, 0), place of its route
-- Returns {1 done, 2 was done before, 0 another stretch is to come, -1 no such campaign, -2 it takes no more; last line}.

local name, own, before, line = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local START_WITHIN = 39398400000 -- ms (456 days): when it may be started at the latest, counted from its founding
local RECIPIENT = 2 -- its place in what stands for a message
local key = K.campaign .. name
local c = redis.call('HMGET', key, 'own', 'line', 'complete', 'state')
local done = tonumber(c[2] or 0)
if c[1] ~= own then
  return close({-1, 0})
elseif line == done and (ARGV[8] ~= '1' or c[3]) then
  return close({2, done})
elseif c[3] or c[4] == 'canceled' or c[4] == 'finished' then
  return close({-2, done})
elseif before ~= done then
  return close({0, done})
end

local flags, account, routes, repeats = unpack(cmsgpack.unpack(ARGV[9]))
for zones, intervals in pairs(cmsgpack.unpack(ARGV[10])) do
  redis.call('HSETNX', K.hours .. name, zones, cmsgpack.pack(intervals))
end

local members, duplicates = {}, 0

local function enlist(m, reason)
  local id, not_before = m[1], m[7]
  if unsaved[id] or filed[id] or redis.call('EXISTS', K.message .. id) == 1 or archived_raw(id) then
    duplicates = duplicates + 1
    return
  end
  local r = {
    VERSION, reason and S.SUPPRESSED or S.CREATED, BULK, flags, NOW, 0, 0, 0, 0, routes[m[8]], account, m[RECIPIENT],
    m[5], '', reason and 'opted_out' or '', m[3], '', m[4], '', name, m[6],
  }
  count('accepted', 1)
  count(STATUS[r[F.status]], 1)
  tally(name, 'accepted', 1)
  tally(name, STATUS[r[F.status]], 1)
  record_change(id, r, r[F.error], reason or '')
  members[#members + 1] = id
  if repeats == 1 then
    list_message(id, r[F.to], 0)
  end
  if reason then
    return finish(id, r)
  end
  if not_before > NOW then
    postpone(id, r, not_before - NOW)
  else
    join_others(id, r)
  end
  save(id, r)
end

local drafts = {}
for place = 11, #ARGV do
  drafts[place - 10] = argument(place)
end
local reasons = opted_out(drafts, #drafts, RECIPIENT)
for _, m in ipairs(drafts) do
  enlist(m, reasons[m[RECIPIENT]])
end
stand_all()
local length = 0
for first = 1, #members, PASSED do
  length = redis.call('RPUSH', K.members .. name, unpack(members, first, math.min(first + PASSED - 1, #members)))
end
if #members > 0 then
  longest = math.max(longest, START_WITHIN + tonumber(redis.call('HGET', key, 'valid_for')))
  if repeats ~= 1 then
    list_stretch(name, own, length - #members, #members)
  end
  write_book()
end
redis.call('HSET', key, 'line', line)
for field, by in pairs({rows = tonumber(ARGV[6]), rejected = tonumber(ARGV[7]), duplicates = duplicates}) do
  if by > 0 then
    redis.call('HINCRBY', key, field, by)
  end
end
if ARGV[8] == '1' then
  redis.call('HSET', key, 'complete', 1)
end
return close({1, line})

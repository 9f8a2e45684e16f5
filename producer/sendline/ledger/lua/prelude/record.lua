-- Stands before every verb: the clock, the bounds in force, the record, and its moves.
-- Every verb's ARGV[1] is a packed array of the bounds (see Limits in limits.py):
--   retention ms, deadline ms, events kept, attempts at most, idempotency ms

local t = clock()
local NOW_US = tonumber(t[1]) * 1000000 + tonumber(t[2])
local NOW = math.floor(NOW_US / 1000)

local bounds = cmsgpack.unpack(ARGV[1])
local RETENTION, DEADLINE, EVENTS_KEPT, MAX_ATTEMPTS, IDEMPOTENCY = unpack(bounds)

local PARKED_MOST, PARKED_FOR = 10000, 3600000 -- receipts, ms
local NEVER_US = '9000000000000000' -- the year 2255: until when the rows of a campaign that rests are held
local WAKE_EVERY, WAKES_MOST = 1000, 100 -- ms, wakes in their queue
local CALLS_KEPT = 600000 -- ms for which a dispatcher's last call is known: no connection holds one back for longer
local AWAKE_MOST = 60000 -- ms; a longer promise was made before the clock stepped back

local EVENT = string.char(0x95, 0xb0) -- what msgpack puts before five values, and before an id, the first of them
local PASSED = 2000 -- values passed to one command: Lua's stack holds 8,000

local deltas, flights, events, lines, notices = {}, {}, {}, {}, {}
local tallies, outcomes = {}, {} -- campaign to the changes of its counts, and to its newest outcomes
local unsaved, timers = {}, {} -- id to its packed record, and to its instant (ms; false: none): written by `close`
local HOOKED -- ',a,b,': accounts that name an endpoint which is told of their messages (see lineage.lua)

-- A large number as redis.call takes it: its own way to write numbers is slow, and rounds.
local function decimal(number)
  return string.format('%.0f', number)
end

-- What is packed in `raw`, or false where there is nothing or it can't be read.
local function decode(raw)
  if not raw then
    return false
  end
  local readable, packed = pcall(cmsgpack.unpack, raw)
  return readable and type(packed) == 'table' and packed
end

local read

do
  local ARRAY = 0xdc -- what msgpack puts before more than fifteen values, and two bytes of their number

  local function values_of(raw)
    return {cmsgpack.unpack(raw:sub(4))} -- behind what tells their number: half the work of unpacking the array
  end

  -- A record that can't be read is passed over, so that it harms no other; `sendline audit` names it.
  function read(raw)
    local kind, high, low
    if raw then
      kind, high, low = raw:byte(1, 3)
    end
    if kind ~= ARRAY then
      return decode(raw)
    end
    local readable, r = pcall(values_of, raw)
    return readable and #r == high * 256 + low and r
  end
end

local ahead = {} -- id to its record, until it is asked for

local function load(id)
  local r = ahead[id]
  if r == nil then
    return filed[id] or read(unsaved[id] or redis.call('GET', K.message .. id)) or archived(id)
  end
  ahead[id] = nil
  return r
end

-- The records of up to 1024 messages, each as `load` returns it.
local function load_all(ids)
  local keys = {}
  for place, id in ipairs(ids) do
    keys[place] = K.message .. id
  end
  local records = #ids > 0 and redis.call('MGET', unpack(keys)) or {}
  for place, id in ipairs(ids) do
    records[place] = filed[id] or read(unsaved[id] or records[place]) or archived(id)
  end
  return records
end

-- Reads the records of up to 1024 messages together, before `load` is called for each.
local function load_ahead(ids)
  for place, r in ipairs(load_all(ids)) do
    ahead[ids[place]] = r
  end
end

-- What Python packed as an array of at most fifteen values.
local function argument(place)
  return {cmsgpack.unpack(ARGV[place]:sub(2))} -- as in `read`
end

local function has(r, flag)
  return r[F.flags] % (2 * flag) >= flag
end

local function set(r, flag, on)
  if has(r, flag) ~= on then
    r[F.flags] = r[F.flags] + (on and flag or -flag)
  end
end

-- Whether nothing but a receipt changes it any more, and its campaign keeps it.
local function is_archived(r)
  return has(r, FLAG.TEMPLATED) and (FINAL[r[F.status]] or has(r, FLAG.UNREPORTED))
end

-- Writes a record. Returns it as it is stored, where it is written by itself.
local function save(id, r, ttl)
  if ttl and is_archived(r) and archive(id, r) then
    unsaved[id] = nil
    return
  end
  if filed[id] or pulled[id] then
    take_out(id)
  end
  local raw = cmsgpack.pack(r)
  if ttl then
    unsaved[id] = nil
    redis.call('SET', K.message .. id, raw, 'PX', ttl)
  else
    unsaved[id] = raw
  end
  return raw
end

-- Writes what changes neither status nor the time for which it is kept.
local function amend(id, r)
  if unsaved[id] then
    save(id, r)
  elseif not (filed[id] or pulled[id]) then
    redis.call('SET', K.message .. id, cmsgpack.pack(r), 'KEEPTTL')
  elseif not archive(id, r) then
    local left = pulled[id] and redis.call('PTTL', pulled[id]) or RETENTION
    redis.call('SET', K.message .. id, cmsgpack.pack(r), 'PX', left > 0 and left or RETENTION)
    take_out(id)
  end
end

-- The end of its validity (ms). While a campaign's message was never claimed, its campaign knows.
local function expires_at(r)
  return r[F.expires] == 0 and has(r, FLAG.TEMPLATED) and math.huge or r[F.created] + r[F.expires]
end

local function is_waiting(r)
  return r[F.status] == S.CREATED or r[F.status] == S.RETRYING
end

local packed
do
  local known = {}

  -- A value packed: most of them come again and again.
  function packed(value)
    if value == nil then -- of something damaged
      return cmsgpack.pack(nil)
    end
    local raw = known[value]
    if not raw then
      raw = cmsgpack.pack(value)
      known[value] = raw
    end
    return raw
  end
end

local write_down

do
  local TIMELINE_FULL, TIMELINE_KEPT = 4096, 3072 -- bytes

  -- A timeline that has grown too long keeps its first entry and its newest ones.
  local function shorten(timeline)
    local function after(offset)
      for _ = 1, 4 do
        offset = cmsgpack.unpack_one(timeline, offset)
      end
      return offset
    end
    local first = after(0)
    local offset = first
    while #timeline - offset > TIMELINE_KEPT do
      offset = after(offset)
    end
    return timeline:sub(1, first) .. timeline:sub(offset + 1)
  end

  -- Adds an entry to its timeline: a change of its status, or news that changed none. `at`: its instant (ms), if not
  -- now. Returns its status, and the code with the reason, packed.
  function write_down(r, code, reason, at)
    local status, said = packed(r[F.status]), packed(code) .. packed(reason)
    local timeline = r[F.timeline] .. status .. packed((at or NOW) - r[F.created]) .. said
    if #timeline > TIMELINE_FULL then
      timeline = shorten(timeline)
    end
    r[F.timeline] = timeline
    return status, said
  end
end

local endpoint_of
do
  local urls = {} -- of campaigns

  -- The endpoint that a message names, or its campaign does.
  function endpoint_of(r)
    if not has(r, FLAG.TEMPLATED) then
      return cmsgpack.unpack(r[F.extras]).callback_url
    end
    local campaign = r[F.campaign]
    urls[campaign] = urls[campaign] or redis.call('HGET', K.campaign .. campaign, 'callback_url')
    return urls[campaign]
  end
end

local function record_change(id, r, code, reason, at)
  local status, said = write_down(r, code, reason, at)
  events[#events + 1] = EVENT .. id .. status .. packed(at or NOW) .. said
  if has(r, FLAG.HOOKED) then
    notices[#notices + 1] = {place = #events, about = id, url = endpoint_of(r)}
  elseif HOOKED and HOOKED:find(',' .. r[F.account] .. ',', 1, true) then
    notices[#notices + 1] = {place = #events, about = id, account = r[F.account]}
  end
end

local function count(name, by)
  deltas[name] = (deltas[name] or 0) + by
end

local function tally(campaign, name, by)
  local changes = tallies[campaign] or {}
  tallies[campaign] = changes
  changes[name] = (changes[name] or 0) + by
end

-- Counts for its campaign that a message goes `from` one status on to another, for the reason `code`.
local function follow(r, from, to, code)
  local campaign = r[F.campaign]
  tally(campaign, STATUS[from], -1)
  tally(campaign, STATUS[to], 1)
  if has(r, FLAG.UNREPORTED) then
    set(r, FLAG.UNREPORTED, false)
    tally(campaign, 'unreported', -1)
  end
  if BAD[from] and r[F.error] ~= '' then
    tally(campaign, 'e:' .. r[F.error], -1)
  end
  if BAD[to] and code ~= '' then
    tally(campaign, 'e:' .. code, 1)
  end
  if has(r, FLAG.WATCHED) and (to == S.SENT or to == S.FAILED or to == S.UNDELIVERED) then
    local outcome = to == S.SENT and '0' or from == S.SENT and 'x' or '1' -- x: one that had counted as 0 was none
    outcomes[campaign] = (outcomes[campaign] or '') .. outcome
  end
end

-- The one place where a status changes. Returns whether the table allows it; if not, nothing has happened.
local function move(id, r, to, code, reason, proof, at)
  local from = r[F.status]
  local allowed = MOVES[from][to] or (proof and r[F.attempts] > 0 and PROOFS[from][to])
  if not allowed then
    return false
  end
  local left, joined, account = STATUS[from], STATUS[to], r[F.account]
  deltas[left], deltas[joined] = (deltas[left] or 0) - 1, (deltas[joined] or 0) + 1
  if from == S.SENDING then
    flights[account] = (flights[account] or 0) - 1
  elseif to == S.SENDING then
    flights[account] = (flights[account] or 0) + 1
  end
  if from == S.UNCERTAIN then
    redis.call('ZREM', K.uncertain, id)
  end
  if to == S.RETRYING then
    set(r, FLAG.RETRIED, true)
  end
  if has(r, FLAG.TEMPLATED) then
    follow(r, from, to, code)
  end
  r[F.status] = to
  r[F.error] = code
  record_change(id, r, code, reason, at)
  return true
end

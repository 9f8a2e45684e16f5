-- Stands before every verb: the clock, the bounds in force, the record, and its moves.
-- Every verb's ARGV[1] is a packed array of the bounds (see Limits in limits.py):
--   retention ms, deadline ms, events kept, attempts at most, idempotency ms

local t = clock()
local NOW_US = tonumber(t[1]) * 1000000 + tonumber(t[2])
local NOW = math.floor(NOW_US / 1000)

local bounds = cmsgpack.unpack(ARGV[1])
local RETENTION, DEADLINE, EVENTS_KEPT, MAX_ATTEMPTS, IDEMPOTENCY = unpack(bounds)

local PARKED_MOST, PARKED_FOR = 10000, 3600000 -- receipts, ms
local WAKE_EVERY, WAKES_MOST = 1000, 100 -- ms, wakes in their queue
local CALLS_KEPT = 600000 -- ms for which a dispatcher's last call is known: no connection holds one back for longer
local AWAKE_MOST = 60000 -- ms; a longer promise was made before the clock stepped back

local ARRAY_OF_5 = string.char(0x95) -- what msgpack puts before five values

local deltas, flights, events, lines, notices = {}, {}, {}, {}, {}
local HOOKED -- ',a,b,': accounts that name an endpoint which is told of their messages (see lineage.lua)

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
    if not raw or raw:byte(1) ~= ARRAY then
      return decode(raw)
    end
    local readable, r = pcall(values_of, raw)
    return readable and #r == raw:byte(2) * 256 + raw:byte(3) and r
  end
end

local function load(id)
  return read(redis.call('GET', K.message .. id))
end

-- The records of up to 1024 messages, each as `load` returns it.
local function load_all(ids)
  local keys = {}
  for place, id in ipairs(ids) do
    keys[place] = K.message .. id
  end
  local records = #ids > 0 and redis.call('MGET', unpack(keys)) or {}
  for place = 1, #ids do
    records[place] = read(records[place])
  end
  return records
end

-- Redis out of memory refuses a script whose first write needs some; after any other write it lets it go on.
-- Every verb that helps the ledger drain begins with this one.
local function go_on_when_full()
  redis.call('DEL', K.nothing)
end

local function save(id, r, ttl)
  if ttl then
    redis.call('SET', K.message .. id, cmsgpack.pack(r), 'PX', ttl)
  else
    redis.call('SET', K.message .. id, cmsgpack.pack(r))
  end
end

-- Writes what changes neither status nor the time for which it is kept.
local function amend(id, r)
  redis.call('SET', K.message .. id, cmsgpack.pack(r), 'KEEPTTL')
end

local function has(r, flag)
  return math.floor(r[F.flags] / flag) % 2 == 1
end

local function set(r, flag, on)
  if has(r, flag) ~= on then
    r[F.flags] = r[F.flags] + (on and flag or -flag)
  end
end

local function expires_at(r)
  return r[F.created] + r[F.expires]
end

local function is_waiting(r)
  return r[F.status] == S.CREATED or r[F.status] == S.RETRYING
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

  -- Adds an entry to its timeline: a change of its status, or news that changed none. `at`: its instant (ms), if not now.
  function write_down(r, code, reason, at)
    local timeline = r[F.timeline] .. cmsgpack.pack(r[F.status], (at or NOW) - r[F.created], code, reason)
    if #timeline > TIMELINE_FULL then
      timeline = shorten(timeline)
    end
    r[F.timeline] = timeline
  end
end

local function record_change(id, r, code, reason, at)
  write_down(r, code, reason, at)
  events[#events + 1] = ARRAY_OF_5 .. cmsgpack.pack(id, r[F.status], at or NOW, code, reason)
  if has(r, FLAG.HOOKED) then
    notices[#notices + 1] = {place = #events, about = id, url = cmsgpack.unpack(r[F.extras]).callback_url}
  elseif HOOKED and HOOKED:find(',' .. r[F.account] .. ',', 1, true) then
    notices[#notices + 1] = {place = #events, about = id, account = r[F.account]}
  end
end

local function count(name, by)
  deltas[name] = (deltas[name] or 0) + by
end

-- The one place where a status changes. Returns whether the table allows it; if not, nothing has happened.
local function move(id, r, to, code, reason, proof, at)
  local from = r[F.status]
  local allowed = MOVES[from][to] or (proof and r[F.attempts] > 0 and PROOFS[from][to])
  if not allowed then
    return false
  end
  count(STATUS[from], -1)
  count(STATUS[to], 1)
  if from == S.SENDING then
    flights[r[F.account]] = (flights[r[F.account]] or 0) - 1
  elseif to == S.SENDING then
    flights[r[F.account]] = (flights[r[F.account]] or 0) + 1
  end
  if from == S.UNCERTAIN then
    redis.call('ZREM', K.uncertain, id)
  end
  if to == S.RETRYING then
    set(r, FLAG.RETRIED, true)
  end
  r[F.status] = to
  r[F.error] = code
  record_change(id, r, code, reason, at)
  return true
end

-- Claims what may go now: takes rate tokens and messages together, over all routes with work.
-- KEYS: none (see keys.py).
-- ARGV[2] dispatcher  [3] number of this call, rising  [4] room: messages it can carry now
--     [5] room for what is not urgent  [6] lease ms  [7] horizon us: what may go within it is waited for
--     [8] promise ms: claims again within  [9] 1: sign off if nothing may go within the horizon
-- Returns {now us, next instant us (0: none), signed off, then for each message {id, token, account, record}},
-- or {now us, -1, 0} where a later call of this dispatcher has come before this one,
-- or {now us, -2, 0} where the ledger is behind what somebody has seen of it: nothing is claimed then.

local dispatcher, call = ARGV[2], tonumber(ARGV[3])
local room, room_below = tonumber(ARGV[4]), tonumber(ARGV[5])
local lease, horizon, promise = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local LINES_A_CALL, EXAMINED_A_CALL = 256, 1024
local FULL_FOR_US, UNKNOWN_FOR_US = 20000, 5000000

go_on_when_full()

local took, reply = {}, {NOW_US, 0, 0}
local accounts, examined, met = {}, 0, {}

if BEHIND then
  return close({NOW_US, -2, 0})
end

-- The same call again: its reply was lost. What it claimed is returned once more.
local before = redis.call('GET', K.dispatcher .. dispatcher)
if before then
  before = cmsgpack.unpack(before)
  if call < before[1] then
    return close({NOW_US, -1, 0})
  end
  if call == before[1] then
    for place = 2, #before, 2 do
      local id, token = before[place], before[place + 1]
      local r = load(id)
      if r and r[F.status] == S.SENDING and r[F.claim] == token then
        reply[#reply + 1] = {id, token, r[F.account], cmsgpack.pack(r)}
      end
    end
    reply[2] = next_instant(0) or 0
    return close(reply)
  end
end

local function account_of(name)
  local a = accounts[name]
  if a == nil then
    local h = redis.call('HMGET', K.account .. name, 'interval', 'burst', 'tat', 'paused_until', 'stopped',
      'in_flight', 'flying')
    a = tonumber(h[1]) and {
      name = name, interval = tonumber(h[1]), burst = tonumber(h[2]), tat = tonumber(h[3] or 0),
      paused_until = tonumber(h[4] or 0), stopped = h[5], in_flight = tonumber(h[6] or 0),
      flying = tonumber(h[7] or 0),
    } or false
    if a and a.tat > NOW_US + (a.burst + 1) * a.interval then -- one token more may be owed to asking: see inquire.lua
      a.tat, a.spent = NOW_US + a.burst * a.interval, true -- the clock stepped back, or the limits changed
    end
    accounts[name] = a
  end
  return a
end

-- The account that the route's next message takes: the first that is not stopped; one that is stopped may
-- be tried with a single message once its pause is over. Else nil and the instant (us) to look again.
local function choose(route)
  local again
  for name in route:gmatch('[^,]+') do
    local a = account_of(name)
    if a then
      if not a.stopped or a.paused_until <= NOW then
        return a
      end
      again = math.min(again or a.paused_until * 1000, a.paused_until * 1000)
    end
  end
  return nil, again or NOW_US + UNKNOWN_FOR_US
end

-- How many messages the account may send now, and when to look again if none.
-- GCRA: `tat` is the instant at which the account would be idle again.
local function allowance(a)
  if a.paused_until > NOW then
    return 0, a.paused_until * 1000
  end
  if a.in_flight > 0 and a.flying >= a.in_flight then
    return 0, NOW_US + FULL_FOR_US
  end
  local busy = math.max(a.tat, NOW_US)
  local free = math.floor((NOW_US + a.burst * a.interval - busy) / a.interval)
  if a.in_flight > 0 then
    free = math.min(free, a.in_flight - a.flying)
  end
  if a.stopped then
    free = math.min(free, 1)
  end
  return free, busy - (a.burst - 1) * a.interval
end

local function spend(a, n)
  a.tat = math.max(a.tat, NOW_US) + n * a.interval
  a.flying = a.flying + n
  a.spent = true
  if a.stopped and n > 0 then
    a.paused_until = NOW + lease
    redis.call('HSET', K.account .. a.name, 'paused_until', a.paused_until)
  end
end

local function claim(id, r, a)
  set(r, FLAG.QUEUED, false)
  if expires_at(r) <= NOW then
    give_up(id, r, S.EXPIRED, r[F.error], 'its validity ended')
    return 0
  end
  if has(r, FLAG.CANCEL) then
    give_up(id, r, S.CANCELED, r[F.error], 'a person said so')
    return 0
  end
  r[F.account] = a.name
  r[F.attempts] = r[F.attempts] + 1
  move(id, r, S.SENDING, '', r[F.route] == a.name and '' or 'by account ' .. a.name)
  took[#took + 1] = {id = id, r = r}
  return 1
end

-- Takes up to `n` messages off a line. Ids of messages that don't wait any more are dropped on the way.
local function take(line, a, n)
  local got = 0
  while got < n and examined < EXAMINED_A_CALL do
    local ids = redis.call('LPOP', line, n - got)
    if not ids then
      break
    end
    examined = examined + #ids
    for _, id in ipairs(ids) do
      local r = load(id)
      if not met[id] and r and is_waiting(r) and has(r, FLAG.QUEUED) then
        met[id] = true
        got = got + claim(id, r, a)
      end
    end
  end
  return got
end

local function serve(lane, route, places)
  local line = K.line .. lane .. ':' .. route
  local a, again = choose(route)
  local got = 0
  if a then
    local free
    free, again = allowance(a)
    if free > 0 then
      got = take(line, a, math.min(free, places))
      spend(a, got)
      free, again = allowance(a)
      if free > 0 then
        again = NOW_US -- it is our room, not its limit, that ended
      end
    end
  end
  if redis.call('LLEN', line) == 0 then
    redis.call('ZREM', K.ready .. lane, route)
  else
    redis.call('ZADD', K.ready .. lane, again, route)
  end
  if got > 0 then
    redis.call('HSET', K.turns, lane .. ':' .. route, NOW_US)
  end
  return got
end

-- The routes of a lane that may go now, the one whose last turn is longest ago first: so those that share an
-- account, or our room, take turns.
local function ready_routes(lane)
  local routes = redis.call('ZRANGEBYSCORE', K.ready .. lane, '-inf', NOW_US, 'LIMIT', 0, LINES_A_CALL)
  if #routes > 1 then
    local fields, turns = {}, {}
    for place, route in ipairs(routes) do
      fields[place] = lane .. ':' .. route
    end
    for place, at in ipairs(redis.call('HMGET', K.turns, unpack(fields))) do
      turns[routes[place]] = tonumber(at or 0)
    end
    table.sort(routes, function(a, b)
      return turns[a] < turns[b]
    end)
  end
  return routes
end

for lane = 0, LANES - 1 do
  local places = lane == 0 and room or math.min(room, room_below)
  if places > 0 then
    for _, route in ipairs(ready_routes(lane)) do
      if places <= 0 or examined >= EXAMINED_A_CALL then
        break
      end
      local got = serve(lane, route, places)
      places, room, room_below = places - got, room - got, room_below - got
    end
  end
end

for name, a in pairs(accounts) do
  if a and a.spent then
    redis.call('HSET', K.account .. name, 'tat', string.format('%.0f', a.tat))
  end
end

local remembered = {call}
if #took > 0 then
  local token = redis.call('HINCRBY', K.meta, 'claims', #took) - #took
  for place, taken in ipairs(took) do
    local id, r = taken.id, taken.r
    r[F.claim] = token + place
    redis.call('ZADD', K.timers, NOW + lease, id)
    local raw = cmsgpack.pack(r)
    redis.call('SET', K.message .. id, raw)
    reply[#reply + 1] = {id, token + place, r[F.account], raw}
    remembered[#remembered + 1] = id
    remembered[#remembered + 1] = token + place
  end
end
redis.call('SET', K.dispatcher .. dispatcher, cmsgpack.pack(remembered), 'PX', CALLS_KEPT)

local upcoming = next_instant(0)
reply[2] = upcoming or 0

local nothing_near = not upcoming or upcoming > NOW_US + horizon
if ARGV[9] == '1' and #took == 0 and nothing_near then
  redis.call('ZREM', K.awake, dispatcher)
  reply[3] = 1
elseif room > 0 then
  redis.call('ZADD', K.awake, NOW + promise, dispatcher)
  local below = room_below <= 0 and next_instant(1)
  if below and below <= NOW_US then
    wake_another() -- what room is left is kept for urgent ones
  end
else
  redis.call('ZREM', K.awake, dispatcher)
  if upcoming and upcoming <= NOW_US then
    rouse() -- more work than this dispatcher can carry
  end
end
return close(reply)

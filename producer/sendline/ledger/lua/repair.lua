-- Mends what is derived from one message's record, as it is at this instant. Never writes the record itself.
-- That is where it stands, its timer, whether it is held as uncertain or asked about, and how long its record is kept.
-- KEYS: none (see keys.py).
-- ARGV[2] id  [3] lease (ms) of a claim whose end is lost  [4..] rows (`lane code:route`, and
--     `:row` unless that is empty) where its id was seen
-- Returns what it mended, in words: 'place', 'extra place', 'timer', 'lifetime', 'question'.

local id, lease = ARGV[2], tonumber(ARGV[3])
local mended = {}

local function tell(word, changed)
  if changed then
    mended[#mended + 1] = word
  end
end

-- Nothing stands in a row any more.
local function dissolve(lane, route, row)
  local line = lane .. ':' .. route
  redis.call('ZREM', K.rows .. line, row)
  redis.call('ZREM', K.held .. line, row)
  if redis.call('EXISTS', K.rows .. line, K.held .. line) == 0 then
    redis.call('DEL', K.resting .. line)
    redis.call('ZREM', K.ready .. lane, route)
  end
end

-- Leaves its id in the row at most `kept` times, those nearest to the head.
local function leave_in(key, kept)
  local extra = #redis.call('LPOS', key, id, 'COUNT', 0) - kept
  if extra <= 0 then
    return false
  end
  redis.call('LREM', key, -extra, id)
  if redis.call('EXISTS', key) == 0 then
    dissolve(key:match('^' .. K.line .. '(%d+):([^:]*):?(.*)$'))
  end
  return true
end

-- Takes its id out of every row where it was seen, but for these two.
local function leave_others(own, other)
  local changed = false
  for place = 4, #ARGV do
    local key = K.line .. ARGV[place]
    if key ~= own and key ~= other then
      changed = leave_in(key, 0) or changed
    end
  end
  return changed
end

-- Sets the timer, where it is missing or another instant than that. Two that have passed are as good as one.
local function look_at(instant)
  local timer = tonumber(redis.call('ZSCORE', K.timers, id) or nil)
  if timer and (timer == instant or math.max(timer, instant) <= NOW) then
    return false
  end
  redis.call('ZADD', K.timers, math.max(instant, NOW), id)
  return true
end

local function keep_for_ever()
  return redis.call('PERSIST', K.message .. id) == 1
end

local function forget(set)
  return redis.call('ZREM', set, id) == 1
end

local function forget_question()
  return redis.call('ZREM', K.uncertain, id) + redis.call('ZREM', K.unreported, id) > 0
end

local function mend_waiting(r)
  local own, other = places_of(r)
  local queued = has(r, FLAG.QUEUED)
  tell('lifetime', keep_for_ever())
  tell('question', forget_question())
  tell('extra place', leave_others(own, other))
  local here = queued and redis.call('LPOS', own, id)
  tell('extra place', leave_in(own, here and 1 or 0))
  if other ~= own then
    tell('extra place', leave_in(other, queued and not here and 1 or 0))
  end
  if queued then
    local ends = expires_at(r)
    tell('timer', ends < math.huge and look_at(ends))
    if not here and not redis.call('LPOS', other, id) then
      enqueue(id, r, false)
      tell('place', true)
    end
  elseif r[F.due] ~= 0 or not redis.call('ZSCORE', K.timers, id) then
    tell('timer', look_at(math.min(r[F.created] + r[F.due], expires_at(r))))
  end
end

local function mend_sending()
  tell('lifetime', keep_for_ever())
  tell('question', forget_question())
  tell('timer', redis.call('ZADD', K.timers, 'NX', NOW + lease, id) == 1)
end

local function mend_held(r)
  tell('lifetime', keep_for_ever())
  tell('timer', look_at(r[F.created] + r[F.due]))
  local asks = redis.call('HGET', K.account .. r[F.account], 'asks') == '1'
  tell('question', forget(K.unreported))
  tell('question', redis.call('ZADD', K.uncertain, 'NX', asks and NOW + FIRST_ASKED or '+inf', id) == 1)
end

-- It is final, or `sent`: it ends by itself. What is sent may have a timer until its receipt is late; then it is asked
-- about.
local function mend_settled(r)
  local is_sent = r[F.status] == S.SENT
  local is_late = redis.call('ZSCORE', K.unreported, id)
  local timer = tonumber(redis.call('ZSCORE', K.timers, id) or nil)
  if timer and (not is_sent or is_late or timer >= r[F.created] + r[F.due]) then
    tell('timer', forget(K.timers))
  end
  tell('question', forget(K.uncertain))
  tell('question', not is_sent and forget(K.unreported))
  local key = pulled[id] or K.message .. id
  if redis.call('PTTL', key) == -1 then
    local deadline = r[F.status] == S.SENT and math.max(r[F.created] + r[F.due] - NOW, 0) or 0
    tell('lifetime', redis.call('PEXPIRE', key, deadline + RETENTION) == 1)
  end
end

-- An uncertain message is final once the tick has seen its deadline pass: then it ends by itself.
local function is_held(r)
  local ends = redis.call('PTTL', K.message .. id) >= 0
  return r[F.status] == S.UNCERTAIN and not (ends and (r[F.text] == '' or r[F.created] + r[F.due] <= NOW))
end

local function mend()
  local r = load(id)
  if not r then
    if redis.call('EXISTS', K.message .. id) == 0 and not pulled[id] then
      tell('timer', forget(K.timers))
      tell('question', forget_question())
      tell('extra place', leave_others())
    end
  elseif is_waiting(r) then
    mend_waiting(r)
  elseif r[F.status] == S.SENDING then
    mend_sending()
  elseif is_held(r) then
    mend_held(r)
  else
    mend_settled(r)
  end
end

if not BEHIND then
  mend()
end
if next(lines) then
  rouse()
end
return close(mended)

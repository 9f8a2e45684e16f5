-- Holds as uncertain whatever may have been claimed in what the ledger forgot when it came back from an older state.
-- Some at each call; at the end dispatching goes on.
-- KEYS: none (see keys.py).
-- ARGV[2] since ms (0: the last sign of life before the loss)  [3] until ms (0: when it was noticed, else now)
--     [4] messages looked at, at most  [5] reason  [6] era that this recovery ends (see state() in recovery.py)
-- Returns {1 if done else 0, held so far, since ms, until ms}; {-1, 0, since, until} where until is before since:
-- nothing was begun. The first call sets since and until. Where the era has ended already, what came of it.
-- Claims follow the lines' order and the accounts' rates. So of each line only so many from its head may have been
-- claimed as its accounts could send meanwhile; and what came due meanwhile, and what was being sent.

go_on_when_full()

local LONGEST_LEASE = 120000 -- ms
local STEP = 200
local CLAIMS_JUMP = 100000000 -- beyond any token that was given out and forgotten
local ALL = 1e15

local left, reason = tonumber(ARGV[4]), ARGV[5]
local job = decode(redis.call('GET', K.recovery))
if ERA ~= tonumber(ARGV[6]) then
  return close({1, job and job.held or 0, job and job.since or 0, job and job.till or 0})
end

-- How many messages the accounts of a route could send in `us` microseconds.
local function sendable(route, us, limits)
  local sum = 0
  for name in route:gmatch('[^,]+') do
    if not limits[name] then
      return ALL
    end
    sum = sum + math.ceil(us / limits[name][1]) + limits[name][2]
  end
  return sum
end

local function begin()
  local noticed = BEHIND and cmsgpack.unpack(BEHIND)
  local since, till = tonumber(ARGV[2]), tonumber(ARGV[3])
  if since == 0 then
    since = noticed and noticed[2] or last_known(MARK)
  end
  if till == 0 then
    till = noticed and noticed[1] or NOW
  end
  if till < since then
    return nil, {-1, 0, since, till}
  end
  if not noticed then
    fall_behind(ERA, SEQ, MARK) -- dispatching stops meanwhile
  end
  local limits = cmsgpack.unpack(BEHIND)[5] -- as they were when it was noticed
  local lines, us = {}, (till - since + 2 * CLOCKS_APART) * 1000
  for lane = 0, LANES - 1 do
    lines[#lines + 1] = {lane, '', ALL} -- they may have got their route and gone
    for _, route in ipairs(redis.call('ZRANGE', K.ready .. lane, 0, -1)) do
      lines[#lines + 1] = {lane, route, sendable(route, us, limits)}
    end
  end
  return {since = since, till = till, held = 0, line = 1, place = 0, lines = lines}
end

if not job or job.done then
  local refusal
  job, refusal = begin()
  if not job then
    return close(refusal)
  end
end

-- The account that most likely claimed it.
local function likely(route)
  for name in route:gmatch('[^,]+') do
    if redis.call('HEXISTS', K.account .. name, 'stopped') == 0 then
      return name
    end
  end
  return route:match('[^,]+') or ''
end

local function hold_back(id, r)
  if is_waiting(r) then
    r[F.attempts] = r[F.attempts] + 1
    r[F.account] = likely(r[F.route])
    r[F.claim] = 0 -- what an older claim came to says nothing about a forgotten one
  end
  move(id, r, S.UNCERTAIN, 'failover', reason)
  hold(id, r)
  save(id, r)
  job.held = job.held + 1
end

local function was_there(r)
  return r[F.created] <= job.till + CLOCKS_APART
end

-- The place among the timers behind the one that was looked at last, wherever others have gone since.
local function next_place()
  if not job.timer_id then
    return 0
  end
  if redis.call('ZSCORE', K.timers, job.timer_id) == job.timer_at then
    return redis.call('ZRANK', K.timers, job.timer_id) + 1
  end
  return redis.call('ZCOUNT', K.timers, '-inf', '(' .. job.timer_at)
end

-- What was being sent, or came due meanwhile. Returns whether that is all.
local function hold_timed()
  local latest = math.max(job.till, NOW) + LONGEST_LEASE + CLOCKS_APART
  while left > 0 do
    local place = next_place()
    local found = redis.call('ZRANGE', K.timers, place, place + math.min(left, STEP) - 1, 'WITHSCORES')
    for at = 1, #found, 2 do
      if tonumber(found[at + 1]) > latest then
        return true
      end
      local id = found[at]
      job.timer_id, job.timer_at = id, found[at + 1]
      local r = load(id)
      local waits = r and is_waiting(r) and not has(r, FLAG.QUEUED)
      local came_due = waits and was_there(r) and r[F.created] + r[F.due] <= job.till + CLOCKS_APART
      if r and (r[F.status] == S.SENDING or came_due) then
        hold_back(id, r)
      end
    end
    left = left - #found / 2
    if #found == 0 then
      return true
    end
  end
  return false
end

-- Whether a claim of it would surely have taken something of the rate. One that had expired or was canceled is
-- dropped; one that was claimed before may stand at the head only since the loss.
local function takes_rate(r)
  return expires_at(r) > job.till and not has(r, FLAG.CANCEL) and r[F.claim] == 0
end

-- The head of each line. Returns whether that is all.
local function hold_heads()
  while job.lines[job.line] do
    local lane, route, budget = unpack(job.lines[job.line])
    local key = K.line .. lane .. ':' .. route
    while budget > 0 do
      if left <= 0 then
        return false
      end
      local ids = redis.call('LRANGE', key, job.place, job.place + math.min(left, STEP) - 1)
      if #ids == 0 then
        break
      end
      for _, id in ipairs(ids) do
        local r = load(id)
        if budget > 0 and r and is_waiting(r) and has(r, FLAG.QUEUED) and was_there(r) then
          redis.call('LREM', key, 1, id)
          if takes_rate(r) then
            budget = budget - 1
          end
          hold_back(id, r)
        else
          job.place = job.place + 1
        end
      end
      left = left - #ids
      job.lines[job.line][3] = budget
    end
    job.line, job.place = job.line + 1, 0
  end
  return true
end

-- Tokens go on beyond whatever was given out and forgotten: no old one fits a new claim.
local function finish_recovery()
  local claims = tonumber(redis.call('HGET', K.meta, 'claims') or 0)
  local era = math.max(ERA, cmsgpack.unpack(BEHIND)[6]) + 1 -- a recovery may have been forgotten, too
  local upto = claims + CLAIMS_JUMP * (era - ERA)
  ERA, BEHIND, job.done, job.lines = era, nil, true, {}
  redis.call('HSET', K.meta, 'era', ERA, 'ticked_at', NOW,
    'claims', string.format('%.0f', upto),
    'lost_above', string.format('%.0f', claims), 'lost_upto', string.format('%.0f', upto))
  redis.call('HDEL', K.meta, 'behind', 'gaps')
  rouse()
end

local done = hold_timed() and hold_heads()
if done then
  finish_recovery()
end
redis.call('SET', K.recovery, cmsgpack.pack(job))
return close({done and 1 or 0, job.held, job.since, job.till})

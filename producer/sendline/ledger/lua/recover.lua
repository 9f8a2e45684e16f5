-- Holds as uncertain whatever may have been claimed in what the ledger forgot when it came back from an older state.
-- Some at each call; at the end dispatching goes on.
-- KEYS: none (see keys.py).
-- ARGV[2] since ms (0: the last sign of life before the loss)  [3] until ms (0: when it was noticed, else now)
--     [4] messages looked at, at most  [5] reason  [6] era that this recovery ends (see state() in recovery.py)
-- Returns {1 if done else 0, held so far, since ms, until ms}; {-1, 0, since, until} where until is before since:
-- nothing was begun. The first call sets since and until. Where the era has ended already, what came of it.
-- Claims follow the rows' order and the accounts' rates. So of each row only so many from its head may have been
-- claimed as its accounts could send meanwhile; and what came due meanwhile, and what was being sent.

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
  return {since = since, till = till, held = 0, line = 1, lines = lines}
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

-- The rows of a line. Any of them may have been the one that all claims were served from, so that each has the whole
-- budget of its line.
local function rows_of(line)
  local rows, known = {''}, {['']=true}
  for _, set in ipairs({K.rows, K.held}) do
    for _, row in ipairs(redis.call('ZRANGE', set .. line, 0, -1)) do
      rows[#rows + 1] = not known[row] and row or nil
      known[row] = true
    end
  end
  return rows
end

-- Goes on to the next row, or to the next line. Returns whether there is one.
local function turn_to_next_row()
  job.row, job.place, job.spent = (job.row or 0) + 1, 0, {}
  if job.rows and job.rows[job.row] then
    return true
  end
  job.line = job.rows and job.line + 1 or job.line
  local at = job.lines[job.line]
  if not at then
    return false
  end
  job.row, job.rows = 1, rows_of(at[1] .. ':' .. at[2])
  return true
end

-- Whether nothing more of a row may have been claimed. What stands in it from before accounts of its route began to
-- limit what goes from one sender was claimed from other rows, each with a budget of its own: all of it is looked at.
local function is_through(row, budget)
  return (job.spent[row] or 0) >= budget
end

-- Looks at one id at the head of a row, and holds it where it may have been claimed. Returns whether it did.
local function hold_head(id, key, budget)
  local r = load(id)
  if not (r and is_waiting(r) and has(r, FLAG.QUEUED) and was_there(r)) then
    return false
  end
  local own = row_of(r)
  local spent = job.spent[own] or 0
  if spent >= budget then
    return false
  end
  redis.call('LREM', key, 1, id)
  job.spent[own] = spent + (takes_rate(r) and 1 or 0)
  hold_back(id, r)
  return true
end

-- Looks at the next ids of a row. Returns whether there were any.
local function hold_some(lane, route, budget)
  local row = job.rows[job.row]
  local key = row_key(lane .. ':' .. route, row)
  local ids = redis.call('LRANGE', key, job.place, job.place + math.min(left, STEP) - 1)
  left = left - math.max(#ids, 1)
  for _, id in ipairs(ids) do
    if is_through(row, budget) then
      return false
    end
    if not hold_head(id, key, budget) then
      job.place = job.place + 1
    end
  end
  return #ids > 0
end

-- The head of each row of each line. Returns whether that is all.
local function hold_heads()
  if not job.rows and not turn_to_next_row() then
    return true
  end
  while left > 0 do
    if not hold_some(unpack(job.lines[job.line])) and not turn_to_next_row() then
      return true
    end
  end
  return false
end

-- Tokens go on beyond whatever was given out and forgotten: no old one fits a new claim.
local function finish_recovery()
  local claims = tonumber(redis.call('HGET', K.meta, 'claims') or 0)
  local era = math.max(ERA, cmsgpack.unpack(BEHIND)[6]) + 1 -- a recovery may have been forgotten, too
  local upto = claims + CLAIMS_JUMP * (era - ERA)
  ERA, BEHIND, job.done, job.lines, job.rows = era, nil, true, {}, {}
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

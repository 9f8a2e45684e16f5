-- What the tick does for campaigns: starts those whose time has come, pauses those that fail, brings them to their end, and
-- forgets those that are no longer kept.

local look_after_campaigns
do
  local FIELDS = {
    'state', 'complete', 'ends', 'open_until', 'pause_at', 'pause_over', 'created', 'retrying', 'sending', 'sent', 'uncertain',
    'walked', 'alive', 'lost', 'unreported', 'ended',
  }
  local UNDER_WAY = {'created', 'retrying', 'sending'}
  local VISITED = 20 -- campaigns of which one tick sees whether they are still kept, and weights: others each time
  local WEIGHT_KEPT = 7776000000 -- ms (90 days): for so long the weight of a name is kept that no campaign has
  local STUCK_AFTER = 600000 -- ms: longer than any claim lasts

  local function standing_of(name)
    local c = {}
    for place, value in ipairs(redis.call('HMGET', K.campaign .. name, unpack(FIELDS))) do
      c[FIELDS[place]] = value and (tonumber(value) or value) or nil
    end
    c.waiting = (c.created or 0) + (c.retrying or 0)
    return c
  end

  -- Ends messages that stood in a row. Returns how many were looked at.
  local function end_all(ids, status, reason)
    local records = load_all(ids)
    for place, id in ipairs(ids) do
      local r = records[place]
      if r and is_waiting(r) and has(r, FLAG.QUEUED) then
        set(r, FLAG.QUEUED, false)
        give_up(id, r, status, status == S.EXPIRED and r[F.error] or '', reason)
      end
    end
    return #ids
  end

  -- Counts as failed what counts as under way, and is not: none of the campaign's messages is, and the records of `lost` of
  -- them can't be read, or are gone.
  local function write_off(name, c, lost)
    local off, pending = 0, tallies[name] or {}
    local numbers = {}
    for _, status in ipairs(UNDER_WAY) do
      numbers[status] = (c[status] or 0) + (pending[status] or 0)
      off = off + numbers[status]
    end
    if off == 0 or off > lost then
      return -- counts that are wrong, `sendline audit` tells and mends
    end
    for status, number in pairs(numbers) do
      tally(name, status, -number)
      count(status, -number)
    end
    tally(name, 'failed', off)
    tally(name, 'e:unreadable', off)
    count('failed', off)
  end

  -- Ends some of the messages that stand in no row, and goes on behind them the next time. Returns how many were looked at.
  local function walk(name, c, status, reason, most)
    local from = c.walked or 0
    local alive, lost = from > 0 and c.alive or 0, from > 0 and c.lost or 0
    local ids = redis.call('LRANGE', K.members .. name, from, from + most - 1)
    local records = load_all(ids)
    for place, id in ipairs(ids) do
      local r = records[place]
      if not r then
        lost = lost + 1
        timers[id] = false
        redis.call('PEXPIRE', K.message .. id, RETENTION, 'NX')
      elseif is_waiting(r) then
        alive = alive + 1
        set(r, FLAG.QUEUED, false)
        give_up(id, r, status, status == S.EXPIRED and r[F.error] or '', reason)
      elseif r[F.status] == S.SENDING or r[F.status] == S.UNCERTAIN then -- that may be sent again
        alive = alive + 1
      end
    end
    if #ids == most then
      redis.call('HSET', K.campaign .. name, 'walked', from + #ids, 'alive', alive, 'lost', lost)
      return #ids
    end
    redis.call('HSET', K.campaign .. name, 'walked', 0)
    if alive == 0 then
      write_off(name, c, lost)
    end
    return #ids
  end

  -- Ends up to `most` messages of a campaign: those that stand in its rows, then all others. Returns how many were looked at.
  local function drain(name, c, status, reason, most)
    local left = most
    each_row_of(name, function(kind, route, row)
      while left > 0 do
        local ids = redis.call('LPOP', row_key(BULK .. ':' .. route, row), left)
        if not ids or #ids == 0 then
          return drop_row(name, kind, route, row)
        end
        left = left - end_all(ids, status, reason)
      end
    end)
    if left > 0 then
      left = left - walk(name, c, status, reason, left)
    end
    return most - left
  end

  -- Pauses a campaign of whose newest outcomes too many were failures.
  local function watch(name, c)
    local over, recent, mended = c.pause_over, redis.call('GET', K.outcomes .. name) or '', 0
    repeat
      recent, mended = recent:gsub('0(1*)x', '1%1')
    until mended == 0
    recent = recent:gsub('x', '')
    if #recent > over then
      recent = recent:sub(-over)
    end
    redis.call('SET', K.outcomes .. name, recent)
    local _, failed = recent:gsub('1', '')
    if c.state == 'running' and #recent >= over and failed * 1000000 >= c.pause_at * over then
      redis.call('DEL', K.outcomes .. name)
      pause_campaign(name, string.format('%d of the last %d failed', failed, over))
    end
  end

  local function finish_campaign(name, c)
    local key = K.campaign .. name
    if c.state and c.state ~= 'canceled' then
      redis.call('HSET', key, 'state', 'finished', 'ended', NOW)
    end
    redis.call('SREM', K.running, name)
    redis.call('HDEL', K.weights, name, '@' .. name)
    clear_rows(name)
    redis.call('DEL', K.outcomes .. name, K.hours .. name)
    redis.call('PEXPIRE', key, RETENTION)
    redis.call('PEXPIRE', K.members .. name, RETENTION)
  end

  -- Forgets a campaign that is no longer kept, with what late news has left of it, and ends one that was never started.
  local function visit(name)
    local state, ends, at = unpack(redis.call('HMGET', K.campaign .. name, 'state', 'ends', 'at'))
    if not state then
      redis.call('DEL', K.campaign .. name, K.members .. name, K.outcomes .. name, K.hours .. name)
      redis.call('ZREM', K.campaigns, name)
      redis.call('ZREM', K.starts, name)
      redis.call('HDEL', K.weights, name, '@' .. name)
      clear_rows(name)
    elseif state == 'created' then
      ends = tonumber(ends) or at + UNSTARTED_FOR -- it was founded by a release that knew no end of it
      if ends <= NOW then
        redis.call('HSETNX', K.campaign .. name, 'ends', decimal(ends))
        redis.call('SADD', K.running, name)
      end
    end
  end

  -- Forgets the weight of a name that `send` is given, once it was neither changed nor used for long. With a weight, named
  -- '@' and its name, is kept since when it is so (ms), and the weight that it was then.
  local function visit_weight(field)
    local name = field:match('^@?(.*)')
    local mark = '@' .. name
    local weight, noted = unpack(redis.call('HMGET', K.weights, name, mark))
    local at, was = (noted or ''):match('^(%d+) (.*)')
    if not weight then
      redis.call('HDEL', K.weights, mark)
    elseif weight ~= was then
      redis.call('HSET', K.weights, mark, decimal(NOW) .. ' ' .. weight)
    elseif at + WEIGHT_KEPT <= NOW and redis.call('EXISTS', K.campaign .. name) == 0 then
      redis.call('HDEL', K.weights, name, mark)
    end
  end

  -- What to do with what is left of a campaign: the status that it gets, and why; nil: nothing.
  local function fate_of(c)
    if c.state == 'canceled' then
      return S.CANCELED, 'its campaign was canceled'
    elseif c.ends <= NOW then
      return S.EXPIRED, c.state == 'created' and 'its campaign was not started in time' or 'its campaign ended'
    end
  end

  local function is_stuck(c)
    return (c.sending or 0) > 0 and (c.ended or c.ends) + STUCK_AFTER <= NOW
  end

  local function is_over(c)
    local open = (c.sent or 0) - (c.unreported or 0) + (c.uncertain or 0) -- may still become something else
    return c.waiting + (c.sending or 0) == 0 and (open == 0 or (c.open_until or 0) <= NOW)
      and (c.complete or c.state == 'canceled' or c.ends <= NOW)
  end

  -- Returns how many messages were looked at: `most` where there may be more.
  function look_after_campaigns(most)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', K.starts, '-inf', NOW, 'LIMIT', 0, most)) do
      if redis.call('HGET', K.campaign .. name, 'state') == 'scheduled' then
        begin_campaign(name)
      else
        redis.call('ZREM', K.starts, name)
      end
    end
    for _, name in ipairs(redis.call('ZRANDMEMBER', K.campaigns, VISITED)) do
      visit(name)
    end
    for _, field in ipairs(redis.call('HRANDFIELD', K.weights, VISITED)) do
      visit_weight(field)
    end
    local looked_at = 0
    for _, name in ipairs(redis.call('SMEMBERS', K.running)) do
      local c = standing_of(name)
      if c.pause_at then
        watch(name, c)
      end
      if not c.state or is_over(c) then
        finish_campaign(name, c)
      elseif (c.waiting > 0 or is_stuck(c)) and looked_at < most then
        local status, reason = fate_of(c)
        if status then
          looked_at = looked_at + drain(name, c, status, reason, most - looked_at)
        end
      end
    end
    return looked_at
  end
end

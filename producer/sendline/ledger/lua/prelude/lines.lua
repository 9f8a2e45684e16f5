-- Lines and their rows. A line is `lane code:route`. Its messages stand in rows, each first in first out: one for each
-- campaign in the lane `bulk`, and one for each sender where an account of the route limits what goes from one sender.
-- Rows take turns (start-time fair queueing): the row with the least turn goes first, and what goes from it, divided by
-- its weight, is added to its turn. One that comes back goes on with its turn, or with the least one of those that wait.

local BULK = LANES - 1
local SENDER_MARK = 12 -- characters

local function is_split(route)
  for name in route:gmatch('[^,]+') do
    if SPLIT:find(',' .. name .. ',', 1, true) then
      return true
    end
  end
  return false
end

-- What stands for a sender in keys, which people see.
local function mark_of(sender)
  return redis.sha1hex(sender):sub(1, SENDER_MARK)
end

-- A row's name is `campaign#zones@sender`, each part only where messages are kept apart by it.
local function row_of(r)
  local route = r[F.route]
  if route == '' then
    return ''
  end
  local row = r[F.lane] == BULK and r[F.campaign] or ''
  if row ~= '' and (r[F.zones] or '') ~= '' then
    row = row .. '#' .. r[F.zones]
  end
  if SPLIT and is_split(route) then
    row = row .. '@' .. (r[F.sender] == '' and '' or mark_of(r[F.sender]))
  end
  return row
end

local function row_key(line, row)
  return K.line .. line .. (row == '' and '' or ':' .. row)
end

local function campaign_of(row)
  return row:match('^[^#@]*')
end

-- The key of the rows of one campaign that take turns, where it has several.
local function senders_key(line, campaign)
  return K.senders .. line .. ':' .. campaign
end

-- A campaign with several rows: they share its weight.
local function is_one_of_several(row)
  return row:find('^[^#@]+[#@]') ~= nil
end

-- A row that something stands in, again or for the first time, takes turns, unless its campaign rests.
local function join(lane, route, row)
  local line, campaign = lane .. ':' .. route, lane == BULK and campaign_of(row) or ''
  if campaign ~= '' and redis.call('SISMEMBER', K.stilled, campaign) == 1 then
    redis.call('ZADD', K.held .. line, NEVER_US, row)
    redis.call('ZADD', K.ready .. lane, 'NX', NEVER_US, route)
    return
  end
  if is_one_of_several(row) then
    redis.call('SADD', senders_key(line, campaign), row)
  end
  local turn = tonumber(redis.call('ZSCORE', K.resting .. line, row) or 0)
  local first = redis.call('ZRANGE', K.rows .. line, 0, 0, 'WITHSCORES')
  if not first[2] then -- the others are held: their turns are kept where they rest
    first = redis.call('ZRANGE', K.resting .. line, 0, 0, 'WITHSCORES')
  end
  redis.call('ZADD', K.rows .. line, 'NX', math.max(turn, tonumber(first[2] or 0)), row)
  redis.call('ZADD', K.ready .. lane, 'LT', NOW_US, route)
end

-- Puts ids into the row of the message `r`: all of them belong there. No more than PASSED.
local function stand_together(ids, r, at_head)
  local lane, route, row = r[F.lane], r[F.route], row_of(r)
  local length = redis.call(at_head and 'LPUSH' or 'RPUSH', row_key(lane .. ':' .. route, row), unpack(ids))
  if route ~= '' then
    local known = lines[lane .. ':' .. route]
    lines[lane .. ':' .. route] = true
    if length == #ids then
      join(lane, route, row)
    elseif not known then
      redis.call('ZADD', K.ready .. lane, 'NX', NOW_US, route)
    end
  end
end

-- Puts an id into its row.
local function stand(id, r, at_head)
  stand_together({id}, r, at_head)
end

-- Its row, and the one in which it may stand instead until the next claim: the one from before accounts of its route
-- began to limit what goes from one sender, or ceased to.
local function places_of(r)
  local line, row = r[F.lane] .. ':' .. r[F.route], row_of(r)
  local unsplit = row:match('^([^@]*)@')
  local other = unsplit or row .. '@' .. (r[F.sender] == '' and '' or mark_of(r[F.sender]))
  return row_key(line, row), row_key(line, r[F.route] == '' and row or other)
end

-- Takes an id out of its row. Where that leaves the row empty, the next claim finds out.
local function step_out(id, r)
  local own, other = places_of(r)
  if redis.call('LREM', own, 1, id) == 0 and other ~= own then
    redis.call('LREM', other, 1, id)
  end
end

-- Accepts messages: record, idempotency key and place in the lane, all or nothing.
-- KEYS: none (the ledger is one server; see keys.py).
-- ARGV[2..]: for each message a packed array:
--   id, lane, flags, not before (ms since the epoch, 0: now), valid for (ms), route, account, to, sender,
--   segments, text, extras, digest of the idempotency key ('' if none), digest of the content, campaign
-- Returns the time (ms), then for each message {verdict, id, record}:
--   1 accepted (or accepted by an earlier try of this call), record '';
--   2 the key was used for the same content: its first message and record ('' if no longer kept);
--   3 the key was used for other content: that message's id, record '';
--   4 accepted, but its recipient has opted out: its record, which is final.

local RECIPIENT = 8 -- its place in what stands for a message
local reply, drafts, met = {NOW}, {}, {}
local remembered = {} -- idempotency keys, and what is kept of them: written behind the records

-- A record as it is stored, or will be.
local function stored(id)
  return unsaved[id] or redis.call('GET', K.message .. id)
end

local function accept(m, there, reason)
  local id, not_before, valid_for, key, content = m[1], m[4], m[5], m[13], m[14]
  there = there or met[id] and stored(id)
  if there then
    local r = read(there)
    local suppressed = r and r[F.status] == S.SUPPRESSED
    return suppressed and {4, id, there} or {1, id, ''}
  end
  if key ~= '' then
    local first = remembered[key] or redis.call('GET', K.idempotency .. key)
    if first then
      local first_id = first:sub(1, 16)
      if first:sub(17) ~= content then
        return {3, first_id, ''}
      end
      return {2, first_id, stored(first_id) or ''}
    end
    remembered[key] = id .. content
  end
  met[id] = true
  local wait = math.max(not_before - NOW, 0)
  local r = {
    VERSION, reason and S.SUPPRESSED or S.CREATED, m[2], m[3], NOW, 0, wait + valid_for, 0, 0, m[6], m[7], m[RECIPIENT],
    m[9], '', reason and 'opted_out' or '', m[10], m[11], m[12], '', m[15], '',
  }
  count('accepted', 1)
  count(STATUS[r[F.status]], 1)
  record_change(id, r, r[F.error], reason or '')
  list_message(id, r[F.to], r[F.expires])
  if reason then
    finish(id, r)
    return {4, id, cmsgpack.pack(r)}
  end
  if wait > 0 then
    postpone(id, r, wait)
  else
    join_others(id, r)
  end
  save(id, r)
  return {1, id, ''}
end

local keys = {}
for place = 2, #ARGV do
  drafts[place - 1] = argument(place)
  keys[place - 1] = K.message .. drafts[place - 1][1]
end
local there = #keys > 0 and redis.call('MGET', unpack(keys)) or {}
local reasons = opted_out(drafts, #drafts, RECIPIENT)
for place, m in ipairs(drafts) do
  reply[place + 1] = accept(m, there[place], reasons[m[RECIPIENT]])
end
stand_all()
write_book()
if next(remembered) then
  write_records()
  unsaved = {}
end
for key, first in pairs(remembered) do
  redis.call('SET', K.idempotency .. key, first, 'PX', IDEMPOTENCY)
end
return close(reply)

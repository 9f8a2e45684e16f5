-- Accepts messages: record, idempotency key and place in the lane, all or nothing.
-- KEYS: none (the ledger is one server; see keys.py).
-- ARGV[2..]: for each message a packed array:
--   id, lane, flags, not before (ms since the epoch, 0: now), valid for (ms), route, account, to, sender,
--   segments, text, extras, digest of the idempotency key ('' if none), digest of the content, campaign
-- Returns the time (ms), then for each message {verdict, id, record}:
--   1 accepted (or accepted by an earlier try of this call), record '';
--   2 the key was used for the same content: its first message and record ('' if no longer kept);
--   3 the key was used for other content: that message's id, record ''.

local reply = {NOW}

local function accept(m)
  local id, not_before, valid_for, key, content = m[1], m[4], m[5], m[13], m[14]
  if redis.call('EXISTS', K.message .. id) == 1 then
    return {1, id, ''}
  end
  if key ~= '' then
    local first = redis.call('GET', K.idempotency .. key)
    if first then
      local first_id = first:sub(1, 16)
      if first:sub(17) ~= content then
        return {3, first_id, ''}
      end
      return {2, first_id, redis.call('GET', K.message .. first_id) or ''}
    end
    redis.call('SET', K.idempotency .. key, id .. content, 'PX', IDEMPOTENCY)
  end
  local wait = math.max(not_before - NOW, 0)
  local r = {
    VERSION, S.CREATED, m[2], m[3], NOW, 0, wait + valid_for, 0, 0, m[6], m[7], m[8], m[9],
    '', '', m[10], m[11], m[12], '', m[15],
  }
  count('accepted', 1)
  count(STATUS[S.CREATED], 1)
  record_change(id, r, '', '')
  if wait > 0 then
    postpone(id, r, wait)
  else
    enqueue(id, r, false)
  end
  save(id, r)
  return {1, id, ''}
end

for place = 2, #ARGV do
  reply[place] = accept(cmsgpack.unpack(ARGV[place]))
end
if next(lines) then
  rouse()
end
return close(reply)

-- Erases what messages to a number hold of it: the number, the text, what their sender noted. Their statuses and counts stay.
-- KEYS: none (see keys.py).
-- ARGV[2] number  [3..] ids of messages, up to 500; those that did not go to this number are left alone
-- Returns for each 0 nothing of it was there, 1 it is final, 2 it waited and is canceled, 3 it is under way: its fate is still
-- followed, and it is not sent again.

local to = ARGV[2]
local reply, ids = {}, {}
for place = 3, #ARGV do
  ids[place - 2] = ARGV[place]
end

local function owner_of(r)
  local extras = not has(r, FLAG.TEMPLATED) and decode(r[F.extras])
  return extras and extras.owner
end

local function blank(id, r)
  local owner = owner_of(r)
  set(r, FLAG.HOOKED, false)
  r[F.to], r[F.text] = '', ''
  r[F.extras] = owner and cmsgpack.pack({owner = owner}) or ''
  amend(id, r)
end

local function erase(id, r)
  if not r or r[F.to] ~= to then
    return 0
  end
  local status = r[F.status]
  if is_waiting(r) and not BEHIND then
    set(r, FLAG.CANCEL, has(r, FLAG.DOUBTED))
    give_up(id, r, S.CANCELED, '', 'what was kept of its recipient was erased')
  elseif is_waiting(r) or status == S.SENDING or status == S.UNCERTAIN then
    set(r, FLAG.CANCEL, true)
  end
  blank(id, r)
  if r[F.status] == S.UNCERTAIN then
    redis.call('ZADD', K.uncertain, 'XX', '+inf', id) -- its provider would be asked by the number
  end
  if r[F.status] == S.CANCELED and status ~= S.CANCELED then
    return 2
  end
  local is_over = (r[F.status] == S.SENT or r[F.status] == S.UNCERTAIN) and r[F.created] + r[F.due] <= NOW
  return (FINAL[r[F.status]] or is_over) and 1 or 3
end

for place, r in ipairs(load_all(ids)) do
  reply[place] = erase(ids[place], r)
end
return close(reply)

-- Gives a route to messages that were accepted before any account was known.
-- KEYS: none (see keys.py).
-- ARGV[2..]: for each message a packed array: id, lane, route ('': nothing can carry it), code, reason
-- Returns how many moved.

local moved = 0
for place = 2, #ARGV do
  local id, lane, route, code, reason = unpack(cmsgpack.unpack(ARGV[place]))
  if redis.call('LREM', row_key(lane .. ':', ''), 1, id) == 1 then
    local r = load(id)
    if r and is_waiting(r) and has(r, FLAG.QUEUED) then
      moved = moved + 1
      if route == '' then
        move(id, r, S.FAILED, code, reason)
        finish(id, r)
      else
        r[F.route] = route
        enqueue(id, r, false)
        save(id, r)
      end
    end
  end
end
if next(lines) then
  rouse()
end
return close(moved)

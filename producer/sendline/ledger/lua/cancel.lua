-- Cancels a message that waits; asks for it where a worker is sending it.
-- KEYS: none (see keys.py).
-- ARGV[2] id
-- Returns the record as it then stands, or nil where the message is unknown.

local id = ARGV[2]
local r = load(id)
if not r then
  return close(false)
end
if is_waiting(r) and BEHIND then
  set(r, FLAG.CANCEL, true) -- it may have been sent: the recovery holds it, or else its next claim cancels it
  save(id, r)
elseif is_waiting(r) then
  set(r, FLAG.CANCEL, has(r, FLAG.DOUBTED))
  give_up(id, r, S.CANCELED, '', 'a person said so')
elseif r[F.status] == S.SENDING and not has(r, FLAG.CANCEL) then
  set(r, FLAG.CANCEL, true)
  save(id, r)
end
return close(cmsgpack.pack(r))

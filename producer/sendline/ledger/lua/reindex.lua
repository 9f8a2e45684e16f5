-- Mends an entry of the index of provider ids.
-- KEYS: none (see keys.py).
-- ARGV[2] digest of account and provider id  [3] what the entry was seen to hold ('': there was none)
--     [4] id that it must hold ('': it must end)  [5] provider id in the record of that message, or, where the entry
--     must end, in the record of the message that it names
-- Returns 1 where it was mended, 0 where it is no longer as it was seen.

local digest, seen, right, provider_id = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local r = load(right ~= '' and right or seen)

if BEHIND or (find_noted(digest) or '') ~= seen or (r and r[F.provider_id] or '') ~= provider_id then
  return close(0)
end
drop_noted(digest)
if right ~= '' then
  note(digest, right)
end
return close(1)

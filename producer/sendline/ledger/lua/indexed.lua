-- Tells which messages provider ids belong to. Changes nothing.
-- KEYS: none (see keys.py).
-- ARGV[2..] digests of account and provider id
-- Returns for each the id of its message, or nothing.

local reply = {}
for place = 2, #ARGV do
  reply[place - 1] = find_noted(ARGV[place])
end
return close(reply)

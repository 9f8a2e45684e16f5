-- Lists the API keys, and forgets those that were revoked longer than the retention ago.
-- KEYS: none (see keys.py).
-- ARGV[2..] none
-- Returns {id, packed, id, packed, ...}; a key is packed as {version, created ms, revoked ms or 0, what Python wrote}.

return close(kept_keys())

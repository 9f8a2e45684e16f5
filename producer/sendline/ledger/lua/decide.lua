-- A person decides what becomes of messages whose fate is not known.
-- KEYS: none (see keys.py).
-- ARGV[2] 'resend' or 'fail'  [3] the person's reason  [4] name of this call: the same name is the same call again
--     [5..] ids
-- Returns for each 'decided'; 'settled' (it is not uncertain, or no longer); 'over' (its deadline has passed: it is
-- final); 'expired' (its validity has ended: it is not sent late); 'canceled' (a person said so earlier); 'unknown'.

local decision, reason = ARGV[2], ARGV[3]

local function decide(id)
  local r = load(id)
  if not r then
    return 'unknown'
  end
  if r[F.status] ~= S.UNCERTAIN then
    return 'settled'
  end
  if r[F.created] + r[F.due] <= NOW then
    return 'over'
  end
  if decision == 'fail' then
    move(id, r, S.FAILED, r[F.error], reason)
    finish(id, r)
    return 'decided'
  end
  if has(r, FLAG.CANCEL) then
    return 'canceled'
  end
  if expires_at(r) <= NOW then
    return 'expired'
  end
  resend(id, r, r[F.error], reason, 0)
  save(id, r)
  return 'decided'
end

local reply = decode(redis.call('GET', K.decision .. ARGV[4]))
if not reply then
  reply = {}
  for place = 5, #ARGV do
    reply[place - 4] = decide(ARGV[place])
  end
  redis.call('SET', K.decision .. ARGV[4], cmsgpack.pack(reply), 'PX', CALLS_KEPT)
end
return close(reply)

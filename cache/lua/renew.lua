-- Restamp what each drained transaction touched, unless its own release already did; then extend the fence, never
-- shortening it: a delayed leader must not bring an older epoch back.
-- The newest position that the stamps know of may be too low when it is made, since what was released before is not in it.
-- A drain that looked at its clock after that, and at its position later still, has everything that was released before.
-- The name that the last drain which changed anything has left here has to be here still: else these are older data, or none,
-- and stamps and holds that somebody counts on are gone. Then nothing is done, and -1 says so. The name before it is good as
-- well, since the transaction of a drain may fail after this.
-- KEYS: fence, newest, name of the last drain, stamps...   ARGV: fence value, whether to extend it now, its expiry (absolute ms),
-- name of this drain, life of a stamp in ms, clock before the drain (ms), whether anything was drained, server, timeline and lsn,
-- name of the last drain ('': any), xid per stamp...
local last = redis.call('GET', KEYS[3]) or ''
local latest, before = string.match(last, '^([^|]*)|?(.*)$')
if ARGV[11] ~= '' and ARGV[11] ~= latest and ARGV[11] ~= before then
  return -1
end
if ARGV[7] == '1' or ARGV[11] == '' then
  last = ARGV[4] .. '|' .. ARGV[11]
end
redis.call('SET', KEYS[3], last, 'PX', ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[8] ~= '' then
  local fence, since, server, timeline, lsn = string.match(redis.call('GET', KEYS[2]) or '', '^([^|]*)|(%d+)|([^|]*)|(%d+)|(%d+)$')
  if fence ~= ARGV[1] or server ~= ARGV[8] then
    since, timeline, lsn = string.format('%d', now), ARGV[9], ARGV[10]
  else
    local verifies = since ~= '0' and tonumber(since) < tonumber(ARGV[6])
    if (verifies or ARGV[7] == '1') and tonumber(lsn) < tonumber(ARGV[10]) then
      timeline, lsn = ARGV[9], ARGV[10]
    end
    since = verifies and '0' or since
  end
  redis.call('SET', KEYS[2], table.concat({ARGV[1], since, ARGV[8], timeline, lsn}, '|'), 'PX', ARGV[5])
end
for i = 4, #KEYS do
  local key, xid = KEYS[i], ARGV[i + 8]
  local value = redis.call('GET', key) or ''
  local others, last, held = '', 0, false
  for holder, deadline in string.gmatch(value, '!([^@]+)@(%d+)') do
    deadline = tonumber(deadline)
    if holder == xid then
      held = true
    elseif deadline > now then
      others = others .. '!' .. holder .. '@' .. string.format('%d', deadline)
      last = math.max(last, deadline)
    end
  end
  if held or string.sub(value, 1, #xid + 1) ~= xid .. '.' then
    local nonce = 'd' .. ARGV[4] .. '.' .. time[1] .. '.' .. time[2]
    if others ~= '' then
      redis.call('SET', key, nonce .. others, 'PXAT', last)
    else
      redis.call('SET', key, nonce, 'PX', ARGV[5])
    end
  end
end
if ARGV[2] == '1' and redis.call('PEXPIRETIME', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[3])
end
return #KEYS - 3

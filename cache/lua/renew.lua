-- Restamp what each drained transaction touched, unless its own release already did; then extend the fence, never
-- shortening it: a delayed leader must not bring an older epoch back.
-- KEYS: fence, stamps...   ARGV: fence value, fence expiry (absolute ms), id of this drain, life of a stamp in ms, xid per stamp...
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #KEYS do
  local key, xid = KEYS[i], ARGV[i + 3]
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
    local nonce = 'd' .. ARGV[3] .. '.' .. time[1] .. '.' .. time[2]
    if others ~= '' then
      redis.call('SET', key, nonce .. others, 'PXAT', last)
    else
      redis.call('SET', key, nonce, 'PX', ARGV[4])
    end
  end
end
if ARGV[1] ~= '' and redis.call('PEXPIRETIME', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
end
return #KEYS - 1

-- After COMMIT: drop the hold of transaction xid and restamp. The nonce is unique, so that a repeated or late release
-- restamps again instead of bringing an old stamp back.
-- KEYS: stamps   ARGV: xid, life of a stamp in ms
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nonce = ARGV[1] .. '.' .. time[1] .. '.' .. time[2]
for _, key in ipairs(KEYS) do
  local others, last = '', 0
  for xid, deadline in string.gmatch(redis.call('GET', key) or '', '!([^@]+)@(%d+)') do
    deadline = tonumber(deadline)
    if xid ~= ARGV[1] and deadline > now then
      others = others .. '!' .. xid .. '@' .. string.format('%d', deadline)
      last = math.max(last, deadline)
    end
  end
  if others ~= '' then
    redis.call('SET', key, nonce .. others, 'PXAT', last)
  else
    redis.call('SET', key, nonce, 'PX', ARGV[2])
  end
end
return #KEYS

-- After COMMIT: drop the hold of transaction xid and restamp. The nonce is unique, so that a repeated or late release
-- restamps again instead of bringing an old stamp back. In the same step raise the newest position that the stamps know of,
-- where it is one of the same server; it is never made here, since it would be too low for what was released before.
-- KEYS: newest, stamps...   ARGV: xid, life of a stamp in ms, and the server, timeline and lsn of the position, if known
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nonce = ARGV[1] .. '.' .. time[1] .. '.' .. time[2]
local newest = ARGV[3] and redis.call('GET', KEYS[1])
if newest then
  local fence, since, server, lsn = string.match(newest, '^([^|]*)|(%d+)|([^|]*)|%d+|(%d+)$')
  if server ~= ARGV[3] then
    redis.call('DEL', KEYS[1])
  elseif tonumber(lsn) < tonumber(ARGV[5]) then
    redis.call('SET', KEYS[1], table.concat({fence, since, ARGV[3], ARGV[4], ARGV[5]}, '|'), 'PX', ARGV[2])
  end
end
for i = 2, #KEYS do
  local key, others, last = KEYS[i], '', 0
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
return #KEYS - 1

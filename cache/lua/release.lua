-- Drop the hold of transaction xid; if it committed, restamp. The nonce is unique, so that a repeated or late release
-- restamps again instead of bringing an old stamp back.
-- KEYS: stamps   ARGV: xid, life of a stamp in ms, 1 if committed, else 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local committed = ARGV[3] == '1'
for _, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  local nonce, others, last = string.match(value or '', '^[^!]*'), '', 0
  for xid, deadline in string.gmatch(value or '', '!([^@]+)@(%d+)') do
    deadline = tonumber(deadline)
    if xid ~= ARGV[1] then
      if deadline <= now then
        nonce = 'x' .. xid .. '.' .. time[1] .. '.' .. time[2]
      else
        others = others .. '!' .. xid .. '@' .. string.format('%d', deadline)
        last = math.max(last, deadline)
      end
    end
  end
  if committed then nonce = ARGV[1] .. '.' .. time[1] .. '.' .. time[2] end
  if others ~= '' then
    redis.call('SET', key, nonce .. others, 'PXAT', last)
  elseif nonce == '' then
    redis.call('DEL', key)
  elseif value or committed then
    redis.call('SET', key, nonce, 'PX', ARGV[2])
  end
end
return #KEYS

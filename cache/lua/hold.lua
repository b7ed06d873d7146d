-- Mark every tag as held by transaction xid until a deadline. A hold past its deadline belongs to a writer that died
-- or froze; it may have committed, so its lapse counts as a restamp.
-- KEYS: stamps   ARGV: xid, life of a hold in ms
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = now + ARGV[2]
for _, key in ipairs(KEYS) do
  local value = redis.call('GET', key) or ''
  local nonce, others, last = string.match(value, '^[^!]*'), '', mine
  for xid, deadline in string.gmatch(value, '!([^@]+)@(%d+)') do
    deadline = tonumber(deadline)
    if deadline <= now then
      nonce = 'x' .. xid .. '.' .. time[1] .. '.' .. time[2]
    elseif xid ~= ARGV[1] then
      others = others .. '!' .. xid .. '@' .. string.format('%d', deadline)
      last = math.max(last, deadline)
    end
  end
  redis.call('SET', key, nonce .. others .. '!' .. ARGV[1] .. '@' .. string.format('%d', mine), 'PXAT', last)
end
return #KEYS

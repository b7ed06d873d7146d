-- Read keys. While there is a fence, every stamp that is missing is given a fresh nonce in the same step, whoever comes
-- first: absence is never a version. Where nothing can be written, it stays missing.
-- KEYS: fence, stamps..., others...   ARGV: number of stamps, prefix of fresh nonces, life of a stamp in ms
local most = 1000
local found = redis.call('MGET', unpack(KEYS, 1, math.min(most, #KEYS)))
for first = most + 1, #KEYS, most do
  local values = redis.call('MGET', unpack(KEYS, first, math.min(first + most - 1, #KEYS)))
  for i = 1, #values do
    found[first + i - 1] = values[i]
  end
end
if found[1] then
  for i = 2, ARGV[1] + 1 do
    if not found[i] and redis.pcall('SET', KEYS[i], ARGV[2] .. i, 'PX', ARGV[3]).ok then
      found[i] = ARGV[2] .. i
    end
  end
end
return found

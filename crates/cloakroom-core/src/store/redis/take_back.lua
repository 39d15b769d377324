-- Sets a mark back, if nobody has moved it since. KEYS[1]: the mark. ARGV[1]: what it is; [2]: what it was, or nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2])
return 1

-- Adds a session to its account's list, which lives at least as long. Answers two of a list that grows, so that those
-- whose session is over are found in time: KEYS[1]: the list. ARGV[1]: the session; [2]: when it began; [3]: how long it
-- lives, in milliseconds.
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
if redis.call('ZCARD', KEYS[1]) <= 8 then return {} end
return redis.call('ZRANDMEMBER', KEYS[1], 2)

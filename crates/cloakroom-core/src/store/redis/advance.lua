-- Moves a mark on, if this is the server whose mark was read: it has that mark, or one that another server has set since.
-- KEYS[1]: the mark. ARGV[1]: what was read, or nothing if that was no mark; [2]: what it becomes. Answers 1 where it may be.
local function parse(text)
  local incarnation, sequence = (text or ''):match('^(%x+):(%d+)$')
  return incarnation, tonumber(sequence)
end

local name, line = parse(redis.call('GET', KEYS[1]))
local was, from = parse(ARGV[1])
local becomes, to = parse(ARGV[2])
if name == was then
  if was and line < from then return 0 end
elseif name ~= becomes then
  return 0
end
if name ~= becomes or line < to then redis.call('SET', KEYS[1], ARGV[2]) end
return 1

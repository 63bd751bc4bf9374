/*
 * The scripts that change generations; see the header. They are sent whole each
 * time (EVAL), since Redis may forget them at any moment; it compiles each once.
 *
 * A mark that has outlived its deadline is a mutation of which nobody knows how it
 * ended: it counts as one that has changed something. Were it merely dropped, the
 * failure of another mutation would bring back what the first has made stale.
 *
 * A full Redis refuses SET. A script that has written before is let through,
 * since Redis cannot stop it half-way, so a value that does not grow can be
 * rewritten after a PEXPIRE. A mark makes it grow: it does without.
 */
#include "client/scripts.h"

/*
 * What is there, taken apart: `value` ("" if missing), and if it is marked
 * `purges` (otherwise nil), `previous` with its end, and in `tokens` the marks of
 * others that still hold, the last of them until `latest`. `found`: ours is there.
 */
#define READ                                                                             \
    "local key, token = KEYS[1], ARGV[1]\n"                                              \
    "local time = redis.call('TIME')\n"                                                  \
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"                          \
    "local value = redis.call('GET', key) or ''\n"                                       \
    "local purges, previous, list = string.match(value, '^M(%d+) (%S+) (.+)$')\n"        \
    "local tokens, latest, found = {}, 0, false\n"                                       \
    "if purges then\n"                                                                   \
    "    purges = tonumber(purges)\n"                                                    \
    "    for name, deadline in string.gmatch(list, '(%S+):(%d+)') do\n"                  \
    "        deadline = tonumber(deadline)\n"                                            \
    "        if name == token then\n"                                                    \
    "            found = true\n"                                                         \
    "        elseif deadline > now then\n"                                               \
    "            tokens[#tokens + 1] = name .. ':' .. string.format('%.0f', deadline)\n" \
    "            latest = math.max(latest, deadline)\n"                                  \
    "        else\n"                                                                     \
    "            purges = purges + 1\n"                                                  \
    "        end\n"                                                                      \
    "    end\n"                                                                          \
    "end\n"

/* The marked form; and a SET in place of a value that is not shorter. */
#define WRITE                                                                              \
    "local function marked()\n"                                                            \
    "    return string.format('M%d %s ', purges, previous) .. table.concat(tokens, ' ')\n" \
    "end\n"                                                                                \
    "local function rewrite(text, life)\n"                                                 \
    "    if redis.pcall('SET', key, text, 'PX', life).err then\n"                          \
    "        redis.call('PEXPIRE', key, life)\n"                                           \
    "        return not redis.pcall('SET', key, text, 'PX', life).err\n"                   \
    "    end\n"                                                                            \
    "    return true\n"                                                                    \
    "end\n"

const char script_mark[] = READ WRITE
    "local deadline = now + tonumber(ARGV[2])\n"
    "local fresh = not purges\n"
    "if fresh then\n"
    "    purges, previous = 0, '-'\n"
    "    if string.match(value, '^%x+$') and #value == 32 then\n"
    "        local left = redis.call('PTTL', key)\n"
    "        previous = value .. (left < 0 and '' or string.format(':%.0f', now + left))\n"
    "    end\n"
    "end\n"
    "if #tokens >= " SCRIPTS_MARKS_MAX " then\n"
    "    tokens = {'*:' .. string.format('%.0f', latest)}\n"
    "end\n"
    "tokens[#tokens + 1] = token .. ':' .. string.format('%.0f', deadline)\n"
    "local life = math.max(latest, deadline) - now\n"
    "if not redis.pcall('SET', key, marked(), 'PX', life).err then\n"
    "    return 1\n"
    "end\n"
    "tokens[#tokens] = nil\n"
    "purges = purges + 1\n"
    "if fresh or #tokens == 0 then\n"
    "    redis.call('DEL', key)\n"
    "    return 0\n"
    "end\n"
    "return rewrite(marked(), latest - now) and 0 or -1\n";

const char script_complete[] = READ WRITE
    "local changed, life, next = ARGV[2] == '1', ARGV[3], ARGV[4]\n"
    "if not purges then\n"
    "    if changed and value ~= '' then\n"
    "        redis.call('DEL', key)\n"
    "    end\n"
    "    return 0\n"
    "end\n"
    "if not (found or changed) then\n"
    "    return 0\n"
    "end\n"
    "if found and #tokens == 0 and purges == 0 and next ~= '' and rewrite(next, life) then\n"
    "    return 1\n"
    "end\n"
    "if changed then\n"
    "    purges = purges + 1\n"
    "end\n"
    "if #tokens > 0 then\n"
    "    return (rewrite(marked(), latest - now) or found) and 0 or -1\n"
    "end\n"
    "local back, till = string.match(previous, '^(%x+):?(%d*)$')\n"
    "local left = till and till ~= '' and tonumber(till) - now or tonumber(life)\n"
    "if purges > 0 or not back or left <= 0 or not rewrite(back, left) then\n"
    "    redis.call('DEL', key)\n"
    "end\n"
    "return 0\n";

const char script_soft[] = READ WRITE
    "local high = math.floor(now / 16777216)\n"
    "local soft = string.format('%06x%06x', high, now - high * 16777216) .. ARGV[1]\n"
    "if purges then\n"
    "    if previous == '-' or #tokens == 0 then\n"
    "        return 0\n"
    "    end\n"
    "    previous = string.sub(previous, 1, 16) .. soft .. string.sub(previous, 33)\n"
    "    return rewrite(marked(), latest - now) and 0 or -1\n"
    "end\n"
    "if value == '' then\n"
    "    return 0\n"
    "end\n"
    "local life = redis.call('PTTL', key)\n"
    "if life <= 0 then\n"
    "    life = ARGV[2]\n"
    "end\n"
    "if #value ~= 32 or not rewrite(string.sub(value, 1, 16) .. soft, life) then\n"
    "    redis.call('DEL', key)\n"
    "end\n"
    "return 0\n";

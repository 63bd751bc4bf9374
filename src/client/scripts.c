/*
 * The scripts that change generations; see the header. They are sent whole each
 * time (EVAL), since Redis may forget them at any moment; it compiles each once.
 *
 * A full Redis refuses SET. A script that has written before is let through,
 * since Redis cannot stop it half-way, so a value that does not grow can be
 * rewritten after a PEXPIRE.
 */
#include "client/scripts.h"

/* A SET in place of a value that is not shorter. */
#define REWRITE                                                          \
    "local key = KEYS[1]\n"                                              \
    "local value = redis.call('GET', key) or ''\n"                       \
    "local function rewrite(text, life)\n"                               \
    "    if redis.pcall('SET', key, text, 'PX', life).err then\n"        \
    "        redis.call('PEXPIRE', key, life)\n"                         \
    "        return not redis.pcall('SET', key, text, 'PX', life).err\n" \
    "    end\n"                                                          \
    "    return true\n"                                                  \
    "end\n"

/* What an older Larder has marked matches nothing as it is, and has a life of its own. */
const char script_soft[] = REWRITE
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local high = math.floor(now / 16777216)\n"
    "local soft = string.format('%06x%06x', high, now - high * 16777216) .. ARGV[1]\n"
    "if value == '' or string.sub(value, 1, 1) == 'M' then\n"
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

const char script_claim[] = REWRITE "if value == ARGV[1] and rewrite(ARGV[2], ARGV[3]) then\n"
                                    "    return 1\n"
                                    "end\n"
                                    "redis.call('DEL', key)\n"
                                    "return 0\n";

/*
 * Which server is it; see the header. Asked by redis.c on each new connection
 * and by keeper.c every second on one of its own. No I/O here.
 */
#include "client/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "larder.h"

/* An answer that took longer says little of when the server looked at its clock. */
#define CLOCK_ANSWER_MAX_MS 500
/* Clocks that NTP keeps differ by some milliseconds. */
#define CLOCKS_DIFFER_MS 10000

/* Nobody's: no connection has it, so that none is kept. */
#define IDENTITY_LOST UINT64_MAX

void
identity_init(struct identity *identity, const struct larder_options *options, const char *where)
{
    *identity = (struct identity){.log = options->log, .log_arg = options->log_arg, .where = where};
    atomic_init(&identity->clock_ms, IDENTITY_NO_CLOCK);
    pthread_mutex_init(&identity->lock, NULL);
}

void
identity_destroy(struct identity *identity)
{
    pthread_mutex_destroy(&identity->lock);
}

/* The value of a line "name:value". */
static bool
find_line(const char *info, const char *name, const char **value, size_t *len)
{
    size_t n = strlen(name);

    for (const char *line = info; line && *line;) {
        size_t whole = strcspn(line, "\r\n");
        if (whole > n && line[n] == ':' && memcmp(line, name, n) == 0) {
            *value = line + n + 1;
            *len = whole - n - 1;
            return *len > 0;
        }
        line += whole;
        line += strspn(line, "\r\n");
    }
    return false;
}

/* FNV-1a, and a stir at the end, since what goes in is random already. */
static uint64_t
mix(uint64_t hash, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    return hash * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t
identity_of(const struct identity_info *info, const char **role, size_t *role_len)
{
    const char *run = NULL, *replication = NULL;
    size_t run_len = 0, replication_len = 0;

    *role = NULL;
    *role_len = 0;
    if (find_line(info->replication, "role", role, role_len) && *role_len == 6 &&
        memcmp(*role, "master", 6) == 0)
        *role = NULL;
    /* Half of it would miss a restart, or a promotion. */
    if (!find_line(info->server, "run_id", &run, &run_len) ||
        !find_line(info->replication, "master_replid", &replication, &replication_len))
        return 0;
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), run, run_len);
    hash = mix(hash, replication, replication_len);
    return hash == 0 || hash == IDENTITY_LOST ? 1 : hash;
}

static void
say(const struct identity *identity, const char *words, const char *more)
{
    char line[LARDER_ERROR_MAX];

    if (!identity->log)
        return;
    snprintf(line, sizeof line, "%s: %s%s", identity->where, words, more);
    identity->log(identity->log_arg, LARDER_LOG_WARNING, line);
}

void
identity_note(struct identity *identity, uint64_t seen, const char *why_not)
{
    pthread_mutex_lock(&identity->lock);
    uint64_t before = identity_current(identity);
    if (seen == 0 && *why_not && !identity->silent) {
        identity->silent = true;
        say(identity, "does not tell which server it is, no restart will be noticed: ", why_not);
    }
    if (identity->known && before != seen && !identity->lost)
        say(identity, "is another server now, or has been restarted", "");
    else if (identity->lost)
        say(identity, "leads to a master again", "");
    identity->known = true;
    identity->lost = false;
    if (before != seen)
        atomic_store_explicit(&identity->current, seen, memory_order_release);
    pthread_mutex_unlock(&identity->lock);
}

void
identity_lose(struct identity *identity, const char *role)
{
    pthread_mutex_lock(&identity->lock);
    if (identity->known && !identity->lost) {
        identity->lost = true;
        say(identity, "is no master any more: role:", role);
        atomic_store_explicit(&identity->current, IDENTITY_LOST, memory_order_release);
    }
    pthread_mutex_unlock(&identity->lock);
}

bool
identity_is_known(struct identity *identity)
{
    pthread_mutex_lock(&identity->lock);
    bool known = identity->known;
    pthread_mutex_unlock(&identity->lock);
    return known;
}

int64_t
identity_clock_ms(const struct identity *identity)
{
    int64_t clock_ms = atomic_load_explicit(&identity->clock_ms, memory_order_relaxed);
    return clock_ms == IDENTITY_NO_CLOCK ? clock_wall_ms() : clock_boot_ms() + clock_ms;
}

/* Nothing stored suffers from it, but dates in answers may, and what is in the log. */
static void
compare_clocks(struct identity *identity, int64_t theirs_ms)
{
    int64_t apart_ms = theirs_ms - clock_wall_ms();
    bool differ = apart_ms > CLOCKS_DIFFER_MS || apart_ms < -CLOCKS_DIFFER_MS;
    char words[160];
    if (atomic_exchange(&identity->clocks_differ, differ) == differ)
        return;
    if (differ)
        snprintf(words, sizeof words,
                 "its clock and this machine's are %lld s apart; set the one that is wrong (NTP). "
                 "Until then its clock tells how old stored responses are",
                 (long long)(apart_ms < 0 ? -apart_ms : apart_ms) / 1000);
    pthread_mutex_lock(&identity->lock);
    say(identity, differ ? words : "its clock and this machine's agree again", "");
    pthread_mutex_unlock(&identity->lock);
}

void
identity_note_clock(struct identity *identity, const char *server, int64_t asked_ms,
                    int64_t answered_ms)
{
    const char *text = NULL;
    size_t n = 0;
    int64_t us = 0;
    if (answered_ms - asked_ms > CLOCK_ANSWER_MAX_MS ||
        !find_line(server, "server_time_usec", &text, &n) || n > 17)
        return;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return;
        us = us * 10 + (text[i] - '0');
    }
    int64_t then_ms = asked_ms + (answered_ms - asked_ms) / 2;
    atomic_store_explicit(&identity->clock_ms, us / 1000 - then_ms, memory_order_relaxed);
    compare_clocks(identity, us / 1000 + (clock_boot_ms() - then_ms));
}

/*
 * What is gone stays gone.
 *
 * A stored response outlives its freshness: to be validated, to be used while it is
 * fetched anew, to stand in for a backend that fails. All of that is meant for a
 * page that is still there. When the backend answers with something that is no
 * failure and is not kept (404, a log-in page, private, a cookie), the old one must
 * not come back at the next failure, nor be served for the rest of its window with
 * a fetch behind each visitor. http/decide.h says which answers are of that kind.
 *
 * Not what is fresh, where the visitor who asked for a newer one is refused: 403 to an
 * address, 401. It is judged again when its time is over.
 *
 * What is dropped is the very entry that was found: one that another process has
 * stored meanwhile has another checksum, and stays. Called by fetch.c, in a fetcher's
 * thread, when the client has its answer; never by a worker.
 *
 * Of a page that is there no more (404, 410) all variants are dropped, before such an
 * answer is stored itself, if it was there for this very request before. A value that never
 * had the page may be one that never will (a visitor has made it up): then the others only
 * lose what they might have been used for beyond their freshness. What was made of words
 * that are not in the key says nothing of the page.
 */
#include "responder/gone.h"

#include "base/clock.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/gone_later.h"

static void
drop(struct exchange *exchange)
{
    const struct entry *entry = &exchange->lookup.entry;
    struct site *site = exchange->site;
    const struct store_guard same = {
        .offset = ENTRY_CHECKSUM_AT, .bytes = entry->checksum, .len = sizeof entry->checksum};
    bool ancestor = site->config->compat_ancestor;
    int64_t deadline_ms = clock_now_ms() + site->config->budget_ms;
    struct larder_error err = {0};
    enum larder_status status =
        store_drop(site->cache, exchange->lookup.found, ancestor ? NULL : &same, deadline_ms, &err);
    if (status == LARDER_OK || status == LARDER_EXISTS)
        return;
    log_write(LARDER_LOG_DEBUG, "cannot drop %s at once: %s", exchange->lookup.found, err.message);
    gone_later(site, exchange->lookup.found, GONE_ONE, ancestor ? NULL : entry->checksum);
}

void
gone_drop(struct exchange *exchange)
{
    if (exchange->lookup.has_entry)
        drop(exchange);
    exchange->lookup.has_entry = exchange->lookup.use_entry = false;
}

static bool
is_gone(int status)
{
    return status == 404 || status == 410;
}

/* Also where this answer is stored, and where nothing was found for this request. */
static void
settle_variants(struct exchange *exchange, bool was_there)
{
    struct larder *cache = exchange->site->cache;
    const char *primary = exchange->key.primary;
    struct larder_error err = {0};
    int64_t until_ms = clock_now_ms() + exchange->site->config->budget_ms;
    enum larder_status status = was_there
                                    ? store_variants_drop(cache, primary, until_ms, &err)
                                    : store_variants_age(cache, primary, ENTRY_TIMES_AT,
                                                         store_clock_ms(cache), until_ms, &err);
    if (status == LARDER_OK)
        return;
    log_write(LARDER_LOG_DEBUG, "cannot drop the variants of %s at once: %s", primary, err.message);
    gone_later(exchange->site, primary, was_there ? GONE_PAGE : GONE_STALE, NULL);
}

/* A new form of it, which is stored, or would be if Redis were there. */
static bool
is_page(const struct fetch *fetch)
{
    return fetch->status <= 299 && (fetch->cacheable || keep_is_unproven(&fetch->kept));
}

/* There may be something, fresh or stale, with variants or without. */
static void
settle_unseen(const struct fetch *fetch)
{
    const struct exchange *exchange = fetch->exchange;
    bool of_page = !status_is_of_sender(fetch->status) && !exchange->opening.sends_all;
    gone_later(exchange->site, exchange->key.primary, of_page ? GONE_PAGE : GONE_STALE, NULL);
}

/* Does a HEAD say it of the page, and not of HEAD? Many a backend does not let it in (405, 403, 501). */
static bool
is_said_of_page(const struct fetch *fetch)
{
    return !fetch->ask.head || is_gone(fetch->status) ||
           (fetch->status >= 200 && fetch->status <= 299);
}

bool
gone_is_replaced(const struct exchange *exchange, const struct kept *kept)
{
    bool fresh =
        exchange->lookup.has_entry &&
        stored_is_fresh(&exchange->lookup.entry.stored, store_clock_ms(exchange->site->cache));
    /* What came to all of a visitor's own words behind a refusal says less than that. */
    int status = exchange->opening.refused ? exchange->opening.refused : kept->status;
    return decide_replaces(status, kept->decision.reason, fresh);
}

void
gone_settle(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    bool stored = fetch->cacheable;
    bool was_there = exchange->lookup.has_entry && !is_gone(exchange->lookup.entry.stored.status);
    if (exchange->reason != REASON_NONE || !keep_tells_others(&fetch->kept, exchange) ||
        !(stored || (is_said_of_page(fetch) && gone_is_replaced(exchange, &fetch->kept))))
        return;
    if (!stored && exchange->lookup.has_entry) {
        drop(exchange);
        exchange->lookup.has_entry = exchange->lookup.use_entry = false;
    }
    if (exchange->lookup.unseen && !is_page(fetch))
        settle_unseen(fetch);
    if (exchange->lookup.has_marker && is_gone(fetch->status) && !exchange->opening.sends_all)
        settle_variants(exchange, was_there);
}

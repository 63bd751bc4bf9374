/*
 * The client of a fetch.
 *
 * Where no copy of the answer is kept, the fetch is as slow as its client: what
 * the backend sends waits in its socket. Where one is kept, the client gets what
 * its socket takes at once, and when that is not all it becomes one of those who
 * read the copy: the streamer feeds it, and the fetch goes on at the backend's
 * speed, for the sake of those who wait for its end.
 *
 * The answer to a mutation is read to its end without its client too: what is dropped
 * with the end of it is dropped, and nothing is unknown of it.
 */
#include "responder/client.h"

#include <stdatomic.h>

#include "responder/coalesce.h"
#include "responder/waiter.h"
#include "runtime/counters.h"

bool
client_send(struct fetch *fetch, const struct iovec *pieces, int count, bool last)
{
    struct exchange *exchange = fetch->exchange;
    if (exchange->background || fetch->ended)
        return true;
    if (connection_send(exchange->connection, exchange->arena, pieces, count, last, true) !=
        CONNECTION_DONE)
        return false;
    fetch->ended = last;
    return true;
}

/* From here on it is fed by the streamer, from the spool's byte `offset`. */
static bool
part(struct fetch *fetch, size_t offset)
{
    /* What is left of a request body has to be read from the connection. */
    struct exchange *client = fetch->exchange->request.has_body ? NULL
                                                                : exchange_part(fetch->exchange);
    if (!client)
        return false;
    client->wait.body_from = offset;
    client->wait.spool = spool_again(fetch->spool);
    client->wait.reader =
        (struct reader){.connection = client->connection,
                        .spool = client->wait.spool,
                        .event = waiter_event,
                        .offset = offset,
                        .end = fetch->view_end < 0 ? SIZE_MAX : (size_t)fetch->view_end};
    streamer_hold(&client->wait.reader);
    streamer_add(&client->wait.reader);
    fetch->client = client;
    return true;
}

bool
client_pass_on(struct fetch *fetch, const char *data, size_t n)
{
    struct exchange *exchange = fetch->exchange;
    int64_t first = fetch->seen, end = fetch->seen + (int64_t)n;
    fetch->seen = end;
    if (fetch->client)
        return streamer_outcome(&fetch->client->wait.reader) != READER_GONE;
    if (first < fetch->view_first)
        first = fetch->view_first;
    if (fetch->view_end >= 0 && end > fetch->view_end)
        end = fetch->view_end;
    if (first >= end || fetch->ended || exchange->background)
        return true;
    /* With the last byte the end goes along: one write and one wake-up less at the web server. */
    bool last = end == (fetch->view_end >= 0 ? fetch->view_end : fetch->content_length);
    const char *p = data + (n - (size_t)(fetch->seen - first));
    size_t left = (size_t)(end - first), taken;
    exchange->delivery.body_sent += left;
    if (!fetch->spool) {
        struct iovec piece = {(void *)p, left};
        return client_send(fetch, &piece, 1, last);
    }
    enum connection_status status =
        connection_stream(exchange->connection, p, left, last, false, &taken);
    if (status == CONNECTION_AGAIN) {
        exchange->delivery.body_sent -= left - taken;
        if (part(fetch, (size_t)first + taken))
            return true;
        exchange->delivery.body_sent += left - taken;
        size_t rest;
        status =
            connection_stream(exchange->connection, p + taken, left - taken, last, true, &rest);
    }
    fetch->ended = last && status == CONNECTION_DONE;
    return status == CONNECTION_DONE;
}

bool
client_wants_more(const struct fetch *fetch)
{
    if (fetch->client)
        return streamer_outcome(&fetch->client->wait.reader) == READER_NONE;
    return !fetch->exchange->background && !fetch->ended;
}

bool
client_take_back(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange, *client = fetch->client;
    if (!client)
        return true;
    enum reader_event outcome = streamer_reclaim(&client->wait.reader);
    fetch->client = NULL;
    if (outcome != READER_NONE) {
        bool has_all = outcome == READER_SENT;
        client->wait.reader.event(&client->wait.reader, outcome);
        return has_all;
    }
    exchange->connection = client->connection;
    exchange->background = false;
    exchange->delivery.body_sent += client->wait.reader.offset - client->wait.body_from;
    client->connection = NULL;
    exchange_done(client);
    return true;
}

void
client_leave(struct fetch *fetch)
{
    if (fetch->client)
        streamer_leave(&fetch->client->wait.reader);
    fetch->client = NULL;
}

bool
client_is_not_alone(const struct fetch *fetch)
{
    return fetch->mutation.changed || coalesce_is_wanted(fetch->exchange, fetch->spool);
}

/* Mutations of this process that go on without a client. Each has a fetcher and a connection of the
 * backend, perhaps until mutation_max, so they may have a quarter of the fetchers and no more. */
#define UNATTENDED_MAX 64
static atomic_int unattended;

static bool
may_be_unattended(struct fetch *fetch)
{
    int most = fetch->exchange->site->config->max_fetchers / 4;
    if (most > UNATTENDED_MAX)
        most = UNATTENDED_MAX;
    if (!fetch->mutation.changed || fetch->unattended)
        return true;
    fetch->unattended = atomic_fetch_add(&unattended, 1) < (most > 0 ? most : 1);
    if (!fetch->unattended)
        atomic_fetch_sub(&unattended, 1);
    return fetch->unattended;
}

void
client_over(struct fetch *fetch)
{
    if (fetch->unattended)
        atomic_fetch_sub(&unattended, 1);
    fetch->unattended = false;
}

/* false: too many do, or no memory for what lies in its connection. */
static bool
go_on_without(struct fetch *fetch, bool ended)
{
    struct exchange *exchange = fetch->exchange;
    if (!may_be_unattended(fetch) || !exchange_own(exchange))
        return false;
    exchange_let_go(exchange, ended);
    exchange->background = true;
    return true;
}

bool
client_is_missed_by_nobody(struct fetch *fetch)
{
    if (!client_is_not_alone(fetch))
        return true;
    if (fetch->exchange->background)
        return false;
    if (!go_on_without(fetch, false))
        return true;
    counters_add(COUNTER_client_gone, 1);
    return false;
}

void
client_let_go(struct fetch *fetch)
{
    if (!fetch->exchange->background && fetch->ended)
        (void)go_on_without(fetch, true);
}

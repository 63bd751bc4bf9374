/*
 * Who reads what somebody else fetches: whole, in order, each at his own pace,
 * and cut where the fetch is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fastcgi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "responder/streamer.h"

#define LIMIT ((size_t)4 * 1024 * 1024)

/* A reader, and the web server at the other end. */
struct peer {
    struct reader reader; /* first */
    int fd;
    bool whole_only, refuses;
    const char *answer; /* for READER_WHOLE */
    struct iovec piece;
    struct arena *arena;
    atomic_int last; /* the event that ended it */
};

static void
pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static bool
event(struct reader *reader, enum reader_event what)
{
    struct peer *peer = (struct peer *)reader;
    switch (what) {
    case READER_BEGIN:
        reader->waits_for_whole = peer->whole_only;
        return !peer->refuses;
    case READER_WHOLE:
        peer->piece = (struct iovec){(void *)peer->answer, strlen(peer->answer)};
        connection_send(reader->connection, peer->arena, &peer->piece, 1, true, false);
        reader->ended = true;
        return true;
    default:
        atomic_store(&peer->last, (int)what);
        return false;
    }
}

static struct peer *
peer_new(struct spool *spool, int64_t client_timeout_ms)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    peer->fd = fds[0];
    peer->arena = arena_new(LIMIT);
    peer->reader = (struct reader){.connection = connection_new(fds[1], client_timeout_ms),
                                   .spool = spool_again(spool),
                                   .event = event,
                                   .end = SIZE_MAX};
    return peer;
}

static int
ended(struct peer *peer)
{
    for (int i = 0; i < 5000 && atomic_load(&peer->last) == READER_NONE; i++)
        pause_ms(1);
    return atomic_load(&peer->last);
}

static void
peer_free(struct peer *peer)
{
    for (int i = 0; i < 5000 && streamer_count() > 0; i++)
        pause_ms(1);
    spool_give(peer->reader.spool);
    connection_free(peer->reader.connection);
    close(peer->fd);
    arena_free(peer->arena);
    free(peer);
}

static bool
read_all(int fd, void *buf, size_t n)
{
    for (char *p = buf; n > 0;) {
        ssize_t got = read(fd, p, n);
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

/* What the web server makes of it: the body, *whole if it was ended. */
static char *
receive(int fd, size_t *n, bool *whole)
{
    unsigned char head[8];
    static char padding[256];
    char *body = malloc(8 * LIMIT);
    *n = 0;
    *whole = false;
    while (!*whole && read_all(fd, head, sizeof head)) {
        size_t content = (size_t)head[4] << 8 | head[5];
        assert_int_equal(head[0], FCGI_VERSION_1);
        assert_true(read_all(fd, body + *n, content) && read_all(fd, padding, head[6]));
        if (head[1] == FCGI_STDOUT)
            *n += content;
        *whole = head[1] == FCGI_END_REQUEST;
    }
    return body;
}

static char
byte_at(size_t i)
{
    return (char)(i * 7 + i / 1000);
}

static void
append(struct spool *spool, size_t n)
{
    char *p = malloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(spool_size(spool) + i);
    assert_true(spool_append(spool, p, n));
    streamer_grew();
    free(p);
}

static void
end(struct spool *spool, bool whole)
{
    spool_end(spool, whole);
    streamer_grew();
}

static void
got(struct peer *peer, size_t from, size_t n)
{
    size_t received;
    bool whole;
    char *body = receive(peer->fd, &received, &whole);
    assert_true(whole);
    assert_int_equal(received, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(body[i], byte_at(from + i));
    free(body);
    assert_int_equal(ended(peer), READER_SENT);
}

static int64_t
no_tick(int64_t now_ms)
{
    (void)now_ms;
    return -1;
}

static int
start(void **state)
{
    (void)state;
    return streamer_start(no_tick) ? 0 : -1;
}

static int
stop(void **state)
{
    (void)state;
    streamer_stop();
    return 0;
}

static void
who_reads_gets_all_while_it_grows(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *peer = peer_new(spool, 60000);
    (void)state;
    streamer_add(&peer->reader);
    for (int i = 0; i < 10; i++) {
        append(spool, 1003);
        pause_ms(1);
    }
    end(spool, true);
    got(peer, 0, 10030);
    peer_free(peer);
    spool_give(spool);
}

struct writing {
    struct spool *spool;
    size_t pieces;
};

static void *
writer(void *arg)
{
    struct writing *writing = arg;
    for (size_t i = 0; i < writing->pieces; i++) {
        char *p = malloc(20011);
        for (size_t k = 0; k < 20011; k++)
            p[k] = byte_at(spool_size(writing->spool) + k);
        if (!spool_append(writing->spool, p, 20011)) {
            spool_spill(writing->spool, "/tmp", SPOOL_FILE_MAX);
            spool_append(writing->spool, p, 20011);
        }
        streamer_grew();
        free(p);
    }
    end(writing->spool, true);
    return NULL;
}

/* More than the sockets hold, and more than stands in memory. */
static void
many_read_a_large_one_each_at_his_own_pace(void **state)
{
    enum { PEERS = 4 };
    struct writing writing = {spool_new(-1, LIMIT), 300};
    struct peer *peers[PEERS];
    pthread_t thread;
    (void)state;
    for (int i = 0; i < PEERS; i++) {
        peers[i] = peer_new(writing.spool, 60000);
        if (i == 2) { /* a range of it */
            peers[i]->reader.offset = 100;
            peers[i]->reader.end = 5000000;
        }
        streamer_add(&peers[i]->reader);
    }
    pthread_create(&thread, NULL, writer, &writing);
    pthread_join(thread, NULL); /* nobody has read a byte yet: the writer waits for nobody */
    for (int i = 0; i < PEERS; i++) {
        if (i == 2)
            got(peers[i], 100, 5000000 - 100);
        else
            got(peers[i], 0, (size_t)300 * 20011);
    }
    for (int i = 0; i < PEERS; i++)
        peer_free(peers[i]);
    spool_give(writing.spool);
}

static void
a_fetch_that_breaks_off_ends_who_reads_it(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *peer = peer_new(spool, 60000);
    (void)state;
    streamer_add(&peer->reader);
    append(spool, 5000);
    end(spool, false);
    assert_int_equal(ended(peer), READER_BROKEN);
    shutdown(peer->reader.connection->fd, SHUT_WR);
    size_t n;
    bool whole;
    free(receive(peer->fd, &n, &whole));
    assert_false(whole);
    peer_free(peer);
    spool_give(spool);
}

static void
who_wants_the_whole_gets_it_in_one(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *peer = peer_new(spool, 60000);
    size_t n;
    bool whole;
    (void)state;
    peer->whole_only = true;
    peer->answer = "the answer";
    peer->reader.until_ms = INT64_MAX;
    streamer_add(&peer->reader);
    append(spool, 100);
    pause_ms(5);
    assert_int_equal(atomic_load(&peer->last), READER_NONE);
    end(spool, true);
    char *body = receive(peer->fd, &n, &whole);
    assert_true(whole);
    assert_int_equal(n, strlen(peer->answer));
    assert_memory_equal(body, peer->answer, n);
    free(body);
    assert_int_equal(ended(peer), READER_SENT);
    peer_free(peer);
    spool_give(spool);
}

static void
who_wants_the_whole_is_let_go_when_there_is_none(void **state)
{
    struct spool *broken = spool_new(-1, LIMIT), *large = spool_new(-1, LIMIT),
                 *slow = spool_new(-1, LIMIT);
    struct peer *peers[] = {peer_new(broken, 60000), peer_new(large, 60000), peer_new(slow, 60000)};
    (void)state;
    for (int i = 0; i < 3; i++) {
        peers[i]->whole_only = true;
        peers[i]->reader.until_ms = i == 2 ? clock_now_ms() + 100 : INT64_MAX;
        streamer_add(&peers[i]->reader);
    }
    end(broken, false);
    assert_true(spool_spill(large, "/tmp", SPOOL_FILE_MAX));
    streamer_grew();
    assert_int_equal(ended(peers[0]), READER_BROKEN);
    assert_int_equal(ended(peers[1]), READER_SPILLED);
    assert_int_equal(ended(peers[2]), READER_LATE);
    for (int i = 0; i < 3; i++)
        peer_free(peers[i]);
    spool_give(broken);
    spool_give(large);
    spool_give(slow);
}

static void
who_hangs_up_or_stalls_is_dropped(void **state)
{
    struct writing writing = {spool_new(-1, LIMIT), 200};
    struct peer *gone = peer_new(writing.spool, 60000), *stalled = peer_new(writing.spool, 200);
    pthread_t thread;
    (void)state;
    streamer_add(&gone->reader);
    streamer_add(&stalled->reader);
    pthread_create(&thread, NULL, writer, &writing);
    pthread_join(thread, NULL);
    shutdown(gone->fd, SHUT_RDWR);
    assert_int_equal(ended(gone), READER_GONE);
    assert_int_equal(ended(stalled), READER_GONE);
    peer_free(gone);
    peer_free(stalled);
    spool_give(writing.spool);
}

static void
who_is_not_taken_is_forgotten(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *peer = peer_new(spool, 60000);
    (void)state;
    peer->refuses = true;
    streamer_add(&peer->reader);
    peer_free(peer);
    spool_give(spool);
}

/* ------------------------------------------------------------------ its holder */

static void *
read_body(void *arg)
{
    struct peer *peer = arg;
    size_t *n = malloc(sizeof *n);
    bool whole;
    free(receive(peer->fd, n, &whole));
    return n;
}

static void
who_fetches_gets_his_client_back_when_it_has_all_there_is(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *peer = peer_new(spool, 60000);
    pthread_t thread;
    size_t taken;
    void *received;
    (void)state;
    streamer_hold(&peer->reader);
    streamer_add(&peer->reader);
    append(spool, 3000000);
    assert_int_equal(streamer_outcome(&peer->reader), READER_NONE);
    pthread_create(&thread, NULL, read_body, peer);
    assert_int_equal(streamer_reclaim(&peer->reader), READER_NONE);
    assert_int_equal(peer->reader.offset, 3000000);
    assert_int_equal(connection_stream(peer->reader.connection, "abc", 3, true, true, &taken),
                     CONNECTION_DONE);
    assert_int_equal(taken, 3);
    pthread_join(thread, &received);
    assert_int_equal(*(size_t *)received, 3000003);
    free(received);
    peer_free(peer);
    spool_give(spool);
}

static void
who_fetches_learns_that_his_client_is_gone(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *peer = peer_new(spool, 60000);
    (void)state;
    streamer_hold(&peer->reader);
    streamer_add(&peer->reader);
    shutdown(peer->fd, SHUT_RDWR);
    append(spool, 3000000);
    assert_int_equal(streamer_reclaim(&peer->reader), READER_GONE);
    peer_free(peer);
    spool_give(spool);
}

static void
who_leaves_his_client_leaves_it_for_good(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    struct peer *early = peer_new(spool, 60000), *late = peer_new(spool, 60000);
    (void)state;
    streamer_hold(&early->reader);
    streamer_hold(&late->reader);
    streamer_add(&early->reader);
    streamer_add(&late->reader);
    append(spool, 1000);
    streamer_leave(&early->reader);
    end(spool, true);
    got(early, 0, 1000);
    while (streamer_outcome(&late->reader) == READER_NONE)
        pause_ms(1);
    assert_int_equal(atomic_load(&late->last), READER_NONE);
    streamer_leave(&late->reader);
    assert_int_equal(atomic_load(&late->last), READER_SENT);
    peer_free(early);
    peer_free(late);
    spool_give(spool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_reads_gets_all_while_it_grows),
        cmocka_unit_test(many_read_a_large_one_each_at_his_own_pace),
        cmocka_unit_test(a_fetch_that_breaks_off_ends_who_reads_it),
        cmocka_unit_test(who_wants_the_whole_gets_it_in_one),
        cmocka_unit_test(who_wants_the_whole_is_let_go_when_there_is_none),
        cmocka_unit_test(who_hangs_up_or_stalls_is_dropped),
        cmocka_unit_test(who_is_not_taken_is_forgotten),
        cmocka_unit_test(who_fetches_gets_his_client_back_when_it_has_all_there_is),
        cmocka_unit_test(who_fetches_learns_that_his_client_is_gone),
        cmocka_unit_test(who_leaves_his_client_leaves_it_for_good),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

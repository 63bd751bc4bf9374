/*
 * The journal of the machine: what was noted is told to Redis and then forgotten,
 * however disks fill up and files are damaged; and nobody waits longer than he
 * wants to. What becomes of it when processes are killed: test_journal_killed.c.
 */
#include "runtime/journal_line.h"
#include "journal_fixture.h"

/* ---------------------------------------------------------------------------- what it is for */

static void
what_is_noted_is_told_once_and_then_forgotten(void **state)
{
    struct place *place = *state;

    opens(place);
    assert_int_equal(journal_pending(place->journal), 0);
    is_told(place->journal, "");
    assert_int_equal(note(place->journal, JOURNAL_HARD, "tag:b"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SWEEP, "a:*"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "tag:c"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "tag:a"), LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 4);
    is_all(place, "hard tag:a tag:b | soft tag:c | sweep a:*");
}

static void
a_name_is_told_once_however_often_it_was_noted(void **state)
{
    struct place *place = *state;

    opens(place);
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%03d", i % 150);
        assert_int_equal(note(place->journal, JOURNAL_HARD, name), LARDER_OK);
    }
    /* Purged hard is purged. */
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "t000"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "other"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "t149"), LARDER_OK);
    struct told told = {.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_int_equal(told.names, 151);
    assert_int_equal(told.batches, 3); /* 128, 22, and the soft one */
    assert_non_null(strstr(told.words, "| soft other"));
    assert_int_equal(journal_pending(place->journal), 0);
}

static void
several_records_are_noted_together(void **state)
{
    struct place *place = *state;
    const char *const tags[] = {"x", "y"};
    const char *const patterns[] = {"p:*"};
    const struct journal_record records[] = {
        {.kind = JOURNAL_HARD, .names = tags, .count = 2},
        {.kind = JOURNAL_SWEEP, .names = patterns, .count = 1},
        {.kind = JOURNAL_DONE, .token = "0123456789abcdef"},
    };

    opens(place);
    int syncs = atomic_load(&faults.syncs);
    assert_int_equal(journal_append(place->journal, records, 3, NOW, soon(), NULL), LARDER_OK);
    assert_int_equal(atomic_load(&faults.syncs), syncs + 1);
    assert_int_equal(journal_pending(place->journal), 2);
    assert_int_equal(journal_intents(place->journal), 1);
    assert_int_equal(journal_append(place->journal, records, 0, NOW, soon(), NULL), LARDER_OK);
    assert_int_equal(atomic_load(&faults.syncs), syncs + 1);
    is_all(place, "hard x y | sweep p:*");
}

static void
names_of_any_byte_come_out_as_they_went_in(void **state)
{
    struct place *place = *state;
    char every[256], longest[JOURNAL_NAME_MAX + 2];
    const char *names[] = {every, " ", "%", "%41", "\n\n", longest};
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = names, .count = 6};

    for (int i = 0; i < 255; i++)
        every[i] = (char)(i + 1);
    every[255] = '\0';
    memset(longest, '\n', JOURNAL_NAME_MAX);
    longest[JOURNAL_NAME_MAX] = '\0';
    opens(place);
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), NULL), LARDER_OK);
    opens(place);

    struct told told = {.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_int_equal(told.names, 6);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(strstr(told.words, names[i]));
    assert_int_equal(journal_pending(place->journal), 0);
}

static void
what_cannot_be_noted_is_refused(void **state)
{
    struct place *place = *state;
    char long_name[JOURNAL_NAME_MAX + 2];
    const char *good = "a", *empty = "", *too_long = long_name, *none = NULL;
    const struct journal_record bad[] = {
        {.kind = JOURNAL_HARD, .names = &empty, .count = 1},
        {.kind = JOURNAL_HARD, .names = &too_long, .count = 1},
        {.kind = JOURNAL_SWEEP, .names = &none, .count = 1},
        {.kind = JOURNAL_HARD, .names = &good, .count = 0},
        {.kind = JOURNAL_INTENT, .names = &good, .count = 1, .hold_ms = 1},
        {.kind = JOURNAL_INTENT, .names = &good, .count = 1, .token = "a"},
        {.kind = JOURNAL_INTENT, .count = 0, .token = "a", .hold_ms = 1},
        {.kind = JOURNAL_SILENT, .names = &good, .count = 1},
        {.kind = JOURNAL_DONE, .token = ""},
        {.kind = JOURNAL_DONE, .token = "a", .names = &good, .count = 1},
    };

    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    opens(place);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct journal_record both[] = {{.kind = JOURNAL_HARD, .names = &good, .count = 1},
                                              bad[i]};
        struct larder_error err = {0};
        assert_int_equal(journal_append(place->journal, both, 2, NOW, soon(), &err),
                         LARDER_INVALID);
        assert_true(strlen(err.message) > 10);
    }
    assert_int_equal(journal_pending(place->journal), 0);
    assert_int_equal(size_of(place->file), HEAD);
}

static void
a_record_of_many_names_is_several_lines(void **state)
{
    struct place *place = *state;
    enum { N = 3000 };
    static char text[N][16];
    static const char *names[N];
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = names, .count = N};

    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "name%08d", i);
        names[i] = text[i];
    }
    opens(place);
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), NULL), LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 3);
    struct told told = {.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_int_equal(told.names, N);
}

static void
every_process_sees_every_append(void **state)
{
    struct place *place = *state;

    opens(place);
    struct journal *other = open_with(place, MAX);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
        assert_int_equal(journal_pending(other), i);
    }
    is_told(other, "hard a");
    assert_int_equal(journal_pending(place->journal), 0);
    journal_close(other);
    assert_int_equal(journal_pending(NULL), 0);
}

static void
what_redis_did_not_take_stays(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_SWEEP, "p:*"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "b"), LARDER_OK);
    struct told first = {.fail_at = 1};
    assert_int_equal(journal_replay(place->journal, tell, &first, &err), LARDER_UNAVAILABLE);
    assert_string_equal(err.message, "redis: gone");
    assert_int_equal(journal_pending(place->journal), 3);
    struct told second = {.fail_at = 2};
    assert_int_equal(journal_replay(place->journal, tell, &second, &err), LARDER_UNAVAILABLE);
    assert_string_equal(second.words, "hard a");
    assert_int_equal(journal_pending(place->journal), 2);
    opens(place);
    assert_int_equal(journal_pending(place->journal), 2);
    is_all(place, "soft b | sweep p:*");
}

static void
a_record_is_dropped_only_when_all_its_names_are_done(void **state)
{
    struct place *place = *state;
    enum { N = 200 };
    static char text[N][16];
    static const char *names[N];
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = names, .count = N};

    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "n%03d", i);
        names[i] = text[i];
    }
    opens(place);
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), NULL), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "n001"), LARDER_OK);
    struct told told = {.fail_at = 2};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_UNAVAILABLE);
    assert_int_equal(told.names, 128);
    assert_int_equal(journal_pending(place->journal), 1); /* the second record is done */
    told = (struct told){.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_int_equal(told.names, N);
    assert_int_equal(journal_pending(place->journal), 0);
}

/* ------------------------------------------------------------------------------------- intents */

/* A process that notes an intent, and is gone. */
static void
intend_and_die(struct place *place, size_t max, const char *token, int64_t hold_ms, const char *tag)
{
    struct journal *other = open_with(place, max);
    assert_int_equal(intend(other, token, hold_ms, tag), LARDER_OK);
    journal_close(other);
}

static void
an_intent_stays_while_its_process_lives_and_is_silent_then(void **state)
{
    struct place *place = *state;
    struct told told = {.batches = 0};

    opens(place);
    struct journal *other = open_with(place, MAX);
    assert_int_equal(intend(other, "aaaa", 1000, "tag:m"), LARDER_OK);
    for (int i = 0; i < 3; i++) {
        is_told(place->journal, "");
        /* That is no reason not to trust Redis. */
        assert_int_equal(journal_pending(place->journal), 0);
        assert_int_equal(journal_intents(place->journal), 1);
        assert_true(journal_owners_live(place->journal));
    }
    assert_int_equal(note(place->journal, JOURNAL_HARD, "x"), LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 1);
    is_told(place->journal, "hard x");
    assert_int_equal(journal_intents(place->journal), 1);
    assert_int_equal(intend(place->journal, "bbbb", 2000, "tag:n"), LARDER_OK);
    journal_close(other);
    assert_false(journal_owners_live(place->journal));
    /* Before Redis has been told nobody trusts it. */
    told.fail_at = 1;
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_UNAVAILABLE);
    assert_int_equal(journal_pending(place->journal), 1);
    assert_true(journal_owners_live(place->journal));
    told.fail_at = 0;
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_string_equal(told.words, "silent tag:m");
    assert_int_equal(told.hold_ms, 1000);
    assert_int_equal(journal_pending(place->journal), 0);
    assert_int_equal(journal_intents(place->journal), 1);
    /* Gone while nobody was there. */
    opens(place);
    assert_int_equal(journal_intents(place->journal), 1);
    is_all(place, "silent tag:n");
}

/* An older Larder's, whose process cannot be there any more. */
static void
an_intent_with_a_deadline_is_silent(void **state)
{
    static const char line[] =
        "2026-09-21T14:13:20.000Z intent 0123456789abcdef 2026-09-21T14:18:20.000Z tag:a tag:b";
    struct arena *arena = arena_new(4096);
    struct journal_line read;
    char text[256];

    (void)state;
    snprintf(text, sizeof text, "%016llx %s",
             (unsigned long long)journal_line_sum((struct slice){line, sizeof line - 1}), line);
    assert_int_equal(journal_line_read(slice_of(text), arena, &read), JOURNAL_LINE_GOOD);
    assert_int_equal(read.record.kind, JOURNAL_SILENT);
    assert_int_equal(read.record.hold_ms, 300000);
    assert_int_equal(read.record.count, 2);
    assert_string_equal(read.record.names[1], "tag:b");
    arena_free(arena);
}

static void
an_intent_with_an_end_is_dropped(void **state)
{
    struct place *place = *state;
    const char *tag = "tag:m";
    const struct journal_record purge_and_end[] = {
        {.kind = JOURNAL_HARD, .names = &tag, .count = 1},
        {.kind = JOURNAL_DONE, .token = "aaaa"},
    };

    opens(place);
    /* The mutation failed, or the purge went to Redis. */
    assert_int_equal(intend(place->journal, "aaaa", 1000, tag), LARDER_OK);
    assert_int_equal(intend(place->journal, "bbbb", 1000, "tag:n"), LARDER_OK);
    assert_int_equal(end(place->journal, "aaaa"), LARDER_OK);
    assert_int_equal(journal_intents(place->journal), 3);
    is_told(place->journal, "");
    assert_int_equal(journal_intents(place->journal), 1);
    assert_int_equal(end(place->journal, "bbbb"), LARDER_OK);
    is_told(place->journal, "");
    assert_int_equal(journal_intents(place->journal), 0);
    assert_int_equal(journal_pending(place->journal), 0);

    assert_int_equal(intend(place->journal, "aaaa", 1000, tag), LARDER_OK);
    assert_int_equal(journal_append(place->journal, purge_and_end, 2, NOW, soon(), NULL),
                     LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 1);
    is_all(place, "hard tag:m");
    /* An end without a beginning (that one was a purge already). */
    assert_int_equal(end(place->journal, "cccc"), LARDER_OK);
    is_all(place, "");
}

static void
intents_of_several_mutations_end_one_by_one(void **state)
{
    struct place *place = *state;
    enum { N = 50 };
    char token[16];

    opens(place);
    for (int i = 0; i < N; i++) {
        snprintf(token, sizeof token, "t%d", i);
        assert_int_equal(intend(place->journal, token, 1000 + i, token), LARDER_OK);
    }
    assert_int_equal(stats_of(place).intents, N);
    for (int i = 0; i < N; i += 2) {
        snprintf(token, sizeof token, "t%d", i);
        assert_int_equal(end(place->journal, token), LARDER_OK);
        is_told(place->journal, "");
        assert_int_equal(journal_intents(place->journal), N - i / 2 - 1);
    }
    assert_int_equal(journal_pending(place->journal), 0);
    assert_int_equal(journal_intents(place->journal), N / 2);
}

/* --------------------------------------------------------------------------------- collapsing */

static void
past_its_bound_it_becomes_a_purge_of_everything(void **state)
{
    struct place *place = *state;
    char name[64];
    off_t largest = 0;

    place->journal = open_with(place, JOURNAL_MAX_MIN);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "tag:number-%d", i);
        assert_int_equal(note(place->journal, i % 2 ? JOURNAL_HARD : JOURNAL_SOFT, name),
                         LARDER_OK);
        assert_true(journal_pending(place->journal) > 0);
        if (size_of(place->file) > largest)
            largest = size_of(place->file);
    }
    /* Collapsed text is written beside the old one before that is let go. */
    assert_true(largest <= HEAD + 2 * (off_t)JOURNAL_MAX_MIN);
    struct told told = {.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_non_null(strstr(told.words, "hard all tag:number-"));
    assert_non_null(strstr(told.words, "tag:number-1999"));
    assert_int_equal(journal_pending(place->journal), 0);
    assert_int_equal(size_of(place->file), HEAD);
}

static void
one_record_past_the_bound_collapses_too(void **state)
{
    struct place *place = *state;
    enum { N = 1000 };
    static const char *names[N];
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = names, .count = N};

    for (int i = 0; i < N; i++)
        names[i] = "a-name-of-some-length";
    place->journal = open_with(place, JOURNAL_MAX_MIN);
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), NULL), LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 1);
    is_all(place, "hard all");
}

static void
fill(struct journal *journal)
{
    static char name[3001];
    memset(name, 'f', sizeof name - 1);
    assert_int_equal(note(journal, JOURNAL_SWEEP, name), LARDER_OK);
}

static void
intents_collapse_to_a_silent_one_of_the_longest_hold(void **state)
{
    struct place *place = *state;
    struct told told = {.batches = 0};

    place->journal = open_with(place, JOURNAL_MAX_MIN);
    assert_int_equal(intend(place->journal, "aaaa", 1000, "tag:a"), LARDER_OK);
    intend_and_die(place, JOURNAL_MAX_MIN, "bbbb", 3000, "tag:b");
    assert_int_equal(intend(place->journal, "cccc", 2000, "tag:c"), LARDER_OK);
    assert_int_equal(intend(place->journal, "dddd", 9000, "tag:d"), LARDER_OK);
    assert_int_equal(end(place->journal, "dddd"), LARDER_OK);
    fill(place->journal);
    fill(place->journal);
    assert_int_equal(stats_of(place).intents, 0);
    assert_int_equal(journal_intents(place->journal), 0);
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_string_equal(told.words, "silent all | sweep *"); /* no tag was purged, so not all are */
    assert_int_equal(journal_pending(place->journal), 0);
    /* Their ends come, and mean nothing any more. */
    assert_int_equal(end(place->journal, "cccc"), LARDER_OK);
    is_all(place, "");
    /* The hold, once more. */
    told = (struct told){.fail_at = 2};
    assert_int_equal(intend(place->journal, "aaaa", 1000, "tag:a"), LARDER_OK);
    intend_and_die(place, JOURNAL_MAX_MIN, "bbbb", 3000, "tag:b");
    fill(place->journal);
    fill(place->journal);
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_UNAVAILABLE);
    assert_int_equal(told.hold_ms, 3000);
    is_all(place, "sweep *");
}

static void
patterns_collapse_to_their_literal_beginnings(void **state)
{
    struct place *place = *state;
    static const char *const patterns[] = {"session:*",     "session:a?c",    "user:12*:x",
                                           "user:3",        "a\\*b:c\\:d[e]", "a\\*b:c\\:x?",
                                           "deep:er:[0-9]", "end:\\"};
    const struct journal_record record = {.kind = JOURNAL_SWEEP, .names = patterns, .count = 8};
    static char filler[4001];

    place->journal = open_with(place, 2 * JOURNAL_MAX_MIN);
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), NULL), LARDER_OK);
    memset(filler, 'f', sizeof filler - 1);
    assert_int_equal(note(place->journal, JOURNAL_HARD, filler), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_HARD, filler), LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 2);
    is_all(place, "hard all | sweep a\\*b:c\\:* deep:er:* end:* session:* user:*");
}

static void
too_many_beginnings_collapse_to_a_star(void **state)
{
    struct place *place = *state;
    char pattern[64];

    place->journal = open_with(place, JOURNAL_MAX_MIN);
    for (int i = 0; i < 200; i++) {
        snprintf(pattern, sizeof pattern, "resource-number-%d:*", i);
        assert_int_equal(note(place->journal, JOURNAL_SWEEP, pattern), LARDER_OK);
    }
    struct told told = {.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_non_null(strstr(told.words, "sweep * resource-number-"));
    assert_int_equal(journal_pending(place->journal), 0);
}

/* ------------------------------------------------------------------- what others do meanwhile */

static void
append_meanwhile(struct place *place)
{
    struct journal *other = open_with(place, MAX);
    assert_int_equal(note(other, JOURNAL_HARD, "late"), LARDER_OK);
    journal_close(other);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "later"), LARDER_OK);
}

static void
what_is_noted_while_redis_is_told_is_not_dropped(void **state)
{
    struct place *place = *state;

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    struct told told = {.meanwhile = append_meanwhile, .place = place};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_string_equal(told.words, "hard a");
    assert_int_equal(journal_pending(place->journal), 2);
    is_all(place, "hard late later");
}

static void
collapse_meanwhile(struct place *place)
{
    struct journal *other = open_with(place, JOURNAL_MAX_MIN);
    fill(other);
    fill(other);
    assert_int_equal(note(other, JOURNAL_HARD, "late"), LARDER_OK);
    journal_close(other);
}

static void
what_collapsed_while_redis_was_told_is_told_again(void **state)
{
    struct place *place = *state;

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    struct told told = {.meanwhile = collapse_meanwhile, .place = place};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    is_all(place, "hard all late | sweep *");
}

static void
replay_meanwhile(struct place *place)
{
    struct larder_error err = {0};
    struct told told = {.batches = 0};
    struct journal *other = open_with(place, MAX);

    assert_int_equal(journal_replay(other, tell, &told, &err), LARDER_EXISTS);
    assert_non_null(strstr(err.message, "another process"));
    journal_close(other);
    assert_int_equal(journal_replay(place->journal, tell, &told, &err), LARDER_EXISTS);
    assert_non_null(strstr(err.message, "another thread"));
    assert_int_equal(told.batches, 0);
}

static void
only_one_replays(void **state)
{
    struct place *place = *state;

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    struct told told = {.meanwhile = replay_meanwhile, .place = place};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_string_equal(told.words, "hard a");
    is_all(place, "");
}

/* A process that has the lock and does not go on. */
static void
nobody_waits_longer_than_he_wants_for_a_process_that_was_stopped(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};
    const char *tag = "a";
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = &tag, .count = 1};

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "before"), LARDER_OK);
    int fd = open(place->file, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    int64_t begin = clock_now_ms();
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, begin + 100, &err),
                     LARDER_TIMEOUT);
    int64_t took = clock_now_ms() - begin;
    assert_true(took >= 100 && took < 5000);
    assert_non_null(strstr(err.message, "locked by another process"));
    assert_int_equal(journal_pending(place->journal), 1);
    assert_int_equal(stats_of(place).pending, 1); /* who only looks waits for nobody */
    close(fd);
    is_all(place, "hard before");
}

struct appender {
    struct journal *journal;
    int64_t deadline_ms;
    int id, count;
    enum larder_status status;
};

static void *
append_many(void *arg)
{
    struct appender *self = arg;
    for (int i = 0; i < self->count && self->status == LARDER_OK; i++) {
        char name[32];
        const char *tag = name;
        const struct journal_record record = {.kind = JOURNAL_HARD, .names = &tag, .count = 1};
        snprintf(name, sizeof name, "t:%d:%d", self->id, i);
        self->status = journal_append(self->journal, &record, 1, NOW, self->deadline_ms, NULL);
    }
    return NULL;
}

static void
threads_that_wait_for_a_lock_in_vain_leave_nothing_behind(void **state)
{
    enum { N = 6 };
    struct place *place = *state;
    struct appender appender[N];
    pthread_t thread[N];

    opens(place);
    int fd = open(place->file, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    for (int i = 0; i < N; i++) {
        appender[i] = (struct appender){place->journal, clock_now_ms() + 20 * i, i, 1, LARDER_OK};
        assert_int_equal(pthread_create(&thread[i], NULL, append_many, &appender[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(appender[i].status, LARDER_TIMEOUT);
    }
    assert_int_equal(journal_pending(place->journal), 0);
    close(fd);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    is_all(place, "hard a");
}

static void
threads_share_their_syncs_and_lose_nothing(void **state)
{
    enum { N = 16, EACH = 12 };
    struct place *place = *state;
    struct appender appender[N];
    pthread_t thread[N];

    opens(place);
    atomic_store(&faults.sync_ms, 5);
    atomic_store(&faults.syncs, 0);
    for (int i = 0; i < N; i++) {
        appender[i] = (struct appender){place->journal, soon(), i, EACH, LARDER_OK};
        assert_int_equal(pthread_create(&thread[i], NULL, append_many, &appender[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(appender[i].status, LARDER_OK);
    }
    /* Two rounds for each record when they do not quite meet; one by one it would be N * EACH. */
    print_message("%d appends by %d threads: %d syncs\n", N * EACH, N, atomic_load(&faults.syncs));
    assert_true(atomic_load(&faults.syncs) <= 4 * EACH);
    assert_int_equal(journal_pending(place->journal), N * EACH);
    struct told told = {.batches = 0};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_OK);
    assert_int_equal(told.names, N * EACH);
    assert_int_equal(journal_pending(place->journal), 0);
}

/* One that appends without a pause does not keep another process from its turn. */
static void
a_busy_process_lets_another_have_its_turn(void **state)
{
    struct place *place = *state;
    struct appender busy;
    pthread_t thread;

    opens(place);
    struct journal *other = open_with(place, MAX);
    busy = (struct appender){place->journal, clock_now_ms() + 60000, 0, 1000, LARDER_OK};
    atomic_store(&faults.sync_ms, 2);
    assert_int_equal(pthread_create(&thread, NULL, append_many, &busy), 0);
    while (journal_pending(other) == 0)
        sched_yield();
    int64_t begin = clock_now_ms();
    for (int i = 0; i < 20; i++)
        assert_int_equal(note(other, JOURNAL_HARD, "x"), LARDER_OK);
    int64_t took_ms = clock_now_ms() - begin;
    print_message("20 appends beside a busy process: %lld ms\n", (long long)took_ms);
    uint64_t before = journal_pending(place->journal);
    pthread_join(thread, NULL);
    assert_true(before < 500);
    assert_int_equal(busy.status, LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 1020);
    journal_close(other);
}

static void
a_child_that_was_forked_may_not_use_it(void **state)
{
    struct place *place = *state;
    int status;

    opens(place);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool refused = note(place->journal, JOURNAL_HARD, "a") == LARDER_INVALID;
        _exit(refused && journal_pending(place->journal) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void *
look_always(void *arg)
{
    const struct place *place = arg;
    struct journal_stats stats;
    while (!atomic_load(&place->shared->go))
        if (journal_stats_at(place->dir, HASH, &stats, NULL) != LARDER_OK || stats.damaged)
            atomic_fetch_add(&place->shared->ready, 1);
    return NULL;
}

static void
who_looks_never_sees_it_half_written(void **state)
{
    struct place *place = *state;
    pthread_t thread;

    place->journal = open_with(place, JOURNAL_MAX_MIN);
    assert_int_equal(pthread_create(&thread, NULL, look_always, place), 0);
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "look:%d:*", i);
        assert_int_equal(note(place->journal, i % 3 ? JOURNAL_HARD : JOURNAL_SWEEP, name),
                         LARDER_OK);
        struct told told = {.fail_at = (size_t)(i % 4)};
        if (i % 5 == 0)
            (void)journal_replay(place->journal, tell, &told, NULL);
    }
    atomic_store(&place->shared->go, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&place->shared->ready), 0);
}

static void
stats_say_what_is_there_and_since_when(void **state)
{
    struct place *place = *state;
    struct journal_stats stats;
    const char *tag = "a";
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = &tag, .count = 1};

    assert_int_equal(journal_stats_at(place->dir, HASH, &stats, NULL), LARDER_MISS);
    opens(place);
    assert_int_equal(journal_stats(place->journal, &stats, NULL), LARDER_OK);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(stats.bytes, 0);
    assert_int_equal(stats.oldest_ms, 0);
    assert_int_equal(journal_append(place->journal, &record, 1, NOW + 77, soon(), NULL), LARDER_OK);
    assert_int_equal(intend(place->journal, "aaaa", 5, "b"), LARDER_OK);
    assert_int_equal(intend(place->journal, "bbbb", 5, "b"), LARDER_OK);
    assert_int_equal(end(place->journal, "aaaa"), LARDER_OK);
    assert_int_equal(journal_stats(place->journal, &stats, NULL), LARDER_OK);
    assert_int_equal(stats.pending, 4);
    assert_int_equal(stats.intents, 1);
    assert_int_equal(stats.oldest_ms, NOW);
    assert_int_equal(stats.bytes, size_of(place->file) - HEAD);
    assert_false(stats.damaged);
}

/* ------------------------------------------------------------------------------------ damage */

static void
append_bytes(const char *file, const char *bytes, size_t n)
{
    int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static void
a_torn_tail_of_any_length_is_dropped(void **state)
{
    struct place *place = *state;
    char last[256];

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "first"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "second"), LARDER_OK);
    off_t two = size_of(place->file);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "third and last"), LARDER_OK);
    off_t three = size_of(place->file);
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, last, sizeof last, two), three - two);
    close(fd);
    journal_close(place->journal);
    place->journal = NULL;
    for (off_t length = two; length <= three; length++) {
        assert_int_equal(truncate(place->file, two), 0);
        append_bytes(place->file, last, (size_t)(length - two));
        change_extent(place->file, HEAD, length % 2 ? two : HEAD);
        change_boot(place->file);
        struct journal *journal = open_with(place, MAX);
        assert_int_equal(journal_pending(journal), length == three ? 3 : 2);
        assert_int_equal(size_of(place->file), length == three ? three : two);
        /* And what comes next is whole. */
        assert_int_equal(note(journal, JOURNAL_HARD, "next"), LARDER_OK);
        assert_int_equal(journal_pending(journal), length == three ? 4 : 3);
        assert_false(stats_of(place).damaged);
        journal_close(journal);
    }
    opens(place);
    is_all(place, "hard first next third and last | soft second");
}

static void
with_a_head_page_that_cannot_be_everything_in_it_counts(void **state)
{
    struct place *place = *state;
    static const struct {
        off_t start, end;
    } bad[] = {{0, HEAD}, {HEAD + 5, HEAD}, {HEAD, HEAD + 100000}, {0, 0}, {HEAD - 1, HEAD}};

    opens(place);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
        assert_int_equal(note(place->journal, JOURNAL_HARD, "b"), LARDER_OK);
        change_extent(place->file, bad[i].start, bad[i].end);
        opens(place);
        is_all(place, "hard a b");
        assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
        append_bytes(place->file, "half a rec", 10);
        change_extent(place->file, bad[i].start, bad[i].end);
        opens(place);
        is_all(place, "hard a all | sweep *");
    }
}

/* A process that was killed wrote it; the others have not been told of it. */
static void
what_stands_behind_the_end_does_not_count(void **state)
{
    struct place *place = *state;
    char tail[500];

    memset(tail, 'x', sizeof tail);
    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    off_t size = size_of(place->file);
    append_bytes(place->file, tail, sizeof tail);
    is_told(place->journal, "hard a");
    assert_int_equal(size_of(place->file), HEAD);
    append_bytes(place->file, tail, sizeof tail);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    assert_int_equal(size_of(place->file), size);
    append_bytes(place->file, tail, sizeof tail);
    opens(place);
    assert_int_equal(size_of(place->file), size);
    is_all(place, "hard a");
}

/* Somebody was killed when he had raised the count, and had not written yet. */
static void
leave_count_too_high(struct place *place, uint64_t wanted)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct journal *journal = open_with(place, MAX);
        faults.kill_how = 0;
        atomic_store(&faults.kill_at, 0);
        (void)note(journal, JOURNAL_HARD, "b");
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(journal_pending(place->journal), wanted);
}

static void
a_count_that_a_dead_process_left_too_high_is_set_right(void **state)
{
    struct place *place = *state;

    opens(place);
    leave_count_too_high(place, 1);
    is_all(place, "");
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    leave_count_too_high(place, 2);
    journal_close(open_with(place, MAX));
    assert_int_equal(journal_pending(place->journal), 1);
    /* Nothing is dropped here, and the count is right all the same. */
    leave_count_too_high(place, 2);
    struct told told = {.fail_at = 1};
    assert_int_equal(journal_replay(place->journal, tell, &told, NULL), LARDER_UNAVAILABLE);
    assert_int_equal(journal_pending(place->journal), 1);
    leave_count_too_high(place, 2);
    is_all(place, "hard a");
}

static void
one_changed_byte_anywhere_makes_it_drop_everything(void **state)
{
    struct place *place = *state;

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    off_t one = size_of(place->file);
    journal_close(place->journal);
    place->journal = NULL;
    for (off_t at = HEAD; at < one; at++)
        for (int boot = 0; boot < 2; boot++) {
            char byte;
            struct journal *journal = open_with(place, MAX);
            assert_int_equal(note(journal, JOURNAL_HARD, "a"), LARDER_OK);
            assert_int_equal(note(journal, JOURNAL_HARD, "b"), LARDER_OK);
            journal_close(journal);
            int fd = open(place->file, O_RDWR | O_CLOEXEC);
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            byte ^= (char)(1 << at % 8);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            close(fd);
            if (boot)
                change_boot(place->file);
            journal = open_with(place, MAX);
            assert_true(stats_of(place).damaged);
            assert_true(journal_pending(journal) >= 2);
            struct told told = {.fail_at = 2};
            assert_int_equal(journal_replay(journal, tell, &told, NULL), LARDER_UNAVAILABLE);
            assert_non_null(strstr(told.words, "hard a"));
            assert_non_null(strstr(told.words, "all"));
            /* What stands for it is kept like any other. */
            is_told(journal, "sweep *");
            assert_int_equal(journal_pending(journal), 0);
            assert_int_equal(note(journal, JOURNAL_HARD, "a"), LARDER_OK);
            journal_close(journal);
        }
}

static void
a_line_that_cannot_be_read_at_the_end_of_what_counts_is_damage(void **state)
{
    struct place *place = *state;

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    int fd = open(place->file, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "?", 1, HEAD + 3), 1);
    close(fd);
    is_all(place, "hard all | sweep *");
}

/* ---------------------------------------------------------------------------------- full disk */

static void
a_full_disk_leaves_the_file_as_it_was(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};
    const char *tag = "b";
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = &tag, .count = 1};

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    off_t size = size_of(place->file);
    for (int call = 0; call < 2; call++) { /* the write, the fdatasync */
        fail_at(call);
        assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), &err),
                         LARDER_UNAVAILABLE);
        assert_non_null(strstr(err.message, strerror(ENOSPC)));
        fail_at(NEVER);
        assert_int_equal(journal_pending(place->journal), 1);
        assert_int_equal(size_of(place->file), size);
    }
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), &err), LARDER_OK);
    is_all(place, "hard a b");
}

static void
a_full_disk_while_it_drops_or_collapses_loses_nothing(void **state)
{
    struct place *place = *state;
    struct told told = {.fail_at = 2};
    struct larder_error err = {0};

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_SOFT, "b"), LARDER_OK);
    fail_at(0);
    assert_int_equal(journal_replay(place->journal, tell, &told, &err), LARDER_UNAVAILABLE);
    fail_at(NEVER);
    assert_int_equal(journal_pending(place->journal), 2);
    assert_int_equal(intend(place->journal, "aaaa", 1, "c"), LARDER_OK);
    fail_at(1);
    assert_int_equal(journal_replay(place->journal, tell, &told, &err), LARDER_UNAVAILABLE);
    fail_at(NEVER);
    assert_non_null(strstr(err.message, strerror(ENOSPC)));
    assert_int_equal(journal_pending(place->journal), 2);
    assert_int_equal(journal_intents(place->journal), 1);

    journal_close(place->journal);
    place->journal = open_with(place, JOURNAL_MAX_MIN);
    fill(place->journal);
    static char name[3001];
    memset(name, 'g', sizeof name - 1);
    for (int call = 0; call < 2; call++) {
        fail_at(call);
        assert_int_equal(note(place->journal, JOURNAL_SWEEP, name), LARDER_UNAVAILABLE);
        fail_at(NEVER);
        assert_int_equal(journal_pending(place->journal), 3);
    }
    assert_int_equal(note(place->journal, JOURNAL_SWEEP, name), LARDER_OK);
    is_told(place->journal, "silent all | hard all | sweep *");
    assert_int_equal(journal_pending(place->journal), 0);
}

/* A real limit, in the middle of a record. */
static void
what_does_not_fit_under_a_limit_is_not_acknowledged(void **state)
{
    struct place *place = *state;
    int status;

    opens(place);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct journal *journal;
        struct rlimit limit = {HEAD + 1000, HEAD + 1000};
        sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
            journal_open(place->dir, HASH, MAX, &journal, NULL) != LARDER_OK)
            _exit(1);
        while (note_next(place, journal, 0) == LARDER_OK)
            ;
        bool cut = size_of(place->file) < HEAD + 1000;
        bool same = (int)journal_pending(journal) == count_acknowledged(place, 0);
        /* It works on as soon as there is room. */
        bool replayed = replay_for(place, journal) == LARDER_OK;
        _exit(cut && same && replayed && note_next(place, journal, 1) == LARDER_OK ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(count_acknowledged(place, 0) > 5);
    nothing_is_lost(place, MAX);
}

/* --------------------------------------------------------------------------------- bad files */

static void
is_refused(struct place *place, enum larder_status wanted, const char *words)
{
    struct journal *journal = NULL;
    struct larder_error err = {0};

    assert_int_equal(journal_open(place->dir, HASH, MAX, &journal, &err), wanted);
    assert_null(journal);
    assert_int_equal(err.status, wanted);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
    assert_int_equal(journal_open(place->dir, HASH, MAX, &journal, NULL), wanted);
}

static void
write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static void
a_foreign_file_is_refused_and_left_alone(void **state)
{
    struct place *place = *state;
    char bytes[32] = "";

    write_file(place->file, "precious", 8);
    is_refused(place, LARDER_CORRUPT, "not a journal of Larder");
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, bytes, sizeof bytes), 8);
    close(fd);
    write_file(place->file, "", 0);
    is_refused(place, LARDER_CORRUPT, "not a journal of Larder");
    write_file(place->file, "Larder journal 2\n", 17);
    is_refused(place, LARDER_CORRUPT, "of another version");
    write_file(place->file, "Larder journal 1\n", 17);
    is_refused(place, LARDER_CORRUPT, "size cannot be");
    assert_int_equal(truncate(place->file, (off_t)UINT32_MAX + 1), 0);
    is_refused(place, LARDER_CORRUPT, "size cannot be");
}

static void
what_is_no_file_is_refused(void **state)
{
    struct place *place = *state;
    struct journal_stats stats;
    char target[160];

    snprintf(target, sizeof target, "%s/target", place->dir);
    journal_close(open_with(place, MAX));
    assert_int_equal(rename(place->file, target), 0);
    assert_int_equal(symlink("target", place->file), 0);
    is_refused(place, LARDER_UNAVAILABLE, "symbolic link");
    assert_int_equal(journal_stats_at(place->dir, HASH, &stats, NULL), LARDER_UNAVAILABLE);
    assert_int_equal(unlink(target), 0);
    is_refused(place, LARDER_UNAVAILABLE, "symbolic link");
    assert_int_not_equal(access(target, F_OK), 0);

    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkfifo(place->file, 0600), 0);
    alarm(20); /* a FIFO without a writer must not hold us */
    is_refused(place, LARDER_CORRUPT, "no regular file");
    assert_int_equal(journal_stats_at(place->dir, HASH, &stats, NULL), LARDER_CORRUPT);
    alarm(0);

    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkdir(place->file, 0700), 0);
    is_refused(place, LARDER_UNAVAILABLE, "");
}

static void
a_file_that_others_could_write_is_refused(void **state)
{
    struct place *place = *state;

    journal_close(open_with(place, MAX));
    assert_int_equal(chmod(place->file, 0620), 0);
    is_refused(place, LARDER_REFUSED, "others may write it (mode 0620)");
    assert_int_equal(chmod(place->file, 0602), 0);
    is_refused(place, LARDER_REFUSED, "others may write it");
    assert_int_equal(chmod(place->file, 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(place->file, 65534, 65534), 0);
        is_refused(place, LARDER_REFUSED, "belongs to user 65534");
        assert_int_equal(chown(place->file, 0, 0), 0);
    }
    opens(place);
}

static void
without_a_directory_it_says_so(void **state)
{
    struct place *place = *state;
    struct journal *journal;
    struct larder_error err = {0};
    char path[128], longest[700];

    snprintf(path, sizeof path, "%s/none", place->dir);
    assert_int_equal(journal_open(path, HASH, MAX, &journal, &err), LARDER_UNAVAILABLE);
    assert_null(journal);
    assert_non_null(strstr(err.message, path));
    write_file(path, "", 0);
    assert_int_equal(journal_open(path, HASH, MAX, &journal, &err), LARDER_UNAVAILABLE);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(journal_open(longest, HASH, MAX, &journal, &err), LARDER_INVALID);
    assert_int_equal(journal_open(place->dir, HASH, JOURNAL_MAX_MIN - 1, &journal, &err),
                     LARDER_INVALID);
    assert_int_equal(journal_open(place->dir, HASH, JOURNAL_MAX_MAX + 1, &journal, &err),
                     LARDER_INVALID);
    assert_null(journal);
}

static void
a_file_that_was_removed_takes_no_more(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};
    const char *tag = "b";
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = &tag, .count = 1};

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    assert_int_equal(unlink(place->file), 0);
    /* Nobody else would see it. */
    assert_int_equal(journal_append(place->journal, &record, 1, NOW, soon(), &err),
                     LARDER_UNAVAILABLE);
    assert_non_null(strstr(err.message, "was removed"));
    /* What was noted in it counts all the same. */
    assert_int_equal(journal_pending(place->journal), 1);
    is_told(place->journal, "hard a");
    assert_int_equal(journal_pending(place->journal), 0);
}

static void
a_file_that_was_cut_short_takes_no_more(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};
    struct told told = {.batches = 0};

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    assert_int_equal(truncate(place->file, HEAD + 10), 0);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "b"), LARDER_CORRUPT);
    assert_int_equal(journal_replay(place->journal, tell, &told, &err), LARDER_CORRUPT);
    assert_int_equal(journal_pending(place->journal), 1);
}

static void
it_has_its_mode_whatever_the_umask(void **state)
{
    struct place *place = *state;
    static const mode_t masks[] = {0, 022, 077, 0777};

    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        struct stat st;
        unlink(place->file);
        mode_t before = umask(masks[i]);
        opens(place);
        umask(before);
        assert_int_equal(stat(place->file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_size, HEAD);
        assert_true(st.st_blocks * 512 >= HEAD);
    }
    assert_int_equal(files_in(place->dir, false), 1);
}

static void
processes_that_start_together_share_one_file(void **state)
{
    enum { N = WRITERS };
    struct place *place = *state;
    pid_t pid[N];

    for (int round = 0; round < 10; round++) {
        unlink(place->file);
        forget_notes(place);
        for (int i = 0; i < N; i++) {
            pid[i] = fork();
            assert_true(pid[i] >= 0);
            if (pid[i] > 0)
                continue;
            struct journal *journal;
            atomic_fetch_add(&place->shared->ready, 1);
            while (!atomic_load(&place->shared->go))
                sched_yield();
            if (journal_open(place->dir, HASH, MAX, &journal, NULL) != LARDER_OK ||
                note_next(place, journal, i) != LARDER_OK)
                _exit(1);
            _exit(0);
        }
        while (atomic_load(&place->shared->ready) < N)
            poll(NULL, 0, 1);
        atomic_store(&place->shared->go, true);
        for (int i = 0; i < N; i++) {
            int status;
            assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(stats_of(place).pending, N);
        assert_int_equal(files_in(place->dir, false), 1);
        nothing_is_lost(place, MAX);
    }
}

static void
a_private_one_works_without_a_file(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};

    assert_int_equal(journal_open_private(JOURNAL_MAX_MIN, &place->journal, &err), LARDER_OK);
    struct journal *other;
    assert_int_equal(journal_open_private(JOURNAL_MAX_MIN, &other, &err), LARDER_OK);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "a"), LARDER_OK);
    assert_int_equal(journal_pending(place->journal), 1);
    assert_int_equal(journal_pending(other), 0);
    assert_int_equal(files_in(place->dir, false), 0);
    is_told(place->journal, "hard a");
    assert_int_equal(journal_pending(place->journal), 0);
    fill(place->journal);
    fill(place->journal);
    is_told(place->journal, "sweep *");
    journal_close(other);
}

/* At three in the morning. */
static void
it_can_be_read_by_a_human(void **state)
{
    struct place *place = *state;
    char text[HEAD + 512] = "";

    opens(place);
    assert_int_equal(note(place->journal, JOURNAL_HARD, "tag:two words"), LARDER_OK);
    assert_int_equal(intend(place->journal, "0123456789abcdef", 300000, "all"), LARDER_OK);
    assert_int_equal(end(place->journal, "0123456789abcdef"), LARDER_OK);
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_true(pread(fd, text, sizeof text - 1, 0) > HEAD);
    close(fd);
    assert_memory_equal(text, "Larder journal 1\n", 17);
    for (int i = 0; i < 1024; i++) /* less looks no further before it asks whether it may */
        assert_true((unsigned char)text[i] >= ' ' || text[i] == '\n');
    assert_int_equal(text[HEAD - 1], '\n');
    assert_non_null(strstr(text + HEAD, " 2026-09-21T14:13:20.000Z purge tag:two%20words\n"));
    assert_non_null(strstr(text + HEAD, " 2026-09-21T14:13:20.000Z mutation 0123456789abcdef "));
    assert_non_null(strstr(text + HEAD, " 300000 all\n"));
    assert_non_null(strstr(text + HEAD, " 2026-09-21T14:13:20.000Z done 0123456789abcdef\n"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_noted_is_told_once_and_then_forgotten),
        T(a_name_is_told_once_however_often_it_was_noted),
        T(several_records_are_noted_together),
        T(names_of_any_byte_come_out_as_they_went_in),
        T(what_cannot_be_noted_is_refused),
        T(a_record_of_many_names_is_several_lines),
        T(every_process_sees_every_append),
        T(what_redis_did_not_take_stays),
        T(a_record_is_dropped_only_when_all_its_names_are_done),
        T(an_intent_stays_while_its_process_lives_and_is_silent_then),
        T(an_intent_with_a_deadline_is_silent),
        T(an_intent_with_an_end_is_dropped),
        T(intents_of_several_mutations_end_one_by_one),
        T(past_its_bound_it_becomes_a_purge_of_everything),
        T(one_record_past_the_bound_collapses_too),
        T(intents_collapse_to_a_silent_one_of_the_longest_hold),
        T(patterns_collapse_to_their_literal_beginnings),
        T(too_many_beginnings_collapse_to_a_star),
        T(what_is_noted_while_redis_is_told_is_not_dropped),
        T(what_collapsed_while_redis_was_told_is_told_again),
        T(only_one_replays),
        T(nobody_waits_longer_than_he_wants_for_a_process_that_was_stopped),
        T(threads_that_wait_for_a_lock_in_vain_leave_nothing_behind),
        T(threads_share_their_syncs_and_lose_nothing),
        T(a_busy_process_lets_another_have_its_turn),
        T(a_child_that_was_forked_may_not_use_it),
        T(who_looks_never_sees_it_half_written),
        T(stats_say_what_is_there_and_since_when),
        T(a_torn_tail_of_any_length_is_dropped),
        T(with_a_head_page_that_cannot_be_everything_in_it_counts),
        T(what_stands_behind_the_end_does_not_count),
        T(a_count_that_a_dead_process_left_too_high_is_set_right),
        T(one_changed_byte_anywhere_makes_it_drop_everything),
        T(a_line_that_cannot_be_read_at_the_end_of_what_counts_is_damage),
        T(a_full_disk_leaves_the_file_as_it_was),
        T(a_full_disk_while_it_drops_or_collapses_loses_nothing),
        T(what_does_not_fit_under_a_limit_is_not_acknowledged),
        T(a_foreign_file_is_refused_and_left_alone),
        T(what_is_no_file_is_refused),
        T(a_file_that_others_could_write_is_refused),
        T(without_a_directory_it_says_so),
        T(a_file_that_was_removed_takes_no_more),
        T(a_file_that_was_cut_short_takes_no_more),
        T(it_has_its_mode_whatever_the_umask),
        T(processes_that_start_together_share_one_file),
        T(a_private_one_works_without_a_file),
        T(it_can_be_read_by_a_human),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

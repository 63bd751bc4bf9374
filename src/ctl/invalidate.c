/*
 * `larderctl purge`: what an operator wants gone, by URL, directory, tag, group,
 * pattern, or all of it.
 *
 * A process of the pool does it, asked by its control socket (responder/admin.h):
 * only the pool's configuration says how a URL is kept, and only the pool has a
 * journal for what Redis does not take. The socket takes 16 KiB at a time, so a
 * long list goes in batches. Tags and patterns mean the same to everybody:
 * where there is no pool, or another Redis is named than the pool's, they go to
 * Redis from here.
 *
 * Called by the table in main.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/store.h"
#include "ctl/ctl.h"
#include "runtime/control.h"

/* How long a process may take to say that it is there; to go over the keys for patterns; and, beyond
 * what it gives itself, to answer. */
#define PING_MS INT64_C(2000)
#define PATTERNS_MS INT64_C(30000)
#define GRACE_MS INT64_C(3000)
/* JSON text of the items of one batch: with what stands around it, less than a request may have. */
#define BATCH_TEXT_MAX ((size_t)15000)
/* A sweep without --timeout. */
#define SWEEP_MS INT64_C(86400000)
/* As many as store_invalidate() takes. */
#define PATTERNS_MAX ((size_t)256)

static const char *const kinds[] = {"urls", "prefixes", "tags", "groups", "patterns"};
static const char *const one_of_kind[] = {"url", "prefix", "tag", "group", "pattern"};
#define KINDS (sizeof kinds / sizeof kinds[0])

struct purging {
    char why_nobody[LARDER_ERROR_MAX]; /* no process answers: pid is 0 */
    const struct ctl *ctl;
    pid_t pid; /* of the process that is asked; 0: there is none */

    json_object *batch;
    size_t batch_text;

    int64_t count[KINDS]; /* done, by kind */
    int64_t deleted;
    bool has_deleted;
    bool all;
    bool noted;  /* some of it is only in the journal of this machine */
    bool queued; /* keys that patterns match are still being deleted */
    bool begun;  /* some of it is done */
};

static size_t
kind_of(const char *what)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strncmp(kinds[i], what, strlen(what)) == 0)
            return i;
    return 0;
}

/* ------------------------------------------------------------------ the pool */

/* A Redis of the caller's choice is not the pool's. */
static bool
names_redis(const struct ctl *ctl)
{
    return ctl->host || ctl->port || ctl->socket || ctl->name_space || ctl->database >= 0;
}

/* CTL_OK, with p->pid 0 if nobody is there. */
static int
find_process(struct purging *p)
{
    json_object *request = json_new(), *answers = NULL;
    struct larder_error err = {0};

    json_put(request, "command", json_object_new_string("ping"));
    enum larder_status status = pool_ask(p->ctl, request, PING_MS, &answers, &err);
    json_object_put(request);
    if (status == LARDER_OK && json_object_array_length(answers) > 0)
        p->pid = (pid_t)json_object_get_int64(
            json_object_object_get(json_object_array_get_idx(answers, 0), "pid"));
    else
        snprintf(p->why_nobody, sizeof p->why_nobody, "%s", err.message);
    json_object_put(answers);
    /* It is there, and not for us: to go past it would be no answer to that. */
    return status == LARDER_REFUSED ? fail(status, &err) : CTL_OK;
}

static void
batch_begin(struct purging *p)
{
    const struct ctl *ctl = p->ctl;

    p->batch = json_new();
    p->batch_text = 0;
    json_put(p->batch, "command", json_object_new_string("purge"));
    json_put(p->batch, "soft", json_object_new_boolean(ctl->soft));
    if (ctl->origin)
        json_put(p->batch, "origin", json_text(ctl->origin, strlen(ctl->origin)));
}

static int64_t
number(json_object *object, const char *name)
{
    return json_object_get_int64(json_object_object_get(object, name));
}

/* What one batch came to. */
static int
take_answer(struct purging *p, json_object *answer)
{
    json_object *purged = json_object_object_get(answer, "purged");
    json_object *words = json_object_object_get(answer, "error");
    json_object *outcome = json_object_object_get(answer, "outcome");
    int64_t status = number(answer, "status");

    if (!json_object_get_boolean(json_object_object_get(answer, "ok"))) {
        complain("purge: %s", words ? json_object_get_string(words) : "no answer");
        if (p->begun || (outcome && strcmp(json_object_get_string(outcome), "journal") == 0))
            return CTL_PARTIAL;
        return status == 400 || status == 409 ? CTL_USAGE
               : status == 503                ? CTL_UNREACHABLE
                                              : CTL_FAILED;
    }
    for (size_t i = 0; i < KINDS; i++)
        p->count[i] += number(purged, kinds[i]);
    p->all |= json_object_get_boolean(json_object_object_get(purged, "all"));
    p->has_deleted |= json_object_object_get_ex(answer, "deleted", NULL);
    p->deleted += number(answer, "deleted");
    p->noted |= outcome && strcmp(json_object_get_string(outcome), "journal") == 0;
    p->queued |= outcome && strcmp(json_object_get_string(outcome), "queued") == 0;
    p->begun = true;
    return CTL_OK;
}

static int
batch_send(struct purging *p)
{
    const struct ctl *ctl = p->ctl;
    struct larder_error err = {0};
    json_object *answer = NULL;
    int64_t wait_ms = ctl->timeout_ms;
    int code;

    if (wait_ms == 0) {
        wait_ms = ctl->config ? ctl->config->invalidate_timeout_ms : CTL_TIMEOUT_MS;
        if (json_object_object_get_ex(p->batch, "patterns", NULL) && wait_ms < PATTERNS_MS)
            wait_ms = PATTERNS_MS;
        wait_ms += GRACE_MS;
    }
    enum larder_status status =
        control_ask_one(ctl->runtime_dir, p->pid, p->batch, wait_ms, &answer, &err);
    json_object_put(p->batch);
    p->batch = NULL;
    if (status == LARDER_OK) {
        code = take_answer(p, answer);
    } else {
        complain("%s; it may have been done, and can be done again", err.message);
        code = CTL_PARTIAL;
    }
    json_object_put(answer);
    return code;
}

/* Its length as JSON, with quotes and a comma. */
static size_t
text_room(const char *text)
{
    size_t n = 3;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        n += *c < ' ' || *c == 0x7f ? 6 : *c == '"' || *c == '\\' ? 2 : 1;
    return n;
}

static int
batch_add(struct purging *p, const char *what, const char *text)
{
    const char *kind = kinds[kind_of(what)];
    size_t room = text_room(text);
    json_object *item = json_text(text, strlen(text)), *list;
    int code = CTL_OK;

    if (room > BATCH_TEXT_MAX || strcmp(json_object_get_string(item), text) != 0) {
        complain("purge: --%s %.40s: %s", what, text,
                 room > BATCH_TEXT_MAX ? "too long" : "not UTF-8");
        json_object_put(item);
        return p->begun ? CTL_PARTIAL : CTL_USAGE;
    }
    if (p->batch && p->batch_text + room > BATCH_TEXT_MAX)
        code = batch_send(p);
    if (code != CTL_OK) {
        json_object_put(item);
        return code;
    }
    if (!p->batch)
        batch_begin(p);
    if (!json_object_object_get_ex(p->batch, kind, &list)) {
        list = json_object_new_array();
        json_put(p->batch, kind, list);
    }
    json_object_array_add(list, item);
    p->batch_text += room;
    return CTL_OK;
}

/* URLs from standard input, one a line. */
static int
add_lines(struct purging *p)
{
    char *line = NULL;
    size_t room = 0;
    int code = CTL_OK;

    while (code == CTL_OK && getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line)
            code = batch_add(p, "url", line);
    }
    free(line);
    return code;
}

static int
purge_by_pool(struct purging *p)
{
    const struct ctl *ctl = p->ctl;
    int code = CTL_OK;

    if (ctl->everything) {
        batch_begin(p);
        json_put(p->batch, "all", json_object_new_boolean(true));
    }
    for (size_t i = 0; i < ctl->item_count && code == CTL_OK; i++)
        code = batch_add(p, ctl->items[i].what, ctl->items[i].text);
    if (ctl->from_stdin && code == CTL_OK)
        code = add_lines(p);
    if (p->batch && code == CTL_OK)
        code = batch_send(p);
    json_object_put(p->batch);
    return code;
}

/* --------------------------------------------------------------------- Redis */

struct names {
    const char **tags;
    const char **patterns;
    size_t tag_count, pattern_count;
};

/* Only what means the same to everybody. */
static int
take_names(const struct ctl *ctl, struct names *names)
{
    static char all[] = "all";
    char tag[STORE_TAG_SIZE];

    names->tags = calloc(ctl->item_count + 1, sizeof *names->tags);
    names->patterns = calloc(ctl->item_count + 1, sizeof *names->patterns);
    if (!names->tags || !names->patterns) {
        complain("purge: no memory");
        return CTL_FAILED;
    }
    if (ctl->everything)
        names->tags[names->tag_count++] = all;
    for (size_t i = 0; i < ctl->item_count; i++) {
        const char *what = ctl->items[i].what, *text = ctl->items[i].text;
        bool pattern = strcmp(what, "pattern") == 0;
        const char *wrong = pattern                    ? store_pattern_wrong(slice_of(text))
                            : strcmp(what, "tag") == 0 ? store_tag_name_wrong(slice_of(text))
                                                       : "it is for the pool";
        if (!wrong && pattern && names->pattern_count == PATTERNS_MAX)
            wrong = "more than 256 patterns";
        if (wrong) {
            complain("purge: --%s \"%.40s\": %s", what, text, wrong);
            return CTL_USAGE;
        }
        if (pattern) {
            names->patterns[names->pattern_count++] = text;
        } else if (store_named_tag(tag, slice_of(text))) {
            char *copy = strdup(tag);
            if (!copy)
                return CTL_FAILED;
            names->tags[names->tag_count++] = copy;
        }
    }
    return CTL_OK;
}

static void
free_names(const struct ctl *ctl, struct names *names)
{
    for (size_t i = ctl->everything; names->tags && i < names->tag_count; i++)
        free((char *)(uintptr_t)names->tags[i]);
    free(names->tags);
    free(names->patterns);
}

/* Nobody is there who knows how URLs are kept. */
static int
refuse_urls(const struct purging *p)
{
    const struct ctl *ctl = p->ctl;
    const char *why = names_redis(ctl) ? "they are for the pool, and a Redis of yours is named"
                                       : p->why_nobody;

    for (size_t i = 0; i < ctl->item_count; i++) {
        const char *what = ctl->items[i].what;
        if (strcmp(what, "tag") == 0 || strcmp(what, "pattern") == 0)
            continue;
        complain("purge: --%s needs the configuration of a running pool: %s", what, why);
        return CTL_UNREACHABLE;
    }
    if (!ctl->from_stdin)
        return CTL_OK;
    complain("purge: --stdin needs the configuration of a running pool: %s", why);
    return CTL_UNREACHABLE;
}

static int
purge_in_redis(struct purging *p)
{
    const struct ctl *ctl = p->ctl;
    struct larder_error err = {0};
    struct larder *cache = NULL;
    struct names names = {0};
    enum larder_status status = LARDER_OK;
    bool invalidated = false;
    int64_t deadline_ms;
    int code = refuse_urls(p);

    if (code == CTL_OK)
        code = take_names(ctl, &names);
    if (code == CTL_OK && names.tag_count > 0 && ctl->config && ctl->config->compat_ancestor) {
        complain("purge: with compat = \"ancestor\" responses have no tags; --pattern finds them");
        code = CTL_USAGE;
    }
    if (code == CTL_OK)
        code = settings_connect(ctl, &cache);
    if (code != CTL_OK)
        goto out;
    deadline_ms = clock_now_ms() + (ctl->timeout_ms ? ctl->timeout_ms : CTL_TIMEOUT_MS);
    if (names.tag_count > 0)
        status = store_purge_tags(cache, names.tags, names.tag_count, ctl->soft, deadline_ms, &err);
    p->begun = status == LARDER_OK && names.tag_count > 0;
    if (status == LARDER_OK && names.pattern_count > 0) {
        deadline_ms = clock_now_ms() + (ctl->timeout_ms ? ctl->timeout_ms : SWEEP_MS);
        status = store_invalidate(cache, names.patterns, names.pattern_count, deadline_ms, NULL,
                                  NULL, &p->deleted, &invalidated, &err);
        p->has_deleted = true;
    }
    if (status != LARDER_OK) {
        code = fail(status, &err);
        if (p->begun || invalidated)
            code = CTL_PARTIAL;
        goto out;
    }
    p->all = ctl->everything;
    p->count[kind_of("tag")] = (int64_t)names.tag_count - ctl->everything;
    p->count[kind_of("pattern")] = (int64_t)names.pattern_count;
out:
    larder_close(cache);
    free_names(ctl, &names);
    return code;
}

/* --------------------------------------------------------------------- whole */

static void
tell(const struct purging *p)
{
    const struct ctl *ctl = p->ctl;
    const char *outcome = p->noted ? "journal" : p->queued ? "queued" : "done";

    if (ctl->json) {
        json_object *answer = json_new(), *purged = json_new();
        for (size_t i = 0; i < KINDS; i++)
            if (p->count[i] > 0)
                json_put(purged, kinds[i], json_object_new_int64(p->count[i]));
        if (p->all)
            json_put(purged, "all", json_object_new_boolean(true));
        json_put(answer, "purged", purged);
        json_put(answer, "soft", json_object_new_boolean(ctl->soft));
        json_put(answer, "outcome", json_object_new_string(outcome));
        if (p->has_deleted)
            json_put(answer, "deleted", json_object_new_int64(p->deleted));
        json_put(answer, "by", json_object_new_string(p->pid ? "pool" : "redis"));
        print_json(answer);
        return;
    }
    for (size_t i = 0; i < KINDS; i++)
        if (p->count[i] > 0)
            confirm_done(ctl, "purged %" PRId64 " %s", p->count[i],
                         p->count[i] == 1 ? one_of_kind[i] : kinds[i]);
    if (p->all)
        confirm_done(ctl, "purged all responses");
    if (p->has_deleted)
        confirm_done(ctl, "deleted %" PRId64 " keys", p->deleted);
    if (p->noted)
        remark(ctl, "Redis did not take all of it: it is in force on this machine, and on others "
                    "when Redis is back");
    else if (p->queued)
        remark(ctl, "the pool goes on deleting keys; stored responses are gone already");
}

static int
check_options(const struct ctl *ctl)
{
    if (ctl->item_count == 0 && !ctl->everything && !ctl->from_stdin) {
        complain("purge: what? --url, --prefix, --tag, --group, --pattern, --all or --stdin");
        return CTL_USAGE;
    }
    for (size_t i = 0; i < ctl->item_count; i++)
        if (strcmp(ctl->items[i].what, "group") == 0 && !ctl->origin) {
            complain(
                "purge: --group: a group belongs to an --origin, such as https://shop.example");
            return CTL_USAGE;
        }
    return ctl->everything ? ask_possible(ctl) : CTL_OK;
}

int
ctl_purge(struct ctl *ctl)
{
    struct purging p = {.ctl = ctl};
    int code = check_options(ctl);

    if (code == CTL_OK)
        code = settings_load(ctl);
    if (code == CTL_OK && ctl->everything)
        code = ask(ctl, "This makes every stored response of the site stale at once.");
    if (code == CTL_OK && !names_redis(ctl))
        code = find_process(&p);
    if (code == CTL_OK)
        code = p.pid ? purge_by_pool(&p) : purge_in_redis(&p);
    if (code == CTL_OK || p.begun)
        tell(&p);
    return code == CTL_OK && p.noted ? CTL_NOTED : code;
}

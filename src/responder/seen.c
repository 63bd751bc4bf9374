/*
 * Scripts that have been seen.
 *
 * A form is what the web server has said of a script, with the path of the URL
 * taken out: "/srv/www" and "<root>/<path>index.php". So one form stands for all
 * directories of a site, one for all of its scripts, one for all addresses that
 * lead to its front controller. What does not contain the path is a form of its
 * own, and found again for that URL only.
 *
 * A form is a text of parts that end in NUL: host, base, and the members of struct
 * chosen_script. Base is what stands in the URL's path before its PATH_INFO, which
 * is taken for the path where there is one ("/index.php" of "/index.php/Title").
 * Three bytes stand for what is taken out.
 *
 * A thread that sees the form that it saw last does nothing; else it looks through
 * the list under the lock.
 */
#include "responder/seen.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "routing/path.h"
#include "responder/query.h"

#define ROOT '\1'
#define PATH '\2'
#define QUERY '\3'

#define MEMBERS 9
/* A form that is longer is not remembered. */
#define FORM_MAX 4096

struct form {
    uint64_t hash;
    uint64_t used; /* the clock of uses; 0: free */
    size_t n;
    char *text;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards forms and uses */
static struct form forms[SEEN_MAX];
static uint64_t uses;

struct writer {
    char text[FORM_MAX];
    size_t n;
    bool failed;
};

static void
members_of(struct slice *members[MEMBERS], struct chosen_script *script)
{
    members[0] = &script->document_root;
    members[1] = &script->filename;
    members[2] = &script->name;
    members[3] = &script->path_info;
    members[4] = &script->path_translated;
    members[5] = &script->redirect_url;
    members[6] = &script->port;
    members[7] = &script->settings;
    members[8] = &script->query;
}

/* As the web server names files: decoded. out has room for all of it. */
static struct slice
decoded(struct slice path, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < path.n; i++) {
        int byte = path_encoded_byte(path, i);
        out[n++] = byte >= 0 ? (char)byte : path.p[i];
        i += byte >= 0 ? 2 : 0;
    }
    return (struct slice){out, n};
}

static void
write_bytes(struct writer *w, const char *p, size_t n)
{
    if (n > sizeof w->text - w->n) {
        w->failed = true;
        return;
    }
    if (n)
        memcpy(w->text + w->n, p, n);
    w->n += n;
}

static void
write_byte(struct writer *w, char c)
{
    write_bytes(w, &c, 1);
}

/* Bytes that stand for themselves. */
static void
write_plain(struct writer *w, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w->failed |= p[i] >= '\0' && p[i] <= QUERY;
    write_bytes(w, p, n);
}

/* Where a member begins with it, or a parameter is it. NULL: nowhere. */
static const char *
find_path(const char *from, const char *end, struct slice path)
{
    for (const char *p = from; path.n && p < end; p++) {
        p = memmem(p, (size_t)(end - p), path.p, path.n);
        if (!p)
            return NULL;
        const char *behind = p + path.n;
        bool begins = p > from && (p[-1] == '/' || p[-1] == '=');
        bool ends = behind == end || *behind == '&' || path.p[path.n - 1] == '/';
        if (begins && ends)
            return p;
    }
    return NULL;
}

/* With one occurrence of `path` taken out. */
static void
write_pathless(struct writer *w, const char *from, const char *end, struct slice path)
{
    const char *p = find_path(from, end, path);
    if (p) {
        write_plain(w, from, (size_t)(p - from));
        write_byte(w, PATH);
        from = p + path.n;
    }
    write_plain(w, from, (size_t)(end - from));
}

static void
write_member(struct writer *w, struct slice value, struct slice root, struct slice path)
{
    const char *from = value.p, *end = value.p + value.n;
    const char *p = value.n && root.n > 1 ? memmem(value.p, value.n, root.p, root.n) : NULL;
    if (p) {
        write_plain(w, from, (size_t)(p - from));
        write_byte(w, ROOT);
        from = p + root.n;
    }
    if (value.n)
        write_pathless(w, from, end, path);
    write_byte(w, '\0');
}

static void
write_query(struct writer *w, struct slice query, struct slice asked, struct slice path)
{
    const char *p = query.p, *end = query.p + query.n;
    bool ends_so = asked.n < query.n && asked.n && memcmp(end - asked.n, asked.p, asked.n) == 0 &&
                   end[-(ptrdiff_t)asked.n - 1] == '&';
    if (ends_so)
        end -= asked.n;
    else if (slice_equal(query, asked))
        end = p;
    if (p < end)
        write_pathless(w, p, end, path);
    if (ends_so || slice_equal(query, asked))
        write_byte(w, QUERY);
    write_byte(w, '\0');
}

/* What stands for the path: without its first '/', and without the base. */
static struct slice
without_base(struct slice path, size_t base)
{
    return (struct slice){path.p + base + 1, path.n - base - 1};
}

static void
write_form(struct writer *w, const struct request *request, struct slice host, struct slice path)
{
    struct chosen_script script = request->script;
    struct slice *members[MEMBERS], info = script.path_info;
    size_t base = 0;
    members_of(members, &script);
    if (info.n && info.n < path.n && info.p[0] == '/' &&
        memcmp(path.p + path.n - info.n, info.p, info.n) == 0)
        base = path.n - info.n;
    struct slice rest = without_base(path, base);
    write_plain(w, host.p, host.n);
    write_byte(w, '\0');
    write_plain(w, path.p, base);
    write_byte(w, '\0');
    write_plain(w, script.document_root.p, script.document_root.n);
    write_byte(w, '\0');
    for (size_t i = 1; i < MEMBERS - 1; i++)
        write_member(w, *members[i], script.document_root, rest);
    write_query(w, script.query, query_of(request->target), rest);
}

static void
remember(const struct writer *w, uint64_t hash)
{
    struct form *oldest = forms;
    pthread_mutex_lock(&lock);
    for (struct form *form = forms; form < forms + SEEN_MAX; form++) {
        if (form->used && form->hash == hash) {
            form->used = ++uses;
            pthread_mutex_unlock(&lock);
            return;
        }
        if (form->used < oldest->used)
            oldest = form;
    }
    char *text = malloc(w->n);
    if (text) {
        memcpy(text, w->text, w->n);
        free(oldest->text);
        *oldest = (struct form){.hash = hash, .used = ++uses, .n = w->n, .text = text};
    }
    pthread_mutex_unlock(&lock);
}

void
seen_note(const struct request *request, struct slice host)
{
    static _Thread_local uint64_t last;
    struct writer w;
    char path[FORM_MAX];
    w.n = 0;
    w.failed = false;
    if (request->path.n == 0 || request->path.n > sizeof path || request->path.p[0] != '/')
        return;
    write_form(&w, request, host, decoded(request->path, path));
    if (w.failed)
        return;
    uint64_t hash = XXH3_64bits(w.text, w.n);
    if (hash != last)
        remember(&w, hash);
    last = hash;
}

/* The next part of a form. */
static struct slice
next_part(const char **p)
{
    struct slice part = slice_of(*p);
    *p += part.n + 1;
    return part;
}

/* .p NULL: no memory. */
static struct slice
filled_in(struct slice part, struct slice root, struct slice path, struct slice query,
          struct arena *arena)
{
    char *out = arena_alloc(arena, part.n + root.n + path.n + query.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < part.n; i++) {
        struct slice put = {part.p + i, 1};
        if (*put.p == ROOT)
            put = root;
        else if (*put.p == PATH)
            put = path;
        else if (*put.p == QUERY)
            put = query;
        if (put.n)
            memcpy(out + n, put.p, put.n);
        n += put.n;
    }
    return (struct slice){out, out ? n : 0};
}

/* false: the form is another host's, or cannot be that path's. */
static bool
fill_in(struct chosen_script *out, const struct form *form, struct slice host, struct slice path,
        struct slice query, struct arena *arena)
{
    const char *p = form->text;
    if (!slice_equal(next_part(&p), host))
        return false;
    struct slice base = next_part(&p), *members[MEMBERS];
    if (base.n >= path.n || (base.n && memcmp(path.p, base.p, base.n) != 0) ||
        path.p[base.n] != '/')
        return false;
    struct slice rest = without_base(path, base.n), root = {NULL, 0};
    members_of(members, out);
    for (size_t i = 0; i < MEMBERS; i++) {
        *members[i] = filled_in(next_part(&p), root, rest, query, arena);
        if (!members[i]->p)
            return false;
        root = out->document_root;
    }
    return true;
}

static int
later(const void *a, const void *b)
{
    const struct form *one = a, *two = b;
    return (one->used < two->used) - (one->used > two->used);
}

size_t
seen_candidates(struct chosen_script *out, const struct request *request, struct slice host,
                struct arena *arena)
{
    struct form list[SEEN_MAX];
    size_t count = 0, filled = 0;
    char *room = arena_alloc(arena, request->path.n + 1);
    if (!room || request->path.n == 0 || request->path.p[0] != '/')
        return 0;
    struct slice path = decoded(request->path, room), query = query_of(request->target);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SEEN_MAX; i++)
        if (forms[i].used)
            list[count++] = forms[i];
    qsort(list, count, sizeof *list, later);
    for (size_t i = 0; i < count; i++)
        filled += fill_in(&out[filled], &list[i], host, path, query, arena);
    pthread_mutex_unlock(&lock);
    return filled;
}

void
seen_cleanup(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SEEN_MAX; i++) {
        free(forms[i].text);
        forms[i] = (struct form){.used = 0};
    }
    pthread_mutex_unlock(&lock);
}

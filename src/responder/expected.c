/*
 * What fields answers are expected to name in Vary. The idea stands in expected.h;
 * opening.c uses it.
 *
 * Each name has a weight. An answer that names the field adds to it; one that does not
 * takes away as much as three add, so a name counts as likely where more than three
 * answers in four have it, and at first after the second in a row. A right guess saves a
 * request to the backend and a wrong one costs one, so where every other page varies it is
 * not sent. A name stays known when it has lost its weight: otherwise it would be new with
 * the next answer that has it, and soon likely again.
 */
#include "responder/expected.h"

#include <string.h>
#include <xxhash.h>

#define WEIGHT_NEW 3 /* of a name that has not been seen before */
#define WEIGHT_LIKELY 4
#define WEIGHT_MAX 7
#define WEIGHT_LOST 3 /* with an answer that does not name it */

/* A longer one is no name of a kind of file. */
#define EXTENSION_MAX 6

void
expected_init(struct expected *expected)
{
    memset(expected, 0, sizeof *expected);
    pthread_mutex_init(&expected->mutex, NULL);
}

void
expected_free(struct expected *expected)
{
    pthread_mutex_destroy(&expected->mutex);
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "css" of /a/b.css?v=2; empty: there is none. */
static struct slice
extension(struct slice target)
{
    const char *query = memchr(target.p, '?', target.n);
    size_t end = query ? (size_t)(query - target.p) : target.n, from = end;
    while (from && (is_letter(target.p[from - 1]) ||
                    (target.p[from - 1] >= '0' && target.p[from - 1] <= '9')))
        from--;
    bool is_one = from && target.p[from - 1] == '.' && end - from <= EXTENSION_MAX && from < end &&
                  is_letter(target.p[from]);
    return is_one ? (struct slice){target.p + from, end - from} : (struct slice){"", 0};
}

uint64_t
expected_kind_of(size_t route, struct slice host, struct slice target)
{
    const struct slice ending = extension(target);
    uint64_t hash = XXH3_64bits_withSeed(host.p, host.n, route);
    hash = XXH3_64bits_withSeed(ending.p, ending.n, hash);
    return hash ? hash : 1;
}

bool
expected_names(struct expected *expected, uint64_t kind, bool likely, struct vary *out,
               struct arena *arena)
{
    struct expected_kind found = {.hash = 0};
    *out = (struct vary){.count = 0};
    pthread_mutex_lock(&expected->mutex);
    if (expected->kinds[kind % EXPECTED_KINDS].hash == kind)
        found = expected->kinds[kind % EXPECTED_KINDS];
    pthread_mutex_unlock(&expected->mutex);
    for (size_t i = 0; i < EXPECTED_NAMES; i++)
        if (found.names[i].n && (!likely || found.names[i].weight >= WEIGHT_LIKELY) &&
            !vary_add(out, (struct slice){found.names[i].text, found.names[i].n}, arena))
            return false;
    return true;
}

/* Its place; one that is free, or of a name without weight; EXPECTED_NAMES: neither. */
static size_t
find(const struct expected_kind *kind, struct slice name, bool *known)
{
    size_t place = EXPECTED_NAMES;
    for (size_t i = 0; i < EXPECTED_NAMES; i++) {
        *known = kind->names[i].n == name.n && memcmp(kind->names[i].text, name.p, name.n) == 0;
        if (*known)
            return i;
        if (kind->names[i].weight == 0 && (place == EXPECTED_NAMES || kind->names[i].n == 0))
            place = i;
    }
    return place;
}

void
expected_learn(struct expected *expected, uint64_t kind, struct slice name, bool named)
{
    bool known;
    if (name.n == 0 || name.n > EXPECTED_NAME_BYTES)
        return;
    pthread_mutex_lock(&expected->mutex);
    struct expected_kind *its = &expected->kinds[kind % EXPECTED_KINDS];
    if (its->hash != kind && named)
        *its = (struct expected_kind){.hash = kind};
    size_t i = its->hash == kind ? find(its, name, &known) : EXPECTED_NAMES;
    if (i == EXPECTED_NAMES || (!known && !named)) {
        pthread_mutex_unlock(&expected->mutex);
        return;
    }
    int weight = its->names[i].weight;
    if (!known) {
        memcpy(its->names[i].text, name.p, name.n);
        its->names[i].n = (unsigned char)name.n;
        weight = WEIGHT_NEW;
    } else {
        weight += named ? 1 : -WEIGHT_LOST;
    }
    weight = weight < 0 ? 0 : weight > WEIGHT_MAX ? WEIGHT_MAX : weight;
    its->names[i].weight = (unsigned char)weight;
    pthread_mutex_unlock(&expected->mutex);
}

/*
 * What has lately gone wrong with a backend. The idea stands in trouble.h. Called where
 * a request fails or comes back, which is seldom, and by explain.c.
 */
#include "responder/trouble.h"

#include <stdio.h>
#include <string.h>

/* How often the log has what refuses one request after the other. */
#define COMPLAIN_MS 60000

void
trouble_init(struct trouble *trouble)
{
    memset(trouble, 0, sizeof *trouble);
    pthread_mutex_init(&trouble->mutex, NULL);
}

void
trouble_free(struct trouble *trouble)
{
    pthread_mutex_destroy(&trouble->mutex);
}

void
trouble_note_loop(struct trouble *trouble, int64_t now_ms)
{
    pthread_mutex_lock(&trouble->mutex);
    trouble->loops++;
    trouble->looped_ms = now_ms;
    pthread_mutex_unlock(&trouble->mutex);
}

void
trouble_note_failure(struct trouble *trouble, const char *words, int64_t now_ms)
{
    pthread_mutex_lock(&trouble->mutex);
    trouble->failed_ms = now_ms;
    snprintf(trouble->failure, sizeof trouble->failure, "%s", words);
    pthread_mutex_unlock(&trouble->mutex);
}

bool
trouble_is_repeated(struct trouble *trouble, const char *words, int64_t now_ms)
{
    char text[LARDER_ERROR_MAX];
    snprintf(text, sizeof text, "%s", words);
    pthread_mutex_lock(&trouble->mutex);
    bool is = trouble->refused_ms && now_ms - trouble->refused_ms < COMPLAIN_MS &&
              strcmp(trouble->refused, text) == 0;
    if (!is) {
        trouble->refused_ms = now_ms;
        memcpy(trouble->refused, text, sizeof text);
    }
    pthread_mutex_unlock(&trouble->mutex);
    return is;
}

static int64_t
age(int64_t then_ms, int64_t now_ms)
{
    return then_ms && now_ms - then_ms < TROUBLE_LASTS_MS ? now_ms - then_ms : -1;
}

void
trouble_tell(struct trouble *trouble, int64_t now_ms, struct trouble_told *out)
{
    pthread_mutex_lock(&trouble->mutex);
    out->loops = trouble->loops;
    out->loop_age_ms = age(trouble->looped_ms, now_ms);
    out->failure_age_ms = age(trouble->failed_ms, now_ms);
    memcpy(out->failure, trouble->failure, sizeof out->failure);
    pthread_mutex_unlock(&trouble->mutex);
}

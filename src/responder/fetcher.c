/*
 * Threads for whatever may wait. One queue, one lock, one condition: a job is
 * handed to an idle thread, else to a new one, else it waits for the first that
 * comes free. The lock is held for a few instructions only; no job runs under it.
 */
#include "responder/fetcher.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "responder/drain.h"

/* libcurl and OpenSSL are content with less; this leaves room for the TLS handshake. */
#define STACK_SIZE ((size_t)512 * 1024)

/* A third of the share of a worker, when both want it: niceness 5 weighs 335 to 1,024. */
#define FETCHER_NICE 5

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t work;
static pthread_cond_t gone;
static struct fetcher_job *first, **last = &first;
static int queued, threads, idle, max_threads;
static int64_t idle_ms;
static bool stopping;
static pthread_t last_gone; /* the thread that ended last, not joined yet */
static bool has_last_gone;

static bool
wait_for_work(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += idle_ms / 1000;
    until.tv_nsec += idle_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    idle++;
    int timed_out = 0;
    while (!first && !stopping && !timed_out)
        timed_out = pthread_cond_timedwait(&work, &lock, &until);
    idle--;
    return first != NULL;
}

/*
 * Hundreds of answers that come from the backend at the same moment must not
 * keep the few workers from the processor: a fetcher is a little less urgent. On
 * Linux a thread has a niceness of its own.
 */
static void
step_back(void)
{
    id_t self = (id_t)gettid();
    errno = 0;
    int now = getpriority(PRIO_PROCESS, self);
    if (errno == 0)
        setpriority(PRIO_PROCESS, self, now + FETCHER_NICE);
}

static void *
fetcher(void *unused)
{
    (void)unused;
    step_back();
    pthread_mutex_lock(&lock);
    while (first || wait_for_work()) {
        struct fetcher_job *job = first;
        first = job->next;
        if (!first)
            last = &first;
        queued--;
        pthread_mutex_unlock(&lock);
        job->run(job);
        pthread_mutex_lock(&lock);
    }
    /* Each waits for the one that ended before it, so that the last one to be joined has no other
     * beside it: whoever ends the process must not meet a thread that is still giving back what
     * OpenSSL keeps for it. */
    pthread_t before = last_gone;
    bool has_before = has_last_gone;
    last_gone = pthread_self();
    has_last_gone = true;
    threads--;
    pthread_cond_signal(&gone);
    pthread_mutex_unlock(&lock);
    if (has_before)
        pthread_join(before, NULL);
    return NULL;
}

/* Called with the lock held. */
static bool
start_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    bool started = pthread_create(&thread, &attributes, fetcher, NULL) == 0;
    pthread_attr_destroy(&attributes);
    threads += started;
    return started;
}

void
fetchers_start(int max, int64_t idle_time_ms)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&work, &attributes);
    pthread_cond_init(&gone, &attributes);
    pthread_condattr_destroy(&attributes);
    max_threads = max;
    idle_ms = idle_time_ms;
}

bool
fetchers_submit(struct fetcher_job *job)
{
    pthread_mutex_lock(&lock);
    bool taken = queued < FETCHER_QUEUE_MAX;
    /* Idle threads that have been signalled but not yet run are still counted as idle: compare with
     * what is queued, not with zero. */
    if (taken && idle <= queued && threads < max_threads && !start_thread() && threads == 0)
        taken = false;
    if (taken) {
        job->next = NULL;
        *last = job;
        last = &job->next;
        queued++;
        pthread_cond_signal(&work);
    }
    int busy = threads, waiting = queued;
    pthread_mutex_unlock(&lock);
    if (!taken)
        log_write(LARDER_LOG_ERROR, "cannot queue a request: %d threads, %d waiting", busy,
                  waiting);
    return taken;
}

void
fetchers_stop(int64_t deadline_ms)
{
    struct timespec until = {(time_t)(deadline_ms / 1000), (long)(deadline_ms % 1000) * 1000000};
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_broadcast(&work);
    int timed_out = 0;
    while (threads > 0 && !timed_out)
        timed_out = pthread_cond_timedwait(&gone, &lock, &until);
    if (threads > 0) {
        log_write(LARDER_LOG_WARNING, "drain_timeout is over: breaking off %d answers", threads);
        drain_give_up();
    }
    while (threads > 0)
        pthread_cond_wait(&gone, &lock);
    pthread_mutex_unlock(&lock);
    if (has_last_gone)
        pthread_join(last_gone, NULL);
    has_last_gone = false;
}

void
fetchers_numbers(struct fetcher_numbers *out)
{
    pthread_mutex_lock(&lock);
    *out = (struct fetcher_numbers){threads, idle, queued};
    pthread_mutex_unlock(&lock);
}

/*
 * 503 in the place of a pool that could not be started. The idea stands in unavailable.h.
 *
 * One request after the other, with libfcgi alone: nothing of the configuration is
 * used, since it may be what is wrong. Connections are closed, also where the web
 * server would keep them: the next request shall be the pool's.
 *
 * libfcgi waits without an end, in accept() when the connection that was announced
 * has gone again, and for a client that sends nothing. There is nothing to save here,
 * so an alarm ends the process behind its time.
 */
#include "responder/unavailable.h"

#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"

#define LASTS_MS 5000
/* How often larder.conf is read again. */
#define LOOK_MS 500

static void
time_is_over(int signal)
{
    (void)signal;
    _exit(EXIT_SUCCESS);
}

static void
end_by_alarm(void)
{
    struct sigaction action = {.sa_handler = time_is_over};
    sigset_t alarms;
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    alarm(LASTS_MS / 1000 + 1);
}

static bool
is_right(const char *config_file, struct larder_error *err)
{
    struct config *config = config_load(config_file, err);
    config_free(config);
    return config != NULL;
}

static void
answer(FCGX_Request *request)
{
    FCGX_PutS("Status: 503 Service Unavailable\r\n"
              "Content-Type: text/plain\r\n"
              "Cache-Control: no-store\r\n"
              "Retry-After: 5\r\n"
              "\r\n"
              "This site is not available at the moment.\n",
              request->out);
    request->keepConnection = 0;
    FCGX_Finish_r(request);
}

enum larder_status
unavailable_serve(int listen_fd, const char *config_file, struct larder_error *err)
{
    FCGX_Request request;
    struct larder_error why;
    end_by_alarm();
    /* The close of a connection would wait up to 2 s for the other side. */
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 0);
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, listen_fd, 0) != 0)
        return error_set(err, LARDER_INVALID, "no FastCGI: %s", strerror(errno));
    bool wrong = !is_right(config_file, &why);
    if (wrong)
        log_write(LARDER_LOG_ERROR, "visitors are answered 503 until this is right: %s",
                  why.message);
    int64_t now_ms = clock_now_ms(), end_ms = now_ms + LASTS_MS, looked_ms = now_ms;
    for (; now_ms < end_ms; now_ms = clock_now_ms()) {
        struct pollfd fd = {listen_fd, POLLIN, 0};
        if (poll(&fd, 1, LOOK_MS) > 0 && FCGX_Accept_r(&request) == 0)
            answer(&request);
        if (!wrong || clock_now_ms() - looked_ms < LOOK_MS)
            continue;
        looked_ms = clock_now_ms();
        if (is_right(config_file, &why))
            break;
    }
    return LARDER_OK;
}

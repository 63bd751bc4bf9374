/*
 * 503 in the place of a pool that could not be started. The idea stands in unavailable.h.
 *
 * One request after the other, with libfcgi alone: nothing of the configuration is
 * used, since it may be what is wrong. Connections are closed, also where the web
 * server would keep them: the next request shall be the pool's.
 */
#include "responder/unavailable.h"

#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"

#define LASTS_MS 5000
/* How often larder.conf is read again. */
#define LOOK_MS 500

static bool
is_right(const char *config_file)
{
    struct larder_error err;
    struct config *config = config_load(config_file, &err);
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
              "The cache in front of this site is being started.\n",
              request->out);
    request->keepConnection = 0;
    FCGX_Finish_r(request);
}

enum larder_status
unavailable_serve(int listen_fd, const char *config_file, struct larder_error *err)
{
    FCGX_Request request;
    /* The close of a connection would wait up to 2 s for the other side. */
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 0);
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, listen_fd, 0) != 0)
        return error_set(err, LARDER_INVALID, "no FastCGI: %s", strerror(errno));
    bool wrong = !is_right(config_file);
    int64_t now_ms = clock_now_ms(), end_ms = now_ms + LASTS_MS, looked_ms = now_ms;
    for (; now_ms < end_ms; now_ms = clock_now_ms()) {
        struct pollfd fd = {listen_fd, POLLIN, 0};
        if (poll(&fd, 1, LOOK_MS) > 0 && FCGX_Accept_r(&request) == 0)
            answer(&request);
        if (!wrong || clock_now_ms() - looked_ms < LOOK_MS)
            continue;
        looked_ms = clock_now_ms();
        if (is_right(config_file))
            break;
    }
    return LARDER_OK;
}

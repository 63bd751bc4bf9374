/*
 * What libfcgi costs and nothing else: a responder that gives every request the
 * same prepared answer of 1 KiB. tests/bench/hit-rate measures larder-fcgi
 * against it, behind the same web server with the same number of processes.
 *
 *   bare [THREADS]
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SIZE 1024

static char answer[BODY_SIZE + 128];

static void *
serve(void *arg)
{
    FCGX_Request request;

    if (FCGX_InitRequest(&request, 0, 0) != 0) {
        return NULL;
    }
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutStr(answer, (int)strlen(answer), request.out);
        FCGX_Finish_r(&request);
    }
    return arg;
}

int
main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    int len;

    len = snprintf(answer, sizeof(answer),
                   "Status: 200\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
                   BODY_SIZE);
    memset(answer + len, 'x', BODY_SIZE);
    if (FCGX_Init() != 0) {
        return 1;
    }
    for (int i = 1; i < threads; i++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, serve, NULL) != 0) {
            return 1;
        }
    }
    serve(NULL);
    return 0;
}

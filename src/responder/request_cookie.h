/*
 * The cookies of a request, one by one.
 */
#ifndef RESPONDER_REQUEST_COOKIE_H
#define RESPONDER_REQUEST_COOKIE_H

#include "responder/request.h"

/* The value of a cookie by name; .p NULL: there is none. The first wins. */
struct slice request_cookie(const struct request *request, const char *name);

/*
 * Walk over all cookies of all Cookie fields. *state starts zeroed. false: no
 * more. A pair without '=' has an empty name and the whole as its value.
 */
struct cookie_walk {
    size_t cursor;
    struct slice rest;
};
bool request_next_cookie(const struct request *request, struct cookie_walk *walk,
                         struct slice *name, struct slice *value);

#endif

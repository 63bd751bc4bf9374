/*
 * The control socket of one process: <runtime_dir>/<pid>.sock, mode 0600. One
 * JSON object a line in, one out. larderctl asks every process of the pool.
 *
 *   {"command":"ping"}      -> {"ok":true,"pid":123,"version":"0.1.0"}
 *   {"command":"status"}    -> pid, version, started, config file, workers, fetchers, kept, queue,
 *                              redis (larder_stats), upstream name
 *   {"command":"explain"}   -> what a request would get (responder/explain.h)
 * An unknown command: {"ok":false,"error":"..."}.
 *
 * Served by the main thread between signals: a connection has 1 s and 16 KiB.
 */
#ifndef RUNTIME_CONTROL_H
#define RUNTIME_CONTROL_H

#include <json-c/json.h>

#include "larder.h"

/* Fill `answer`, which says {"ok":true,"pid":...} already, for a command other than ping (that one
 * is answered without asking). false: unknown command. */
typedef bool (*control_fn)(void *arg, const char *command, json_object *request,
                           json_object *answer);

struct control;

/* Creates the directory's socket; leftovers of dead processes (their pid gone) are removed. */
enum larder_status control_open(const char *runtime_dir, struct control **out,
                                struct larder_error *err);
void control_close(struct control *control);
/* To poll for POLLIN. */
int control_fd(const struct control *control);
/* Accept one connection, answer one line, close. */
void control_serve(struct control *control, control_fn fn, void *arg);

/* The other side: ask every process under runtime_dir, all at once. *answers is a JSON array of the
 * answers that came within timeout_ms, in the order of their pids; empty if nobody is there.
 * LARDER_REFUSED: there are sockets, but they let us not in. For larderctl. */
enum larder_status control_ask(const char *runtime_dir, json_object *request, int64_t timeout_ms,
                               json_object **answers, struct larder_error *err);

#endif

/*
 * The control socket of one process: <runtime_dir>/<pid>.sock, mode 0600. One
 * JSON object a line in, one out. larderctl asks every process of the pool.
 *
 *   {"command":"ping"}      -> {"ok":true,"pid":123,"version":"0.1.0"}
 *   {"command":"status"}    -> pid, version, started, config file, workers, fetchers, kept, queue,
 *                              redis (larder_stats), upstream name
 *   {"command":"explain"}   -> what a request would get (responder/explain.h)
 *   {"command":"purge"}     -> what became of a purge (responder/admin.h)
 * An unknown command: {"ok":false,"error":"..."}.
 *
 * Served by the main thread between signals: a connection has 1 s and 16 KiB. What
 * takes longer is answered later, by another thread.
 */
#ifndef RUNTIME_CONTROL_H
#define RUNTIME_CONTROL_H

#include <json-c/json.h>
#include <sys/types.h>

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

/*
 * For a control_fn, in the call that control_serve() makes, with its own answer:
 * that one is not sent when the function returns, but by control_answer(), from
 * any thread. NULL: no memory; then it is sent as usual.
 */
struct control_later;
struct control_later *control_later(struct control *control, json_object *answer);
/* Send the answer and close. It has 1 s. */
void control_answer(struct control_later *later);
json_object *control_later_answer(struct control_later *later);

/* The other side: ask every process under runtime_dir, all at once. *answers is a JSON array of the
 * answers that came within timeout_ms, in the order of their pids; empty if there was none: then err
 * says why (and LARDER_OK is returned all the same).
 * LARDER_REFUSED: there are sockets, but they let us not in. For larderctl. */
enum larder_status control_ask(const char *runtime_dir, json_object *request, int64_t timeout_ms,
                               json_object **answers, struct larder_error *err);

/* The same of one process. LARDER_UNAVAILABLE: it is not there, or says nothing in time. */
enum larder_status control_ask_one(const char *runtime_dir, pid_t pid, json_object *request,
                                   int64_t timeout_ms, json_object **answer,
                                   struct larder_error *err);

#endif

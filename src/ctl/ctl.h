/*
 * larderctl, the operator's tool: what its files share. One run is one command
 * line, one thread and one `struct ctl`; nothing outlives it.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "config/config.h"
#include "larder.h"

/* What scripts build on: documented in larderctl(1), never renumbered. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_NO = 1,          /* no, not found, held by another, not confirmed */
    CTL_USAGE = 2,       /* wrong arguments, or a configuration that cannot be used */
    CTL_UNREACHABLE = 3, /* Redis or the pool did not answer */
    CTL_FAILED = 4,      /* refused by Redis, corrupt, or any other failure */
    CTL_PARTIAL = 5,     /* broken off: it may have been done, wholly or in part */
    CTL_NOTED = 6        /* purge: in the journal of this machine; other machines wait for Redis */
};

/* How long one call may take unless --timeout says otherwise. Sweeps have no limit by default. */
#define CTL_TIMEOUT_MS INT64_C(10000)
/* How long a lock lives unless --ttl says otherwise. */
#define CTL_LOCK_TTL_MS INT64_C(30000)

/* Fields of a request that explain takes. */
#define CTL_FIELDS_MAX 64

struct ctl;

struct command {
    const char *name;
    const char *args; /* as the help shows them */
    const char *help;
    const char *example;
    const char *options; /* its own ones: their long names, separated by blanks */
    int min_args;
    int max_args; /* -1: any number */
    bool runs;    /* what follows `--` is a command to run, not more arguments */
    int (*run)(struct ctl *ctl);
};

/* Something to purge: `what` is the name of the option that it came with. */
struct ctl_item {
    const char *what;
    const char *text;
};

struct ctl {
    /* for every command */
    const char *config_file; /* NULL: the installed one, if it is there */
    bool no_config;
    const char *host;
    int64_t port; /* 0: not given */
    const char *socket;
    const char *user;
    const char *password_file;
    int64_t database; /* -1: not given */
    const char *name_space;
    const char *runtime_dir;
    int64_t timeout_ms; /* 0: not given */
    bool json;
    bool quiet;
    bool help;
    bool version;

    /* for some; see the table in options.c */
    int64_t ttl_ms; /* 0: not given */
    bool raw;
    bool if_absent;
    bool nul;
    bool dry_run;
    bool verbose;
    bool yes;
    bool server;
    bool pool;
    const char *method;    /* NULL: GET */
    const char *as;        /* REMOTE_USER; NULL: none */
    const char *rewritten; /* what the web server has made of the URL; NULL: what has been seen */
    bool preset;
    const char *fields[CTL_FIELDS_MAX];
    int64_t field_count;
    struct ctl_item *items;
    size_t item_count;
    const char *origin;
    bool soft;
    bool everything;
    bool from_stdin;

    const struct command *command;
    char **args;
    int arg_count;
    char **program; /* after `--`; NULL: none */

    /* settings.c */
    struct config *config; /* NULL: none was read */
    struct larder_options redis;
    char *password; /* from --password-file */
};

/* main.c */
extern const struct command ctl_commands[]; /* ends with a name of NULL */

/* options.c: read the command line. CTL_OK, or CTL_USAGE after saying what is wrong. */
int options_parse(struct ctl *ctl, int argc, char **argv);
/* What the command is called with, when it was called otherwise. CTL_USAGE. */
int options_usage(const struct command *command);
void options_print_help(FILE *to, const struct command *command); /* NULL: the whole tool */

/* settings.c */

/* The configuration file and what the options change in it: fills redis and runtime_dir. */
int settings_load(struct ctl *ctl);
/* The same for a command that asks the pool alone: no password is read. */
int settings_load_for_pool(struct ctl *ctl);
/* Connect with what settings_load() found. On failure it has been said, and *cache is NULL. */
int settings_connect(const struct ctl *ctl, struct larder **cache);
/* Both. */
int settings_open(struct ctl *ctl, struct larder **cache);
/* The configuration file in question, given or installed. */
const char *settings_file(const struct ctl *ctl);
/* "redis 127.0.0.1:6379", for messages. */
void settings_server(const struct ctl *ctl, char *buf, size_t size);
void settings_free(struct ctl *ctl);

/* output.c */

/* A line on stderr; control characters made visible. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for what --quiet keeps to itself. */
void remark(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line on stdout that confirms: not with --quiet, not with --json. */
void confirm_done(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Say why a call failed and return the exit code of its status. */
int fail(enum larder_status status, const struct larder_error *err);
int exit_code_of(enum larder_status status);

/* With control characters, backslashes and what is not UTF-8 as \xHH. */
void print_visible(FILE *to, const char *data, size_t len);
/* JSON on stdout, as a line or as part of one; takes the reference. */
void print_json(json_object *object);
void json_write(json_object *object);
/* Add to an object, taking the reference; value NULL means no memory and ends the program. */
void json_put(json_object *object, const char *name, json_object *value);
json_object *json_new(void);
/* A string from bytes of any kind: what is not UTF-8 becomes U+FFFD. */
json_object *json_text(const char *data, size_t len);

#define DURATION_SIZE 32
/* "4m59s", "1s500ms": what config_parse_duration() reads. Two units at most. */
const char *duration_text(int64_t ms, char buf[DURATION_SIZE]);

/*
 * Ask before what cannot be undone. CTL_OK: go on. CTL_NO: the answer was not
 * yes. CTL_USAGE: nobody to ask, and no --yes.
 */
int ask(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether ask() could get an answer; says so if not, before anything is connected to. */
int ask_possible(const struct ctl *ctl);

/* Flush stdout: `code`, or CTL_FAILED if not all of it could be written. */
int finish_output(int code);

/* input.c */

/* Standard input to its end, at most LARDER_VALUE_MAX; free() it. NULL: it has been said why. */
char *input_read(size_t *len);
/* One JSON value and nothing behind it but blanks; *value is NULL for null. CTL_FAILED: said. */
int input_parse(const char *text, size_t len, json_object **value);

/* values.c */
int ctl_get(struct ctl *ctl);
int ctl_set(struct ctl *ctl);
int ctl_del(struct ctl *ctl);
int ctl_exists(struct ctl *ctl);
int ctl_ttl(struct ctl *ctl);
int ctl_expire(struct ctl *ctl);
int ctl_incr(struct ctl *ctl);

/* locks.c */
int ctl_lock(struct ctl *ctl);
int ctl_unlock(struct ctl *ctl);
int ctl_extend(struct ctl *ctl);

/* purge.c */
int ctl_keys(struct ctl *ctl);
int ctl_purge_pattern(struct ctl *ctl);
int ctl_purge_user(struct ctl *ctl);
int ctl_flush(struct ctl *ctl);

/* invalidate.c */
int ctl_purge(struct ctl *ctl);

/* explain.c */
int ctl_explain(struct ctl *ctl);

/* preset.c: `explain --preset` */
int explain_preset(const struct ctl *ctl);

/* pool.c */

/* As control_ask(). A pool whose socket is there and that has no process yet, because it has just been
 * started, is waited for, 2 s at most. */
enum larder_status pool_ask(const struct ctl *ctl, json_object *request, int64_t timeout_ms,
                            json_object **answers, struct larder_error *err);
int ctl_stats(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_ping(struct ctl *ctl);
int ctl_check_config(struct ctl *ctl);

#endif

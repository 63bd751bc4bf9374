/*
 * The control socket, what both sides need; see control_wire.h and control.c.
 */
#include "runtime/control_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

#define SUFFIX ".sock"
/* Answers have three levels; this is for what a later version may say. */
#define JSON_DEPTH_MAX 16

bool
control_address(struct sockaddr_un *address, const char *dir, pid_t pid)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int n = snprintf(address->sun_path, sizeof address->sun_path, "%s/%ld" SUFFIX, dir, (long)pid);
    return n > 0 && (size_t)n < sizeof address->sun_path;
}

/* "123.sock" -> 123; 0 for any other name. */
static pid_t
pid_of(const char *name)
{
    int64_t pid = 0;
    const char *p = name;

    if (*p < '1' || *p > '9')
        return 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        pid = pid * 10 + (*p - '0');
        if (pid > INT32_MAX)
            return 0;
    }
    return strcmp(p, SUFFIX) == 0 ? (pid_t)pid : 0;
}

pid_t
control_next_pid(DIR *list)
{
    for (const struct dirent *entry; (entry = readdir(list));) {
        pid_t pid = pid_of(entry->d_name);
        if (pid > 0)
            return pid;
    }
    return 0;
}

DIR *
control_open_dir(const char *dir, const char *denied, struct larder_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);

    if (!list)
        error_set(err, LARDER_UNAVAILABLE, "control: %s: %s%s", dir,
                  errno == ENOTDIR ? "no directory, or a symbolic link to one" : strerror(errno),
                  errno == EACCES ? denied : "");
    if (!list && fd >= 0)
        close(fd);
    return list;
}

/* A Unix socket connects at once or not at all. */
int
control_dial(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

json_object *
control_parse(const char *text, size_t len)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    json_object *value = NULL;

    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    value = json_tokener_parse_ex(tokener, text, (int)len);
    if (json_tokener_get_error(tokener) != json_tokener_success ||
        json_tokener_get_parse_end(tokener) != len ||
        !json_object_is_type(value, json_type_object)) {
        json_object_put(value);
        value = NULL;
    }
    json_tokener_free(tokener);
    return value;
}

const char *
control_text(json_object *value, size_t *len)
{
    return json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
}

bool
control_transient(int why)
{
    return why == EAGAIN || why == EINTR;
}

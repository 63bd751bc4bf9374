/*
 * The listening socket.
 *
 * spawn-fcgi, multiwatch, mod_fcgid, lighttpd's bin-path and systemd with
 * StandardInput=socket all put it on descriptor 0; systemd's LISTEN_FDS puts it
 * on 3. With -s we open our own. A Unix socket that a dead process left is
 * removed, one that somebody still listens on is not.
 */
#include "responder/listen.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define BACKLOG 1024

static char own_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

static bool
is_listening(int fd)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value;
}

static enum larder_status
handed_over(int *fd, struct larder_error *err)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid && count && strtol(pid, NULL, 10) == (long)getpid()) {
        long n = strtol(count, NULL, 10);
        if (n != 1)
            return error_set(err, LARDER_INVALID, "LISTEN_FDS is %ld: one socket is expected", n);
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        *fd = 3;
    } else {
        *fd = STDIN_FILENO;
    }
    if (is_listening(*fd))
        return LARDER_OK;
    return error_set(err, LARDER_INVALID,
                     "descriptor %d is not a listening socket: start larder-fcgi by spawn-fcgi, "
                     "mod_fcgid, lighttpd or systemd, or give it one with -s PATH|HOST:PORT",
                     *fd);
}

static enum larder_status
set_owner(const char *path, const char *owner, struct larder_error *err)
{
    char name[256];
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    if (snprintf(name, sizeof name, "%s", owner) >= (int)sizeof name)
        return error_set(err, LARDER_INVALID, "--socket-owner: name too long");
    char *group = strchr(name, ':');
    if (group)
        *group++ = '\0';
    if (name[0]) {
        const struct passwd *user = getpwnam(name);
        if (!user)
            return error_set(err, LARDER_INVALID, "--socket-owner: there is no user \"%s\"", name);
        uid = user->pw_uid;
        gid = user->pw_gid;
    }
    if (group && group[0]) {
        const struct group *entry = getgrnam(group);
        if (!entry)
            return error_set(err, LARDER_INVALID, "--socket-owner: there is no group \"%s\"",
                             group);
        gid = entry->gr_gid;
    }
    if (chown(path, uid, gid) != 0)
        return error_set(err, LARDER_INVALID, "%s: cannot give it to %s: %s", path, owner,
                         strerror(errno));
    return LARDER_OK;
}

/* A socket file that nobody answers on is a leftover. */
static void
remove_leftover(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

static enum larder_status
open_unix(const struct listen_options *options, int *out, struct larder_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(options->address);
    if (n >= sizeof address.sun_path)
        return error_set(err, LARDER_INVALID, "%s: a socket path has at most %zu bytes",
                         options->address, sizeof address.sun_path - 1);
    memcpy(address.sun_path, options->address, n + 1);
    char *end = NULL;
    long mode = strtol(options->mode ? options->mode : "0660", &end, 8);
    if (*end || mode < 0 || mode > 0777)
        return error_set(err, LARDER_INVALID, "--socket-mode %s: an octal mode is expected",
                         options->mode);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, LARDER_UNAVAILABLE, "socket: %s", strerror(errno));
    remove_leftover(&address);
    /* Nobody may connect before mode and owner are set. */
    mode_t old = umask(0177);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    int why = errno;
    umask(old);
    if (bound != 0) {
        close(fd);
        return error_set(err, LARDER_UNAVAILABLE, "%s: cannot bind: %s", options->address,
                         strerror(why));
    }
    memcpy(own_path, options->address, n + 1);
    enum larder_status status = LARDER_OK;
    if (options->owner)
        status = set_owner(options->address, options->owner, err);
    if (status == LARDER_OK &&
        (chmod(options->address, (mode_t)mode) != 0 || listen(fd, BACKLOG) != 0))
        status = error_set(err, LARDER_UNAVAILABLE, "%s: %s", options->address, strerror(errno));
    if (status != LARDER_OK)
        listen_close(fd);
    else
        *out = fd;
    return status;
}

static enum larder_status
open_tcp(const struct listen_options *options, int *out, struct larder_error *err)
{
    char host[256];
    const char *colon = strrchr(options->address, ':');
    size_t n = colon ? (size_t)(colon - options->address) : 0;
    if (!colon || !colon[1] || n >= sizeof host)
        return error_set(err, LARDER_INVALID, "-s %s: a path or HOST:PORT is expected",
                         options->address);
    memcpy(host, options->address, n);
    host[n] = '\0';
    char *name = host;
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        name++;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    int failed = getaddrinfo(*name ? name : NULL, colon + 1, &hints, &list);
    if (failed)
        return error_set(err, LARDER_INVALID, "-s %s: %s", options->address, gai_strerror(failed));
    int fd = -1, why = 0, one = 1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) {
            why = errno;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
            why = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        return error_set(err, LARDER_UNAVAILABLE, "-s %s: cannot listen: %s", options->address,
                         strerror(why));
    *out = fd;
    return LARDER_OK;
}

enum larder_status
listen_open(const struct listen_options *options, int *fd, struct larder_error *err)
{
    if (!options->address)
        return handed_over(fd, err);
    return strchr(options->address, '/') ? open_unix(options, fd, err) : open_tcp(options, fd, err);
}

void
listen_close(int fd)
{
    if (fd >= 0)
        close(fd);
    if (own_path[0])
        unlink(own_path);
    own_path[0] = '\0';
}

/*
 * The password of Redis and the token for purges: from a file of its own, from the
 * environment, or from the configuration itself. See the header. What others may write
 * is refused; what others may read is worth a warning.
 */
#include "config/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "config/document.h"

#define PASSWORD_VARIABLE "LARDER_REDIS_PASSWORD"

/* What a file may hold that nobody but the pool should know. */
struct secret {
    const char *option; /* "redis.password_file" */
    const char *what;   /* "a password" */
    size_t min;
};

static enum larder_status
keep_secret(const struct config *config, const char **out, const char *text, size_t n,
            struct larder_error *err)
{
    char *copy = arena_strndup(config->arena, text, n);
    if (!copy)
        return error_set(err, LARDER_NOMEM, "configuration: out of memory");
    *out = copy;
    return LARDER_OK;
}

/* A secret that others may write is theirs; one that others may read is worth a warning. */
static enum larder_status
read_secret_file(const struct config *config, struct reader *reader, const config_setting_t *where,
                 const struct secret *secret, const char *file, const char **out)
{
    char text[CONFIG_PASSWORD_MAX + 3]; /* the longest, a CR LF, and one byte too many */
    size_t n = 0;
    char why[SOURCE_WHY_SIZE];
    struct stat st;
    enum larder_status status = LARDER_OK;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        status = reader_error(reader, where, "%s: cannot read %s: %s", secret->option, file,
                              source_why(why, errno));
    } else if (!S_ISREG(st.st_mode)) {
        status = reader_error(reader, where, "%s: %s is not a regular file", secret->option, file);
    } else if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        status = reader_error(reader, where,
                              "%s: others than its owner may write %s: mode %04o, "
                              "expected 0600 or 0640",
                              secret->option, file, (unsigned)(st.st_mode & 07777));
    } else {
        if (st.st_mode & S_IROTH)
            log_write(LARDER_LOG_WARNING,
                      "%s holds %s and everybody may read it: chown it to the user of larder-fcgi, "
                      "then chmod 600",
                      file, secret->what);
        ssize_t got;
        do {
            got = read(fd, text + n, sizeof text - n);
            n += got > 0 ? (size_t)got : 0;
        } while ((got > 0 && n < sizeof text) || (got < 0 && errno == EINTR));
        if (got < 0)
            status = reader_error(reader, where, "%s: cannot read %s: %s", secret->option, file,
                                  strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    if (status == LARDER_OK) {
        if (n && text[n - 1] == '\n')
            n--;
        if (n && text[n - 1] == '\r')
            n--;
        if (n < secret->min || n > CONFIG_PASSWORD_MAX || memchr(text, '\0', n))
            status = reader_error(reader, where, "%s: %s: expected %s of %zu to %d bytes",
                                  secret->option, file, secret->what, secret->min,
                                  CONFIG_PASSWORD_MAX);
        else
            status = keep_secret(config, out, text, n, reader->err);
    }
    explicit_bzero(text, sizeof text);
    return status;
}

/* One in a configuration that everybody may read is none. */
static void
warn_of_readers(const config_setting_t *setting, const struct secret *secret)
{
    if (setting && (document_mode(setting) & S_IROTH))
        log_write(LARDER_LOG_WARNING,
                  "%s holds %s and everybody may read it: put it into a file of its own, which "
                  "belongs to the user of larder-fcgi and has mode 0600, and name that in %s",
                  document_place(setting).file, secret->what, secret->option);
}

bool
secrets_password_from_environment(struct config *config, enum larder_status *status,
                                  struct larder_error *err)
{
    const char *text = getenv(PASSWORD_VARIABLE);
    if (!text || !*text)
        return false;
    size_t n = strlen(text);
    *status = n > CONFIG_PASSWORD_MAX
                  ? error_set(err, LARDER_INVALID,
                              PASSWORD_VARIABLE ": found %zu bytes, expected at most %d", n,
                              CONFIG_PASSWORD_MAX)
                  : keep_secret(config, &config->redis.password, text, n, err);
    config->redis_password_file = NULL;
    return true;
}

enum larder_status
secrets_take_password(struct config *config, struct reader *reader)
{
    static const struct secret secret = {"redis.password_file", "a password", 1};
    const config_setting_t *in_file = reader_setting(reader, "redis", "password_file");
    const config_setting_t *inline_ = reader_setting(reader, "redis", "password");
    enum larder_status status = LARDER_OK;
    if (in_file && inline_)
        return reader_error(reader, in_file,
                            "redis.password_file: redis.password is set as well, expected one");
    warn_of_readers(inline_, &secret);
    bool wanted = !(reader->without & CONFIG_WITHOUT_PASSWORD);
    if (!secrets_password_from_environment(config, &status, reader->err) && in_file && wanted)
        status = read_secret_file(config, reader, in_file, &secret, config->redis_password_file,
                                  &config->redis.password);
    const config_setting_t *user = reader_setting(reader, "redis", "user");
    if (status == LARDER_OK && user && !config->redis.password && (wanted || !in_file))
        return reader_error(reader, user,
                            "redis.user: found \"%.40s\" without a password, expected "
                            "redis.password, redis.password_file or " PASSWORD_VARIABLE,
                            config->redis.user);
    return status;
}

/* -------------------------------------------------------------------- token */

/* It travels in a field of a request, whose ends are trimmed. */
static bool
token_valid(const char *token)
{
    for (const char *p = token; *p; p++)
        if (*p < ' ' || *p >= 0x7f)
            return false;
    return token[0] != ' ' && token[strlen(token) - 1] != ' ';
}

enum larder_status
secrets_take_token(struct config *config, struct reader *reader)
{
    static const struct secret secret = {"admin.token_file", "a token", ADMIN_TOKEN_MIN};
    const config_setting_t *in_file = reader_setting(reader, "admin", "token_file");
    const config_setting_t *inline_ = reader_setting(reader, "admin", "token");
    enum larder_status status = LARDER_OK;
    if (in_file && inline_)
        return reader_error(reader, in_file,
                            "admin.token_file: admin.token is set as well, expected one");
    warn_of_readers(inline_, &secret);
    if (in_file && !(reader->without & CONFIG_WITHOUT_TOKEN))
        status = read_secret_file(config, reader, in_file, &secret, config->admin_token_file,
                                  &config->admin_token);
    if (status == LARDER_OK && config->admin_token && !token_valid(config->admin_token))
        return reader_error(reader, in_file ? in_file : inline_,
                            "admin.token%s: expected letters, digits and signs of ASCII, without "
                            "blanks at its ends",
                            in_file ? "_file" : "");
    return status;
}

/*
 * Key names and patterns of the values that applications share with Larder.
 *
 * The idea: each name is a shape, literal text with at most one '@' where the
 * identifier goes, and one function fills any shape. The table at the end is
 * the whole list, in the order of larder.h; adding a name is adding a line.
 *
 * Called by applications through larder.h. Never allocates, never knows about
 * the namespace (the client puts it before each key), never checks what an
 * identifier means: what goes in stands in the key byte for byte.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "larder.h"

/* What a pattern takes for more than itself. '-' and '^' mean something only inside a class, but an
 * identifier may end up in one that an application wrote. */
#define GLOB_SPECIAL "*?[]^-\\"

/* Where the next byte goes. Counts on past the end, so that one check at the end is enough. */
struct name {
    char *buf;
    size_t size;
    size_t len;
};

static void
put(struct name *name, char c)
{
    if (name->len < name->size)
        name->buf[name->len] = c;
    name->len++;
}

static void
put_id(struct name *name, const char *id, bool escape)
{
    for (; *id; id++) {
        if (escape && strchr(GLOB_SPECIAL, *id))
            put(name, '\\');
        put(name, *id);
    }
}

/* A name cut short would be another key: all of it or nothing. */
static enum larder_status
finish(struct name *name)
{
    if (name->len < name->size) {
        name->buf[name->len] = '\0';
        return LARDER_OK;
    }
    if (name->size > 0)
        name->buf[0] = '\0';
    return LARDER_TRUNCATED;
}

static enum larder_status
fill(char *buf, size_t size, const char *shape, const char *id, bool escape)
{
    struct name name = {buf, buf ? size : 0, 0};

    for (; *shape; shape++) {
        if (*shape == '@')
            put_id(&name, id, escape);
        else
            put(&name, *shape);
    }
    return finish(&name);
}

/* An empty identifier would give the name of something else ("user:" begins every user's key). */
static enum larder_status
fill_id(char *buf, size_t size, const char *shape, const char *id, bool escape)
{
    if (!id || !*id) {
        if (buf && size > 0)
            buf[0] = '\0';
        return LARDER_INVALID;
    }
    return fill(buf, size, shape, id, escape);
}

enum larder_status
larder_pattern_escape(char *buf, size_t size, const char *text)
{
    if (!text) {
        if (buf && size > 0)
            buf[0] = '\0';
        return LARDER_INVALID;
    }
    return fill(buf, size, "@", text, true);
}

/* One name without an identifier, one with, one pattern with. */
#define NAME(function, shape)                           \
    enum larder_status function(char *buf, size_t size) \
    {                                                   \
        return fill(buf, size, shape, "", false);       \
    }
#define NAME_OF(function, shape)                                        \
    enum larder_status function(char *buf, size_t size, const char *id) \
    {                                                                   \
        return fill_id(buf, size, shape, id, false);                    \
    }
#define PATTERN_OF(function, shape)                                     \
    enum larder_status function(char *buf, size_t size, const char *id) \
    {                                                                   \
        return fill_id(buf, size, shape, id, true);                     \
    }

/* clang-format off */
NAME_OF(larder_key_session,              LARDER_PREFIX_SESSION ":@")
NAME_OF(larder_key_session_user_list,    LARDER_PREFIX_SESSION ":user:@:list")
NAME(larder_key_session_all,             LARDER_PREFIX_SESSION ":all")
NAME_OF(larder_key_session_stats,        LARDER_PREFIX_SESSION ":@:stats")
NAME_OF(larder_key_user,                 LARDER_PREFIX_USER ":@")
NAME_OF(larder_key_user_by_username,     LARDER_PREFIX_USER ":username:@")
NAME_OF(larder_key_user_by_email,        LARDER_PREFIX_USER ":email:@")
NAME(larder_key_user_all,                LARDER_PREFIX_USER ":all")
NAME_OF(larder_key_template,             LARDER_PREFIX_TEMPLATE ":@")
NAME_OF(larder_key_template_category,    LARDER_PREFIX_TEMPLATE ":category:@")
NAME(larder_key_template_all,            LARDER_PREFIX_TEMPLATE ":all")
NAME(larder_key_template_featured,       LARDER_PREFIX_TEMPLATE ":featured")
NAME_OF(larder_key_template_favorites,   LARDER_PREFIX_TEMPLATE ":favorites:user:@")
NAME_OF(larder_key_quota_user,           LARDER_PREFIX_QUOTA ":user:@")
NAME(larder_key_quota_all,               LARDER_PREFIX_QUOTA ":all")
NAME_OF(larder_key_config,               LARDER_PREFIX_CONFIG ":@")
NAME(larder_key_config_all,              LARDER_PREFIX_CONFIG ":all")
NAME_OF(larder_key_repository,           LARDER_PREFIX_REPOSITORY ":@")
NAME(larder_key_repository_all,          LARDER_PREFIX_REPOSITORY ":all")
NAME_OF(larder_key_share_session,        LARDER_PREFIX_SHARE ":session:@")
NAME_OF(larder_key_share_user,           LARDER_PREFIX_SHARE ":user:@")
NAME_OF(larder_key_share_invitation,     LARDER_PREFIX_SHARE ":invitation:@")
NAME_OF(larder_key_share_collaborators,  LARDER_PREFIX_SHARE ":session:@:collaborators")
NAME_OF(larder_key_stats_user,           LARDER_PREFIX_STATS ":user:@")
NAME_OF(larder_key_stats_template,       LARDER_PREFIX_STATS ":template:@")
NAME(larder_key_stats_global,            LARDER_PREFIX_STATS ":global")

NAME(larder_pattern_sessions,            LARDER_PREFIX_SESSION ":*")
NAME(larder_pattern_templates,           LARDER_PREFIX_TEMPLATE ":*")
NAME(larder_pattern_quotas,              LARDER_PREFIX_QUOTA ":*")
NAME(larder_pattern_template_favorites,  LARDER_PREFIX_TEMPLATE ":favorites:*")
PATTERN_OF(larder_pattern_user,          "*:user:@*")
/* clang-format on */

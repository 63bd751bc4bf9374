/*
 * The secrets of a configuration, taken while it is read. Called by config.c alone.
 * Secrets are kept in the configuration's arena; config_free() overwrites them.
 */
#ifndef CONFIG_SECRETS_H
#define CONFIG_SECRETS_H

#include "config/config.h"
#include "config/reader.h"

/* redis.password from LARDER_REDIS_PASSWORD, which goes before the file: a service manager hands out
 * secrets that way. false: there is none. *status: whether it could be taken. */
bool secrets_password_from_environment(struct config *config, enum larder_status *status,
                                       struct larder_error *err);
/* redis.password, from redis.password_file or LARDER_REDIS_PASSWORD where they are set. */
enum larder_status secrets_take_password(struct config *config, struct reader *reader);
/* admin.token, from admin.token_file where that is set. */
enum larder_status secrets_take_token(struct config *config, struct reader *reader);

#endif

/* What liblarder's own modules share about generations; the calls themselves are in store.h. */
#ifndef CLIENT_GENERATIONS_H
#define CLIENT_GENERATIONS_H

#include <hiredis/hiredis.h>

#include "client/store.h"
#include "client/wire.h"

/* Commands that generations_ask() makes for each tag. */
#define GENERATIONS_PER_TAG ((size_t)2)
/* The longest marked one of an older Larder's. */
#define GENERATION_MARKED_MAX ((size_t)16 * 1024)

/* A tag's key, for command_write(), and as one more argument. */
#define GENERATION_NAME ":" NAME_GENERATION "%s"
void generations_key(const struct larder *cache, struct wire *wire, const char *tag);

/* The command that lets them live as long as store_generations_keep() says: one reply. */
void generations_write_lives(const struct larder *cache, struct wire *wire,
                             const struct store_lives *lives, int64_t ttl_ms);

/* LARDER_INVALID: more than most, or too long. */
enum larder_status generations_check(const char *const *tags, size_t n, size_t most,
                                     struct larder_error *err);

/* A value of Redis' as store.h has it: settled, "M", or "". */
void generation_read(store_generation out, const char *value, size_t len);

/* The life of a new generation in ms, as an argument of a script. */
#define GENERATION_LIFE_SIZE 24
void generation_life(const struct larder *cache, char life[GENERATION_LIFE_SIZE]);

/* Commands that create what is missing and read all, and what their replies say. */
enum larder_status generations_ask(const struct larder *cache, struct wire *wire,
                                   const char *const *tags, size_t n, struct larder_error *err);
void generations_read(redisReply *const *replies, size_t n, store_generation *out);

/* After that, remove what is no generation: an older Larder's, or another type. It would be in the
 * way of every fill for as long as it lives. What fails is of no consequence now. */
void generations_tend(struct larder *cache, const char *const *tags, size_t n,
                      redisReply *const *replies, int64_t deadline_ms);

#endif

/*
 * The names of all keys in Redis and of all tags, each here and nowhere else. What they
 * mean: store.h. Before each stands the client's namespace.
 */
#ifndef CLIENT_NAMES_H
#define CLIENT_NAMES_H

/* [<resource>:][user:<user>:]response:<hash>, and beside one that varies the set of its variants. */
#define NAME_USER "user:"
#define NAME_RESPONSE "response:"
#define NAME_VARIANTS ":variants"
/* gen:<tag>: a generation. lease:<key>: who fetches. */
#define NAME_GENERATION "gen:"
#define NAME_LEASE "lease:"
/* The stream of what was invalidated, the register of mutations, the channel on which leases end. */
#define NAME_NEWS "gen-news"
#define NAME_MUTATIONS "gen-mutations"
#define NAME_WAKE "wake"

/* Tags: of everything; of a resource, a user, both; of a URL and a directory, by their hash; what routes,
 * responses and purges name; a cache group, by the hash of its origin and its name. */
#define TAG_ALL "all"
#define TAG_RESOURCE "resource:"
#define TAG_USER NAME_USER
#define TAG_URL "url:"
#define TAG_DIRECTORY "dir:"
#define TAG_NAMED "tag:"
#define TAG_GROUP "group:"

/* Bytes of one of these, without a NUL. */
#define NAME_LEN(name) (sizeof(name) - 1)

#endif

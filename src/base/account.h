/*
 * Names of users and groups, for messages that say who may not open what.
 */
#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

#include <sys/types.h>

/* With its NUL. */
#define ACCOUNT_NAME_SIZE 33

/* The name in the system's database; the number where it has none. Any thread. */
void account_user(char name[ACCOUNT_NAME_SIZE], uid_t uid);
void account_group(char name[ACCOUNT_NAME_SIZE], gid_t gid);

#endif

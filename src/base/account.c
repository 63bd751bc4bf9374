/*
 * Names of users and groups.
 *
 * Called where a message about permissions is made, never for a request that
 * goes well: the system's database may be somewhere on the network.
 */
#include "base/account.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

/* Longer entries are those of groups with many members; then the number has to do. */
#define ENTRY_SIZE 4096

void
account_user(char name[ACCOUNT_NAME_SIZE], uid_t uid)
{
    char room[ENTRY_SIZE];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found)
        snprintf(name, ACCOUNT_NAME_SIZE, "%s", found->pw_name);
    else
        snprintf(name, ACCOUNT_NAME_SIZE, "%u", (unsigned)uid);
}

void
account_group(char name[ACCOUNT_NAME_SIZE], gid_t gid)
{
    char room[ENTRY_SIZE];
    struct group entry;
    struct group *found = NULL;
    if (getgrgid_r(gid, &entry, room, sizeof room, &found) == 0 && found)
        snprintf(name, ACCOUNT_NAME_SIZE, "%s", found->gr_name);
    else
        snprintf(name, ACCOUNT_NAME_SIZE, "%u", (unsigned)gid);
}

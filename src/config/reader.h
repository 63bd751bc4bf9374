/*
 * From libconfig's tree into typed fields, by the table of options.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <libconfig.h>

#include "base/arena.h"
#include "config/config.h"
#include "config/options.h"
#include "config/source.h"
#include "larder.h"

/* Longest element of a list of strings. */
#define READER_ELEMENT_MAX 1024

struct reader {
    const struct source *source;
    struct arena *arena; /* what is read is copied into it */
    struct larder_error *err;
    const config_setting_t *set[OPTIONS_MAX]; /* by option_index(); NULL: not in the file */
};

/*
 * Read a section: every member of the group must be one of its options, of the
 * right type and in range. Values go to the fields at base, except those that
 * the table keeps apart; all settings are noted in reader->set.
 */
enum larder_status reader_section(struct reader *reader, const char *section,
                                  const config_setting_t *group, void *base);

/* The setting of an option that reader_section() has seen; NULL: not in the file. */
const config_setting_t *reader_setting(const struct reader *reader, const char *section,
                                       const char *name);

enum larder_status reader_strings(struct reader *reader, const config_setting_t *setting,
                                  struct string_list *list);

struct place reader_place(const struct reader *reader, const config_setting_t *setting);

/* "FILE:LINE: words"; LARDER_INVALID. */
enum larder_status reader_error(struct reader *reader, const config_setting_t *setting,
                                const char *format, ...) __attribute__((format(printf, 3, 4)));
enum larder_status reader_no_memory(struct reader *reader);

#endif

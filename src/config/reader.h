/*
 * From libconfig's tree into typed fields, by the table of options.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <libconfig.h>

#include "base/arena.h"
#include "config/config.h"
#include "config/document.h"
#include "config/options.h"
#include "larder.h"

/* Longest element of a list of strings. */
#define READER_ELEMENT_MAX 1024

/* Settings may be of several documents: each knows its own. */
struct reader {
    const char *file;    /* the configuration as a whole, for messages */
    struct arena *arena; /* what is read is copied into it */
    struct larder_error *err;
    unsigned without;                         /* CONFIG_WITHOUT_TOKEN ... */
    const config_setting_t *set[OPTIONS_MAX]; /* by option_index(); NULL: nobody has set it */
};

/*
 * Read a section: every member of the group must be one of its options, of the
 * right type and in range. Values go to the fields at base, except those that
 * the table keeps apart; all settings are noted in reader->set.
 */
enum larder_status reader_section(struct reader *reader, const char *section,
                                  const config_setting_t *group, void *base);

/* The same for one setting of a section; "": of the top level. */
enum larder_status reader_option(struct reader *reader, const char *section,
                                 const config_setting_t *setting, void *base);

/* The setting of an option that reader_section() has seen, the last of several; NULL: not set. */
const config_setting_t *reader_setting(const struct reader *reader, const char *section,
                                       const char *name);

enum larder_status reader_strings(struct reader *reader, const config_setting_t *setting,
                                  struct string_list *list);

/* Beside the file that the setting stands in, unless it is absolute. NULL: reported. */
const char *reader_path(struct reader *reader, const config_setting_t *setting, const char *text);

/* "FILE:LINE: words"; LARDER_INVALID. */
enum larder_status reader_error(struct reader *reader, const config_setting_t *setting,
                                const char *format, ...) __attribute__((format(printf, 3, 4)));
enum larder_status reader_no_memory(struct reader *reader);

#endif

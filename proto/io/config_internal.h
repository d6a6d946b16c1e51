/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the configuration reader: values, and who sets them. For config*.c only. */
#ifndef QUORATE_PROTO_IO_CONFIG_INTERNAL_H
#define QUORATE_PROTO_IO_CONFIG_INTERNAL_H

#include "proto/io/config.h"

#define CONFIG_ITEMS_MAX 256
#define CONFIG_ORIGIN_MAX 512

/* Later ones win over earlier ones. */
enum config_source { CONFIG_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENV, CONFIG_FROM_FLAG };

struct config_value {
    enum config_source source;
    char *text;   /* never NULL after reading */
    char **items; /* LIST and MAP */
    size_t items_count;
    int64_t number; /* INT, DURATION, SIZE, BOOL */
    char *origin;
};

struct io_config {
    const struct io_config_spec *spec;
    struct config_value *values;
    char *file;
    int argc;
    char **argv;
};

/* Items of a list that is being read; owns its texts. */
struct config_items {
    size_t count;
    char *list[CONFIG_ITEMS_MAX];
};
void config_items_free(struct config_items *items);
/* "a,b,c" into items. */
MUST_CHECK int config_items_split(const char *text, struct config_items *ret);

/* Checks a value and takes it, unless a stronger source has set the key. Items are copied. */
MUST_CHECK int config_set_text(struct io_config *config, size_t key, enum config_source source,
                               const char *text, const char *origin, struct io_why *why);
MUST_CHECK int config_set_items(struct io_config *config, size_t key, enum config_source source,
                                const struct config_items *items, const char *origin,
                                struct io_why *why);

void config_values_free(struct io_config *config);

/* Row of a key by its name; SIZE_MAX when there is none. */
size_t config_find(const struct io_config_spec *spec, const char *name);
/* "unknown key 'x'; did you mean 'y'?" */
void config_unknown(const struct io_config_spec *spec, const char *what, const char *name,
                    const char *origin, struct io_why *why);

/* Reads a YAML file. */
MUST_CHECK int config_read_file(struct io_config *config, const char *path, struct io_why *why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a node is started with: the options and the configuration file of mongod that matter here.
 *
 * Keys are those of mongod.conf ("net.port"); its command line's short forms (--port) are a table.
 * A key that mongod does not know is refused, as mongod does: an agent's file must be right.
 */
#ifndef QUORATE_TESTS_MONGOSIM_CONF_H
#define QUORATE_TESTS_MONGOSIM_CONF_H

#include <stdbool.h>

#define CONF_TEXT_MAX 255
#define CONF_SETTINGS_MAX 48

struct conf_setting {
    char key[64];
    char value[CONF_TEXT_MAX + 1];
};

struct conf {
    int count;
    struct conf_setting settings[CONF_SETTINGS_MAX];
};

/* Adds the settings of a YAML file. False: `ret_why` (at least 256 bytes) says what is wrong. */
bool conf_read(struct conf *conf, const char *path, char *ret_why);
/* Adds one. The last one counts. False: not a key of mongod, or no room. */
bool conf_set(struct conf *conf, const char *key, const char *value);
/* NULL when it is not set. */
const char *conf_get(const struct conf *conf, const char *key);
/* Key of an option of mongod's command line ("port"); NULL: unknown. */
const char *conf_option_key(const char *option);

#endif

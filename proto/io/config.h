/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of a daemon: one table of keys, read from flags, environment and a YAML file.
 *
 * A program writes its keys as an X-macro (see IO_CONFIG_ENUM, IO_CONFIG_ROW) and has from it the
 * file format, --section.key=value flags, environment names (QUORATE_SECTION_KEY), --print-config,
 * --sample-config and --help. Flags win over the environment, that over the file, that over
 * defaults. Each value is text that is checked by its key's type; unknown or duplicate keys,
 * anchors, aliases and tags are errors. Messages: FILE:LINE:COL: key 'x': value 'y' is not a
 * duration; allowed: 10ms to 10s Runs at start and at reload, on one thread. Values of secret keys
 * are never printed.
 */
#ifndef QUORATE_PROTO_IO_CONFIG_H
#define QUORATE_PROTO_IO_CONFIG_H

#include <stdio.h>

#include "proto/io/address.h"

enum io_config_type {
    IO_CONFIG_TEXT,     /* any text; choices narrows it */
    IO_CONFIG_NAME,     /* struct base_name */
    IO_CONFIG_INT,      /* min to max */
    IO_CONFIG_DURATION, /* "2s", "250ms", "1h30m", "100us", "0": microseconds, min to max */
    IO_CONFIG_SIZE,     /* "512MiB", "64kB" (1000), "4096": bytes, min to max */
    IO_CONFIG_BOOL,     /* yes no true false on off */
    IO_CONFIG_LIST,     /* YAML sequence, or "a,b,c" */
    IO_CONFIG_MAP,      /* YAML mapping of scalars, or "a=1,b=2": a list of "name=value" */
};

enum io_config_flag {
    IO_CONFIG_PLAIN = 0,
    IO_CONFIG_SECRET = 1,
    IO_CONFIG_RELOADABLE = 2,
    IO_CONFIG_REQUIRED = 4,
};

struct io_config_key {
    const char *name; /* "section.key"; "key" and "a.b.c" work too */
    enum io_config_type type;
    const char *default_text; /* NULL: empty, 0, no */
    int64_t min, max;         /* INT, DURATION (us), SIZE (bytes); both 0: any not below 0 */
    const char *choices;      /* TEXT: "on|off|auto"; NULL: any */
    unsigned flags;           /* enum io_config_flag */
    const char *help;         /* one line, capital letter, no full stop */
};

/* X(ID, "name", TYPE, "default" or NULL, min, max, "choices" or NULL, flags, "help") */
#define IO_CONFIG_ENUM(id, ...) KEY_##id,
#define IO_CONFIG_ROW(id, name_, type_, default_, min_, max_, choices_, flags_, help_) \
    {name_, IO_CONFIG_##type_, default_, min_, max_, choices_, flags_, help_},

/* Another name for a key: --FLAG and ETCD_FLAG in the environment (upper case, '_' for '-'). */
struct io_config_alias {
    const char *flag;   /* "listen-client-urls" */
    const char *key;    /* "client.listen" */
    const char *suffix; /* appended to a bare number: "ms"; NULL none */
};

/* A flag that users of etcd know and that this program does not have: refused with its reason,
 * never passed over in silence. */
struct io_config_absent {
    const char *flag;
    const char *why; /* "the log is not compacted yet" */
};

struct io_config_spec {
    const char *program;      /* "quorated" */
    const char *summary;      /* one line for --help */
    const char *words;        /* lines for --help on words of the program's own; NULL: none */
    const char *default_file; /* read when it exists and no --config is given; may be NULL */
    const struct io_config_key *keys;
    size_t keys_count;
    const struct io_config_alias *aliases;
    size_t aliases_count;
    const struct io_config_absent *absent; /* as flags, and as ETCD_FLAG in the environment */
    size_t absent_count;
};

struct io_config;

/* Reads flags, environment and file. INVALID with why; NOTFOUND when the file given by --config is
 * not there.
 * --help, --version and the like are not looked at: see io_config_main. argv[0] is skipped. */
MUST_CHECK int io_config_read(const struct io_config_spec *spec, int argc, char *const *argv,
                              struct io_config **ret, struct io_why *why);
/* What main() does first: --help, --version, --check-config, --print-config, --sample-config, error
 * texts on stderr. Returns an exit status (0, 2), or -1: go on with *ret. `check` (may be NULL)
 * looks at the whole after it was read (files exist, keys fit together): 0 or an error with why. */
int io_config_main(const struct io_config_spec *spec, int argc, char *const *argv,
                   int (*check)(const struct io_config *config, struct io_why *why),
                   struct io_config **ret);
/* Reads the same sources again, into a new one; the old one is untouched. */
MUST_CHECK int io_config_reload(const struct io_config *old, struct io_config **ret,
                                struct io_why *why);
struct io_config *io_config_free(struct io_config *config);
bool io_config_differs(const struct io_config *a, const struct io_config *b, size_t key);

/* Values; key is the number of the row and must have the type. Texts live as long as the config. */
const char *io_config_text(const struct io_config *config,
                           size_t key); /* TEXT, NAME; "" when not set */
int64_t io_config_int(const struct io_config *config,
                      size_t key); /* INT, DURATION us, SIZE bytes */
bool io_config_bool(const struct io_config *config, size_t key);
struct base_name io_config_name(const struct io_config *config, size_t key);
const char *const *io_config_list(const struct io_config *config, size_t key, size_t *ret_count);
/* Value of "name" in a MAP; NULL when it is not there. */
const char *io_config_map_get(const struct io_config *config, size_t key, const char *name);
bool io_config_is_set(const struct io_config *config, size_t key); /* by anybody, not the default */
/* Where the value came from: "FILE:LINE:COL", "--flag", "environment NAME", "default". */
const char *io_config_origin(const struct io_config *config, size_t key);
const char *io_config_file(const struct io_config *config); /* "" when none was read */
/* An error text in the house form for a check of the program's own. */
void io_config_why(const struct io_config *config, size_t key, struct io_why *why,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Effective values as YAML (secrets as "********"), the sample file, and the flags for --help. */
void io_config_print(const struct io_config *config, FILE *out);
void io_config_sample(const struct io_config_spec *spec, FILE *out);
void io_config_help(const struct io_config_spec *spec, FILE *out);

/* The value parsers, for other users. INVALID. */
MUST_CHECK int io_parse_duration(struct slice text, int64_t *ret_us);
MUST_CHECK int io_parse_size(struct slice text, int64_t *ret_bytes);
/* "1.5s", "250ms", "1h30m"; "512MiB"; returns memory. */
const char *io_duration_text(int64_t us, char *memory, size_t cap);
const char *io_size_text(int64_t bytes, char *memory, size_t cap);

#endif

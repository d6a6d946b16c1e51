/* SPDX-License-Identifier: Apache-2.0 */
/* `kv doctor`: what is looked at on a host, and what was found.
 *
 * It reads configurations, asks the kernel and the quorum's nodes, and writes nothing but a file of
 * its own for the time of the disk test. A check says what it found and what mends it. One thread,
 * blocking. */
#ifndef QUORATE_KV_CLI_DOCTOR_H
#define QUORATE_KV_CLI_DOCTOR_H

#include <sys/types.h>

#include "kv/cli/cli.h"
#include "kv/cli/flat.h"

#define DOCTOR_AGENTS_MAX 8
#define DOCTOR_PATH_MAX 1024

enum doctor_verdict { DOCTOR_OK, DOCTOR_SKIP, DOCTOR_WARN, DOCTOR_FAIL };

/* One daemon's configuration. */
struct doctor_config {
    char path[DOCTOR_PATH_MAX];
    const char *program;                /* "quorated", "quorate-agent-postgresql" */
    const struct doctor_engine *engine; /* NULL: a quorum node */
    bool is_node;
    struct flat_file file;
};

struct doctor;
/* What differs from engine to engine; one table, in doctor_engines.c. */
struct doctor_engine {
    const char *section; /* of an agent's file */
    const char *program;
    const char *user;      /* of the server, unless the file says otherwise */
    const char *others[2]; /* units that would start the server beside the guard */
    void (*versions)(struct doctor *d, const struct doctor_config *c);
    void (*ports)(struct doctor *d, const struct doctor_config *c);
};
/* By the section that the file has; PostgreSQL's when it has none. */
const struct doctor_engine *doctor_engine_of(const struct flat_file *file);

struct doctor {
    struct cli *cli;
    const char *etc;  /* configurations */
    const char *root; /* in front of the directories of units */
    unsigned seconds; /* of the measurement of pauses */
    size_t configs_count;
    struct doctor_config configs[DOCTOR_AGENTS_MAX + 1];
    const char *check; /* that runs */
    unsigned counts[DOCTOR_FAIL + 1];
    json_t *findings; /* of objects {check, result, found, mend} */
};

/* mend: what to do; NULL with OK and SKIP. */
__attribute__((format(printf, 4, 5))) void doctor_say(struct doctor *d, enum doctor_verdict verdict,
                                                      const char *mend, const char *format, ...);
/* A key of the configuration, or `otherwise`. */
const char *doctor_text(const struct doctor_config *c, const char *key, const char *otherwise);
/* A key of the engine's section. */
const char *doctor_engine_text(const struct doctor_config *c, const char *key,
                               const char *otherwise);
/* Duration of a key in microseconds. */
int64_t doctor_us(const struct doctor_config *c, const char *key, const char *otherwise);
/* The user that the daemon runs as: the agent's key; whoever owns the node's directory, before its
 * first start `quorate`. False: there is none of that name. */
bool doctor_user(const struct doctor_config *c, uid_t *ret_uid, const char **ret_name);
bool doctor_has_agent(const struct doctor *d);
/* Output of a program, its first `cap` bytes; the exit status, -1 when it cannot be run. */
int doctor_run(char *const *argv, char *ret, size_t cap);
/* Beside this program, else by PATH. */
void doctor_program(const char *name, char *ret, size_t cap);

/* Says whether a port of this host is free, or held by a program that has one of the words (lines
 * of `ours`) on its command line. `what` it is for. */
void doctor_port(struct doctor *d, unsigned port, const char *what, const char *ours);
/* Of "host:port". */
unsigned doctor_port_of(const char *address, unsigned otherwise);

/* Checks that take a configuration are run for each. */
typedef void doctor_check_fn(struct doctor *d);
/* doctor_files.c */
void doctor_check_configuration(struct doctor *d);
void doctor_check_certificates(struct doctor *d);
void doctor_check_permissions(struct doctor *d);
void doctor_check_versions(struct doctor *d);
/* doctor_units.c */
void doctor_check_units(struct doctor *d);
void doctor_check_managers(struct doctor *d);
void doctor_check_memory(struct doctor *d);
/* doctor_host.c */
void doctor_check_cgroup(struct doctor *d);
void doctor_check_flush(struct doctor *d);
void doctor_check_space(struct doctor *d);
void doctor_check_pauses(struct doctor *d);
void doctor_check_watchdog(struct doctor *d);
/* doctor_net.c */
void doctor_check_ports(struct doctor *d);
void doctor_check_quorum(struct doctor *d);
void doctor_check_clocks(struct doctor *d);

/* The effective value of a key of a unit with its drop-ins, below root; false: no such unit, or it
 * does not say. */
bool doctor_unit_value(const struct doctor *d, const char *unit, const char *key, char *ret,
                       size_t cap);

#endif

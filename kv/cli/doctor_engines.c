/* SPDX-License-Identifier: Apache-2.0 */
/* kv doctor: what differs from engine to engine, as one table: the section of an agent's file, its
 * program and user, the version of the server, and the ports that it takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kv/cli/doctor.h"

#define OUTPUT_BYTES 4096
#define PG_MIN 13
#define PG_MAX 16
#define MARIADB_MAJOR 10 /* the one that the agent knows */
#define MARIADB_MINOR 11
#define MONGODB_MIN 402 /* 4.2; 100 * major + minor */
#define MONGODB_MAX 800
#define GALERA_GROUP_PORT 4567

/* --- versions --- */

/* What `program --version` says behind `mark`; false: it cannot be run, or says something else. */
static bool read_version(const char *program, const char *mark, unsigned *ret_major,
                         unsigned *ret_minor)
{
    char path[DOCTOR_PATH_MAX];
    char output[OUTPUT_BYTES];
    char version[] = "--version";
    char *argv[] = {path, version, NULL};
    (void)snprintf(path, sizeof(path), "%s", program);
    bool is_there = doctor_run(argv, output, sizeof(output)) == 0;
    const char *number = is_there ? strstr(output, mark) : NULL;
    char *end = NULL;
    if (number == NULL) {
        return false;
    }
    *ret_major = (unsigned)strtoul(number + strlen(mark), &end, 10);
    *ret_minor = *end == '.' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
    return *ret_major > 0;
}

/* Major version of a directory; 0: there is no database. */
static unsigned directory_version(const struct doctor_config *c)
{
    char path[DOCTOR_PATH_MAX];
    char text[16] = "";
    (void)snprintf(path, sizeof(path), "%s/PG_VERSION", doctor_engine_text(c, "data_dir", ""));
    FILE *in = fopen(path, "re");
    if (in != NULL) {
        text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
        (void)fclose(in);
    }
    return (unsigned)strtoul(text, NULL, 10);
}

static void check_postgresql(struct doctor *d, const struct doctor_config *c)
{
    char program[DOCTOR_PATH_MAX];
    unsigned major = 0;
    unsigned minor = 0;
    unsigned have = directory_version(c);
    (void)snprintf(program, sizeof(program), "%s/postgres",
                   doctor_engine_text(c, "bin_dir", "/usr/lib/postgresql/15/bin"));
    if (!read_version(program, "(PostgreSQL) ", &major, &minor)) {
        doctor_say(d, DOCTOR_FAIL, "install postgresql-15, or set postgresql.bin_dir",
                   "no program %s", program);
    } else if (major < PG_MIN || major > PG_MAX) {
        doctor_say(d, DOCTOR_FAIL, "set postgresql.bin_dir to one of these",
                   "%s is version %u; known are %d to %d", program, major, PG_MIN, PG_MAX);
    } else if (have != 0 && have != major) {
        doctor_say(d, DOCTOR_FAIL, "set postgresql.bin_dir to the programs of that version",
                   "the database in %s is of version %u, and %s of %u",
                   doctor_engine_text(c, "data_dir", ""), have, program, major);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "PostgreSQL %u", major);
    }
}

static void check_provider(struct doctor *d, const struct doctor_config *c)
{
    const char *file = doctor_engine_text(c, "provider", "/usr/lib/galera/libgalera_smm.so");
    if (access(file, R_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL, "install galera-4, or set galera.provider",
                   "no Galera library %s", file);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "%s", file);
    }
}

/* What moves the data of a member that has none. */
static void check_transfer(struct doctor *d, const struct doctor_config *c)
{
    char program[DOCTOR_PATH_MAX];
    bool is_rsync = strcmp(doctor_engine_text(c, "sst_method", "mariabackup"), "rsync") == 0;
    (void)snprintf(program, sizeof(program), "%s/%s",
                   doctor_engine_text(c, "tools_dir", "/usr/bin"),
                   is_rsync ? "rsync" : "mariabackup");
    if (access(program, X_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL,
                   is_rsync ? "install rsync and stunnel4" : "install mariadb-backup and socat",
                   "no program %s, which galera.sst_method wants", program);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "%s", program);
    }
}

static void check_galera(struct doctor *d, const struct doctor_config *c)
{
    const char *program = doctor_engine_text(c, "server", "/usr/sbin/mariadbd");
    unsigned major = 0;
    unsigned minor = 0;
    if (!read_version(program, "Ver ", &major, &minor)) {
        doctor_say(d, DOCTOR_FAIL, "install mariadb-server, or set galera.server", "no program %s",
                   program);
    } else if (major != MARIADB_MAJOR || minor != MARIADB_MINOR) {
        doctor_say(d, DOCTOR_WARN, "set galera.server to a mariadbd 10.11",
                   "%s is version %u.%u; 10.11 is the one that was tried", program, major, minor);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "MariaDB %u.%u", major, minor);
    }
    check_provider(d, c);
    check_transfer(d, c);
}

static void check_mongodb(struct doctor *d, const struct doctor_config *c)
{
    const char *program = doctor_engine_text(c, "mongod", "/usr/bin/mongod");
    unsigned major = 0;
    unsigned minor = 0;
    bool is_there = read_version(program, "db version v", &major, &minor);
    unsigned number = 100 * major + minor;
    if (!is_there) {
        doctor_say(d, DOCTOR_FAIL, "install mongodb-org-server, or set mongodb.mongod",
                   "no program %s", program);
    } else if (number < MONGODB_MIN || number > MONGODB_MAX) {
        doctor_say(d, DOCTOR_FAIL, "set mongodb.mongod to one of these",
                   "%s is version %u.%u; known are 4.2 to 8.0", program, major, minor);
    } else {
        doctor_say(d, DOCTOR_OK, NULL, "MongoDB %u.%u", major, minor);
    }
}

/* --- ports --- */

static unsigned number_of(const struct doctor_config *c, const char *key, unsigned otherwise)
{
    unsigned number = (unsigned)strtoul(doctor_engine_text(c, key, "0"), NULL, 10);
    return number == 0 ? otherwise : number;
}

static void ports_postgresql(struct doctor *d, const struct doctor_config *c)
{
    bool is_adopted = strcmp(doctor_text(c, "cluster.adopt", "no"), "running") == 0;
    /* One that the guard has started says so on its command line. */
    doctor_port(d, number_of(c, "port", 5432), "database",
                is_adopted ? "postgres" : "quorate.member=");
}

/* Group communication, incremental transfers, state transfers: only while one of them runs. */
static void ports_galera(struct doctor *d, const struct doctor_config *c)
{
    char key[128];
    (void)snprintf(key, sizeof(key), "members.%.63s", doctor_text(c, "member", ""));
    unsigned group = doctor_port_of(doctor_engine_text(c, key, ""), GALERA_GROUP_PORT);
    doctor_port(d, number_of(c, "port", 3306), "database", "mariadbd");
    doctor_port(d, group, "group communication", "mariadbd");
    doctor_port(d, number_of(c, "ist_port", group + 1), "incremental transfers", "mariadbd");
    doctor_port(d, number_of(c, "sst_port", 4444), "state transfers",
                "socat\nrsync\nstunnel\nwsrep_sst");
}

static void ports_mongodb(struct doctor *d, const struct doctor_config *c)
{
    char key[128];
    (void)snprintf(key, sizeof(key), "members.%.63s", doctor_text(c, "member", ""));
    unsigned port = doctor_port_of(doctor_engine_text(c, key, ""), 27017);
    doctor_port(d, number_of(c, "port", port), "database", "mongod");
}

/* --- the table --- */

static const struct doctor_engine engines[] = {
    {.section = "postgresql",
     .program = "quorate-agent-postgresql",
     .user = "postgres",
     .others = {"postgresql.service", "patroni.service"},
     .versions = check_postgresql,
     .ports = ports_postgresql},
    {.section = "galera",
     .program = "quorate-agent-galera",
     .user = "mysql",
     .others = {"mariadb.service"},
     .versions = check_galera,
     .ports = ports_galera},
    {.section = "mongodb",
     .program = "quorate-agent-mongodb",
     .user = "mongodb",
     .others = {"mongod.service"},
     .versions = check_mongodb,
     .ports = ports_mongodb},
};

const struct doctor_engine *doctor_engine_of(const struct flat_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        for (size_t k = 0; k < BASE_COUNT_OF(engines); k++) {
            size_t len = strlen(engines[k].section);
            const char *path = file->leaves[i].path;
            if (strncmp(path, engines[k].section, len) == 0 && path[len] == '.') {
                return &engines[k];
            }
        }
    }
    return &engines[0];
}

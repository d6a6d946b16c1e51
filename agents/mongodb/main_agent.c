/* SPDX-License-Identifier: Apache-2.0 */
/* quorate-agent-mongodb: what its start has of its own (agents/shell/agent_main.h); --print-roles,
 * the roles and users that it needs, ready to paste; --print-conf, what mongod is started with. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "agents/mongodb/conf.h"
#include "agents/mongodb/dir.h"
#include "agents/mongodb/engine.h"
#include "agents/mongodb/roles.h"
#include "agents/shell/agent_main.h"

static struct mdb_settings settings;

static int read_keys(const struct io_config *config, struct agent_settings *common,
                     struct io_why *why)
{
    return mdb_engine_settings(config, common, &settings, why);
}

static int check_host(const struct io_config *config, const struct agent_settings *common,
                      struct io_why *why)
{
    return mdb_engine_check_host(config, common, &settings, why);
}

static void command(struct agent_start *start)
{
    static char option[] = "--config";
    start->command[0] = settings.mongod.text;
    start->command[1] = option;
    start->command[2] = settings.conf.text;
}

static int check_data(struct agent_start *start, struct io_why *why)
{
    struct mdb_look look;
    if (settings.is_watched) {
        return 0;
    }
    mdb_dir_look(&settings, &look);
    if (!start->has_guard && look.is_held) {
        return agent_refuse_running(start, why);
    }
    bool is_ours = agent_has_state(start->common->state_dir) || mdb_dir_is_empty(&settings);
    return is_ours ? 0 : agent_check_adopts_data(start, why);
}

/* --- what is printed --- */

static void plan(const struct agent_start *start)
{
    struct mdb_look look;
    mdb_dir_look(&settings, &look);
    if (settings.is_watched) {
        (void)printf("mongod: watched at port %u, %s\n", settings.port,
                     look.is_held ? "runs" : "not found by its files");
        return;
    }
    agent_print_start(start);
    (void)printf("data directory: %s\n",
                 look.has_data ? "holds data" : "empty: filled by an initial sync");
}

/* As MongoDB writes it: the last part first (RFC 2253). "": there is no certificate to look at. */
static void read_subject(const char *path, char *ret, size_t cap)
{
    FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
    X509 *cert = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    BIO *out = cert == NULL ? NULL : BIO_new(BIO_s_mem());
    int len = 0;
    if (out != NULL &&
        X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_read(out, ret, (int)cap - 1);
    }
    ret[len > 0 ? len : 0] = '\0';
    (void)BIO_free(out);
    X509_free(cert);
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void put_roles(const struct agent_settings *common, struct buf *out)
{
    char subject[256];
    read_subject(common->cert_file, subject, sizeof(subject));
    mdb_roles_put(&settings, subject, out);
}

static void put_conf(const struct agent_settings *common, struct buf *out)
{
    (void)common;
    mdb_conf_put(&settings, out);
}

#define ALL_KEYS(X) AGENT_KEYS(X, "mongodb") MDB_KEYS(X)
static const struct io_config_key keys[] = {ALL_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == MDB_KEY_COUNT, "numbers and rows of keys must agree");

static const struct agent_program program = {
    .spec = {.program = "quorate-agent-mongodb",
             .summary = "Agent of one MongoDB member: reports health and carries out orders",
             .words =
                 "  --dry-run         print what would be started\n"
                 "  --print-roles     print the roles and users that it needs, for mongosh\n"
                 "  --print-conf      print the configuration file that mongod is started with\n",
             .keys = keys,
             .keys_count = MDB_KEY_COUNT},
    .server = "a mongod",
    .unit = "mongod",
    .filler = "an initial sync",
    .yes = "for stopped data",
    .instead = ", or say 'mongodb.adopt: watch'",
    .log = "mongod.log",
    .makes_data_dir = true,
    .prints = {{"--print-roles", put_roles}, {"--print-conf", put_conf}},
    .read = read_keys,
    .check_host = check_host,
    .command = command,
    .check_data = check_data,
    .plan = plan,
};

int main(int argc, char **argv)
{
    struct mdb_engine engine = {.settings = &settings};
    int rc = agent_main(&program, mdb_engine_port(&engine), argc, argv);
    explicit_bzero(&settings, sizeof(settings));
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of `kv setup`: read, checked, asked for. */
#include "kv/cli/setup.h"

#include <stdlib.h>
#include <string.h>

#include "base/name.h"

static const struct io_config_key keys[] = {SETUP_KEYS(IO_CONFIG_ROW)};

const struct io_config_spec setup_spec = {
    .program = "kv setup",
    .summary = "Plan of a cluster, from which the files of each host are made",
    .keys = keys,
    .keys_count = SETUP_KEY_COUNT,
};

static struct setup_host *host_of(struct setup_plan *plan, const struct base_name *name)
{
    for (size_t i = 0; i < plan->hosts_count; i++) {
        if (base_name_equal(&plan->hosts[i].name, name)) {
            return &plan->hosts[i];
        }
    }
    return NULL;
}

static bool is_address(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:");
    return len > 0 && text[len] == '\0' && len < 254 && text[0] != '-';
}

static int add_host(struct setup_plan *plan, size_t key, const char *item, struct io_why *why)
{
    struct base_name name;
    const char *equals = strchr(item, '=');
    if (equals == NULL || base_name_from(slice_from(item, (size_t)(equals - item)), &name) != 0 ||
        !is_address(equals + 1)) {
        io_config_why(plan->config, key, why, "'%s'; allowed: a name of a-z 0-9 _ - and an address",
                      item);
        return BASE_E_INVALID;
    }
    if (host_of(plan, &name) != NULL || plan->hosts_count == SETUP_HOSTS_MAX) {
        io_config_why(plan->config, key, why, "'%s': %s", name.text,
                      host_of(plan, &name) != NULL ? "named twice" : "more hosts than 23");
        return BASE_E_INVALID;
    }
    struct setup_host *host = &plan->hosts[plan->hosts_count++];
    *host = (struct setup_host){.name = name,
                                .has_node = key != SETUP_KEY_MEMBERS_ONLY,
                                .has_member = key != SETUP_KEY_QUORUM_ONLY,
                                .is_arbiter = key == SETUP_KEY_ARBITERS};
    (void)snprintf(host->address, sizeof(host->address), "%s", equals + 1);
    plan->nodes_count += host->has_node ? 1 : 0;
    plan->members_count += host->has_member ? 1 : 0;
    plan->arbiters_count += host->is_arbiter ? 1 : 0;
    return 0;
}

static int read_hosts(struct setup_plan *plan, struct io_why *why)
{
    static const size_t maps[] = {SETUP_KEY_HOSTS, SETUP_KEY_QUORUM_ONLY, SETUP_KEY_MEMBERS_ONLY,
                                  SETUP_KEY_ARBITERS};
    for (size_t i = 0; i < BASE_COUNT_OF(maps); i++) {
        size_t count = 0;
        const char *const *list = io_config_list(plan->config, maps[i], &count);
        for (size_t k = 0; k < count; k++) {
            int rc = add_host(plan, maps[i], list[k], why);
            if (rc != 0) {
                return rc;
            }
        }
    }
    if (plan->nodes_count == 0 || plan->nodes_count > SETUP_NODES_MAX || plan->members_count == 0 ||
        plan->members_count > 16) {
        io_why_set(why,
                   "%zu quorum nodes and %zu databases; allowed: 1 to %d and 1 to 16 (keys hosts, "
                   "quorum_only, members_only)",
                   plan->nodes_count, plan->members_count, SETUP_NODES_MAX);
        return BASE_E_INVALID;
    }
    return 0;
}

/* The layouts that the quorum's arbiter would refuse later on (docs/mongodb.md). */
static int check_arbiters(const struct setup_plan *plan, struct io_why *why)
{
    size_t data = plan->members_count - plan->arbiters_count;
    if (plan->arbiters_count == 0) {
        return 0;
    }
    if (!plan->engine->has_key) {
        io_config_why(plan->config, SETUP_KEY_ARBITERS, why,
                      "only a MongoDB replica set has one (engine: mongodb); hosts that vote in "
                      "the quorum alone are quorum_only");
        return BASE_E_INVALID;
    }
    if (plan->arbiters_count > 1 || data % 2 != 0) {
        io_config_why(plan->config, SETUP_KEY_ARBITERS, why,
                      "%zu beside %zu members with data; allowed: one, beside 2, 4 or 6 (an odd "
                      "number of voters)",
                      plan->arbiters_count, data);
        return BASE_E_INVALID;
    }
    return 0;
}

/* What stands in files that others quote. */
static int check_texts(const struct setup_plan *plan, struct io_why *why)
{
    static const size_t paths[] = {SETUP_KEY_BIN_DIR, SETUP_KEY_ETC, SETUP_KEY_STATE,
                                   SETUP_KEY_RUN};
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        const char *text = io_config_text(plan->config, paths[i]);
        if (text[0] != '/' || strpbrk(text, "\"\\\n ") != NULL || strlen(text) > 200) {
            io_config_why(plan->config, paths[i], why, "'%s'; allowed: an absolute path", text);
            return BASE_E_INVALID;
        }
    }
    size_t count = 0;
    const char *const *list = io_config_list(plan->config, SETUP_KEY_CLIENTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (list[i][strspn(list[i], "0123456789abcdefABCDEF.:/")] != '\0' ||
            strchr(list[i], '/') == NULL) {
            io_config_why(plan->config, SETUP_KEY_CLIENTS, why,
                          "'%s'; allowed: a network as 10.0.0.0/24", list[i]);
            return BASE_E_INVALID;
        }
    }
    return 0;
}

static void find_engine(struct setup_plan *plan)
{
    const char *name = io_config_text(plan->config, SETUP_KEY_ENGINE);
    const char *user = io_config_text(plan->config, SETUP_KEY_USER);
    int port = (int)io_config_int(plan->config, SETUP_KEY_PORT);
    plan->engine = &setup_engines[0];
    for (size_t i = 0; i < setup_engines_count; i++) {
        plan->engine = strcmp(setup_engines[i].name, name) == 0 ? &setup_engines[i] : plan->engine;
    }
    plan->user = user[0] == '\0' ? plan->engine->user : user;
    plan->port = port == 0 ? plan->engine->port : port;
    bool is_first = plan->engine == &setup_engines[0];
    (void)snprintf(plan->key_file, sizeof(plan->key_file), "%.150s/%s-%s.key",
                   io_config_text(plan->config, SETUP_KEY_ETC), plan->engine->name,
                   io_config_text(plan->config, SETUP_KEY_CLUSTER));
    (void)snprintf(plan->passwords, sizeof(plan->passwords), "%.150s/passwords%s%s",
                   io_config_text(plan->config, SETUP_KEY_ETC), is_first ? "" : "-",
                   is_first ? "" : io_config_text(plan->config, SETUP_KEY_CLUSTER));
}

/* Beside Debian's own clusters of the same version. */
static void find_data_dir(struct setup_plan *plan)
{
    const char *set = io_config_text(plan->config, SETUP_KEY_DATA_DIR);
    const char *version = strstr(io_config_text(plan->config, SETUP_KEY_BIN_DIR), "/postgresql/");
    size_t digits = version == NULL ? 0 : strspn(version + 12, "0123456789");
    if (set[0] != '\0') {
        (void)snprintf(plan->data_dir, sizeof(plan->data_dir), "%s", set);
    } else if (plan->engine->data_root != NULL) {
        (void)snprintf(plan->data_dir, sizeof(plan->data_dir), "%s%s", plan->engine->data_root,
                       io_config_text(plan->config, SETUP_KEY_CLUSTER));
    } else {
        (void)snprintf(plan->data_dir, sizeof(plan->data_dir), "/var/lib/postgresql/%.*s/%s",
                       digits == 0 ? 2 : (int)digits, digits == 0 ? "15" : version + 12,
                       io_config_text(plan->config, SETUP_KEY_CLUSTER));
    }
}

int setup_plan_read(const struct io_config *config, struct setup_plan *ret, struct io_why *why)
{
    struct setup_plan *plan = ret;
    *plan = (struct setup_plan){.config = config};
    find_engine(plan);
    find_data_dir(plan);
    if (plan->data_dir[0] != '/' || strpbrk(plan->data_dir, "\"\\\n ") != NULL) {
        io_config_why(config, SETUP_KEY_DATA_DIR, why, "allowed: an absolute path");
        return BASE_E_INVALID;
    }
    int rc = read_hosts(plan, why);
    rc = rc != 0 ? rc : check_arbiters(plan, why);
    return rc != 0 ? rc : check_texts(plan, why);
}

const char *setup_plan_advice(const struct setup_plan *plan)
{
    if (plan->nodes_count == 1) {
        return "one quorum node is not highly available: without it nobody can be made primary";
    }
    if (plan->nodes_count % 2 == 0) {
        return "an even number of quorum nodes stands no more losses than one fewer: add one "
               "(quorum_only), a small host will do";
    }
    if (plan->engine->has_key && (plan->members_count & 1) == 0) {
        return "an even number of members: one of them stays without a vote until there is one "
               "more";
    }
    if (plan->members_count == 1) {
        return "one database has nobody to fail over to";
    }
    return NULL;
}

/* --- questions --- */

struct question {
    enum setup_key key;
    const char *text;
    const char *otherwise; /* an empty answer */
    const char *engine;    /* which alone is asked; NULL: all */
};

int setup_ask(FILE *in, FILE *out, char **ret_flags, size_t cap, size_t *ret_count)
{
    static const struct question questions[] = {
        {SETUP_KEY_ENGINE, "Engine: postgresql, galera or mongodb", "postgresql", NULL},
        {SETUP_KEY_CLUSTER, "Name of the cluster", "pg-main", NULL},
        {SETUP_KEY_HOSTS, "Hosts with a quorum node and a database (a=10.0.0.1,b=10.0.0.2,...)", "",
         NULL},
        {SETUP_KEY_QUORUM_ONLY, "Hosts that only vote in the quorum (c=10.0.0.3), none", "", NULL},
        {SETUP_KEY_ARBITERS, "Host with a quorum node and the set's arbiter (c=10.0.0.3), none", "",
         "mongodb"},
        {SETUP_KEY_CLIENTS, "Networks that applications come from (10.0.0.0/24)", "", "postgresql"},
        {SETUP_KEY_SYNC, "Synchronous replication, on or off", "on", "postgresql"},
    };
    char line[2048];
    char engine[32] = "";
    size_t count = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(questions) && i < cap; i++) {
        const struct question *q = &questions[i];
        if (q->engine != NULL && strcmp(q->engine, engine) != 0) {
            continue;
        }
        (void)fprintf(out, "%s%s%s%s: ", q->text, q->otherwise[0] == '\0' ? "" : " [", q->otherwise,
                      q->otherwise[0] == '\0' ? "" : "]");
        (void)fflush(out);
        if (fgets(line, sizeof(line), in) == NULL) {
            break;
        }
        line[strcspn(line, "\r\n")] = '\0';
        const char *value = line[0] == '\0' ? q->otherwise : line;
        if (q->key == SETUP_KEY_ENGINE) {
            (void)snprintf(engine, sizeof(engine), "%.31s", value);
        }
        if (value[0] != '\0' &&
            asprintf(&ret_flags[count], "--%s=%s", setup_spec.keys[q->key].name, value) > 0) {
            count++;
        }
    }
    *ret_count = count;
    return feof(in) != 0 && count == 0 ? BASE_E_CANCELED : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kv db restart, reload, reinit: orders to single members, done by their agents when they are due,
 * one member after the other. */
#include <stdio.h>
#include <string.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"
#include "proto/io/loop.h"

#define MEMBERS_MAX 32
#define QUIET_US (7 * BASE_US_PER_S) /* more than a member takes to see what waits */

/* Which members an order goes to. */
struct chosen {
    size_t count;
    uint64_t revision; /* of the record, before any of them was asked */
    char names[MEMBERS_MAX][BASE_NAME_MAX + 1];
};

static const struct chosen nobody;

struct order {
    const char *kind;
    const char *role; /* primary, replica or NULL */
    bool is_pending_only;
    int64_t at_wall_us;
};

static void add(struct chosen *chosen, const char *name)
{
    if (chosen->count < MEMBERS_MAX) {
        (void)snprintf(chosen->names[chosen->count++], sizeof(chosen->names[0]), "%s", name);
    }
}

static bool is_among(const struct chosen *chosen, const char *member)
{
    for (size_t i = 0; i < chosen->count; i++) {
        if (strcmp(chosen->names[i], member) == 0) {
            return true;
        }
    }
    return false;
}

/* Standbys first, the primary last. */
static void choose_by_role(const Quorate__V1__DatabaseCluster *c, const struct order *order,
                           const struct chosen *asked, struct chosen *chosen)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < c->n_members; i++) {
            const Quorate__V1__DatabaseMember *m = c->members[i];
            bool is_primary = strcmp(m->name, c->primary) == 0;
            bool is_wanted =
                order->role == NULL || (strcmp(order->role, "primary") == 0) == is_primary;
            if (is_primary == (pass == 1) && is_wanted && m->is_up &&
                (!order->is_pending_only || m->is_restart_pending) && !is_among(asked, m->name)) {
                add(chosen, m->name);
            }
        }
    }
}

static int choose(struct cli *cli, char **argv, const struct order *order,
                  const struct chosen *asked, struct chosen *chosen)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = db_fetch(cli, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    chosen->revision = answer->cluster->revision;
    for (char **name = argv + 2; *name != NULL; name++) {
        add(chosen, *name);
    }
    if (chosen->count == 0) {
        choose_by_role(answer->cluster, order, asked, chosen);
    }
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    if (chosen->count > 0) {
        return 0;
    }
    return order->is_pending_only
               ? 0
               : cli_fail(IO_EXIT_FALSE, "%s has no such member that is up", argv[1]);
}

/* No task of the chosen members is left. An order is answered when it is accepted, a moment before
 * it stands in the record. */
static bool is_done(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    const struct chosen *chosen = ctx;
    if (c->revision <= chosen->revision) {
        return false;
    }
    for (size_t i = 0; i < c->n_tasks; i++) {
        for (size_t k = 0; k < chosen->count; k++) {
            if (strcmp(c->tasks[i]->member, chosen->names[k]) == 0) {
                return false;
            }
        }
    }
    return strcmp(c->state, "no primary") != 0 && strcmp(c->state, "switchover") != 0;
}

static int wait_done(struct cli *cli, char *cluster, const struct chosen *chosen)
{
    return chosen->count == 0 ? 0 : db_wait(cli, cluster, is_done, chosen, false);
}

static int send_all(struct cli *cli, char *cluster, const struct order *order,
                    const struct chosen *chosen, bool is_waiting)
{
    int rc = 0;
    for (size_t i = 0; i < chosen->count && rc == 0; i++) {
        Quorate__V1__DatabaseTaskRequest request;
        char kind[16];
        char member[BASE_NAME_MAX + 1];
        quorate__v1__database_task_request__init(&request);
        (void)snprintf(kind, sizeof(kind), "%s", order->kind);
        (void)snprintf(member, sizeof(member), "%s", chosen->names[i]);
        request.cluster = cluster;
        request.member = member;
        request.kind = kind;
        request.pending_only = order->is_pending_only;
        request.at_wall_us = order->at_wall_us;
        rc = db_order(cli, "Task", &request.base, is_waiting && cli->output == CLI_JSON, NULL);
    }
    if (rc == 0 && chosen->count == 0) {
        if (cli->output != CLI_JSON) {
            (void)puts("no member waits for a restart any more");
        }
        return 0;
    }
    return rc;
}

/* --- those that wait for the primary ---
 * A parameter that is lowered must be so on the primary first; only then its standbys wait for a
 * restart of their own. */

static bool is_later(const Quorate__V1__DatabaseCluster *c)
{
    bool is_any = false;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        is_any = is_any || (m->is_up && !m->is_restart_pending && m->pending_restart[0] != '\0');
    }
    return is_any;
}

/* How long it has been quiet. */
struct quiet {
    const struct chosen *asked;
    int64_t *since_us; /* 0: it is not */
};

/* Somebody waits who has not been asked, or all is done and nobody will: standbys notice some
 * seconds after their primary was restarted that it is their turn. */
static bool is_settled(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    const struct quiet *quiet = ctx;
    bool is_later_one = false;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        if (!m->is_up || is_among(quiet->asked, m->name)) {
            continue; /* its answer may be older than its restart */
        }
        if (m->is_restart_pending) {
            return true;
        }
        is_later_one = is_later_one || m->pending_restart[0] != '\0';
    }
    if (is_later_one || !is_done(c, quiet->asked)) {
        *quiet->since_us = 0;
        return false;
    }
    bool is_all = quiet->asked->count >= c->n_members || !is_among(quiet->asked, c->primary);
    *quiet->since_us = *quiet->since_us == 0 ? io_now().us : *quiet->since_us;
    return is_all || io_now().us - *quiet->since_us >= QUIET_US;
}

static int say_later(struct cli *cli, char *cluster)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = db_fetch(cli, cluster, &answer);
    if (rc == 0) {
        if (is_later(answer->cluster) && cli->output != CLI_JSON) {
            (void)puts("some standbys come after the primary: run it again when kv db show says "
                       "that their restart is pending");
        }
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    }
    return rc;
}

/* Whoever comes to wait while others are restarted is asked, too: the primary may wait for it.
 * Nobody is asked twice. */
static int restart_pending(struct cli *cli, char **argv, const struct order *order, bool is_waiting)
{
    struct chosen asked = {0};
    int rc = 0;
    bool is_more = true;
    while (rc == 0 && is_more) {
        struct chosen chosen = {0};
        rc = choose(cli, argv, order, &asked, &chosen);
        rc = rc != 0 ? rc : send_all(cli, argv[1], order, &chosen, is_waiting);
        if (rc == 0 && !is_waiting) {
            return say_later(cli, argv[1]);
        }
        for (size_t i = 0; i < chosen.count; i++) {
            add(&asked, chosen.names[i]);
        }
        is_more = chosen.count > 0;
        int64_t since_us = 0;
        const struct quiet quiet = {&asked, &since_us};
        rc = rc != 0 ? rc : db_wait(cli, argv[1], is_settled, &quiet, is_more);
    }
    return rc;
}

static int need_cluster(int argc, const char *usage)
{
    return argc >= 2 ? 0 : cli_fail(IO_EXIT_USAGE, "usage: kv %s", usage);
}

int cmd_db_restart(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"role", true, NULL}, {"pending", false, NULL}, {"at", true, NULL}, {"wait", false, NULL}};
    struct chosen chosen = {0};
    struct order order = {.kind = "restart"};
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc
                 : need_cluster(argc, "db restart CLUSTER [MEMBER ...] [--role primary|replica] "
                                      "[--pending] [--at TIME] [--wait]");
    rc = rc != 0 ? rc : db_time("--at", options[2].value, &order.at_wall_us);
    order.role = options[0].value;
    order.is_pending_only = options[1].value != NULL;
    if (rc == 0 && order.role != NULL && strcmp(order.role, "primary") != 0 &&
        strcmp(order.role, "replica") != 0) {
        rc = cli_fail(IO_EXIT_USAGE, "--role: '%s'; allowed: primary replica", order.role);
    }
    if (rc == 0 && options[3].value != NULL && order.at_wall_us != 0) {
        rc = cli_fail(IO_EXIT_USAGE, "--wait is for a restart at once, not one with --at");
    }
    if (rc == 0 && order.is_pending_only && argc == 2 && order.at_wall_us == 0) {
        return restart_pending(ctx, argv, &order, options[3].value != NULL);
    }
    rc = rc != 0 ? rc : choose(ctx, argv, &order, &nobody, &chosen);
    rc = rc != 0 ? rc : send_all(ctx, argv[1], &order, &chosen, options[3].value != NULL);
    return rc != 0 || options[3].value == NULL ? rc : wait_done(ctx, argv[1], &chosen);
}

int cmd_db_reload(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"wait", false, NULL}};
    struct chosen chosen = {0};
    const struct order order = {.kind = "reload"};
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : need_cluster(argc, "db reload CLUSTER [MEMBER ...] [--wait]");
    rc = rc != 0 ? rc : choose(ctx, argv, &order, &nobody, &chosen);
    rc = rc != 0 ? rc : send_all(ctx, argv[1], &order, &chosen, options[0].value != NULL);
    return rc != 0 || options[0].value == NULL ? rc : wait_done(ctx, argv[1], &chosen);
}

int cmd_db_reinit(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"force", false, NULL}, {"wait", false, NULL}};
    struct chosen chosen = {0};
    const struct order order = {.kind = "reinit"};
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && argc != 3) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv db reinit CLUSTER MEMBER [--force] [--wait]");
    }
    rc = rc != 0 ? rc
                 : db_confirm(options[0].value != NULL, argv[2],
                              "The member's data directory is thrown away and copied anew");
    rc = rc != 0 ? rc : choose(ctx, argv, &order, &nobody, &chosen);
    rc = rc != 0 ? rc : send_all(ctx, argv[1], &order, &chosen, options[1].value != NULL);
    return rc != 0 || options[1].value == NULL ? rc : wait_done(ctx, argv[1], &chosen);
}

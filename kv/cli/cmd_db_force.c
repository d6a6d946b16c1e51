/* SPDX-License-Identifier: Apache-2.0 */
/* kv db force-reconfigure: a MongoDB replica set whose majority is lost for good goes on with those
 * who are alive. In two calls: the first one shows what is known and gives a token, the second one
 * does it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"

#define NAMES_MAX 16 /* members of a cluster */

static int read_token(const char *text, uint64_t *ret)
{
    uint64_t token = 0;
    if (text == NULL) {
        return 0;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || token > (UINT64_MAX - 9) / 10) {
            return cli_fail(IO_EXIT_USAGE, "'%s' is not a token; a call without one gives one",
                            text);
        }
        token = token * 10 + (uint64_t)(*at - '0');
    }
    *ret = token;
    return token == 0 ? cli_fail(IO_EXIT_USAGE, "0 is not a token") : 0;
}

static size_t split(char *text, char *ret_names[NAMES_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    char *at = text == NULL ? NULL : strtok_r(text, ",", &rest);
    for (; at != NULL && count < NAMES_MAX; at = strtok_r(NULL, ",", &rest)) {
        ret_names[count++] = at;
    }
    return count;
}

/* The evidence: everybody's last word. */
static int show_evidence(struct cli *cli, char *name)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = db_fetch(cli, name, &answer);
    if (rc != 0) {
        return rc;
    }
    if (cli->output != CLI_JSON) {
        rc = db_print_cluster(cli, answer->cluster);
        (void)fflush(stdout);
    }
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    return rc;
}

int cmd_db_force_reconfigure(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"destroyed", true, NULL}, {"force", false, NULL}};
    char *names[NAMES_MAX];
    char destroyed[CELL_MAX] = "";
    Quorate__V1__DatabaseForceReconfigureRequest request;
    struct cli *cli = ctx;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_force_reconfigure_request__init(&request);
    if (rc == 0 && argc != 2 && argc != 3) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv db force-reconfigure CLUSTER [TOKEN [--force]] "
                                     "[--destroyed MEMBER|HOST:PORT,...]");
    }
    rc = rc != 0 ? rc : read_token(argv[2], &request.token); /* argv ends with NULL */
    if (rc != 0) {
        return rc;
    }
    if (options[0].value != NULL) {
        (void)snprintf(destroyed, sizeof(destroyed), "%s", options[0].value);
    }
    request.cluster = argv[1];
    request.destroyed = names;
    request.n_destroyed = split(options[0].value == NULL ? NULL : destroyed, names);
    rc = show_evidence(cli, argv[1]);
    if (rc == 0 && request.token != 0) {
        rc = db_confirm(options[1].value != NULL, argv[1],
                        "The replica set goes on without the members that are left out; what only "
                        "they had is lost, and they must be wiped before they come back");
    }
    rc = rc != 0 ? rc : db_order(cli, "ForceReconfigure", &request.base, false, NULL);
    if (rc == 0 && request.token == 0 && cli->output != CLI_JSON) {
        (void)printf("do it with: kv db force-reconfigure %s THAT_NUMBER\n", argv[1]);
    }
    return rc;
}

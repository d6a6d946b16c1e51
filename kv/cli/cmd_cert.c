/* SPDX-License-Identifier: Apache-2.0 */
/* kv cert ca, issue, show: certificates of the quorum, its agents and its users. Needs no
 * connection. */
#include <stdio.h>
#include <string.h>

#include "kv/cli/cert_make.h"
#include "kv/cli/cert_revoke.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"

static int print_info(const struct cli *cli, const struct cert_info *info)
{
    if (cli->output == CLI_JSON) {
        return cli_print_json(
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "certificate",
                      info->certificate_path, "key", info->key_path, "subject", info->subject,
                      "uri", info->uri, "hosts", info->hosts, "not_before", info->not_before,
                      "not_after", info->not_after, "issuer", info->issuer, "days_left",
                      (json_int_t)info->days_left, "serial", info->serial));
    }
    (void)printf("certificate  %s\n", info->certificate_path);
    if (info->key_path[0] != '\0') {
        (void)printf("key          %s\n", info->key_path);
    }
    (void)printf("subject      %s\n", info->subject);
    if (info->uri[0] != '\0') {
        (void)printf("identity     %s\n", info->uri);
    }
    if (info->hosts[0] != '\0') {
        (void)printf("hosts        %s\n", info->hosts);
    }
    (void)printf("valid        %s to %s (%ld days left)\n", info->not_before, info->not_after,
                 info->days_left);
    return IO_EXIT_OK;
}

static int parse_days(const char *text, int *ret)
{
    int64_t days = 0;
    if (text == NULL) {
        return 0;
    }
    int rc = cli_number("--days", text, &days);
    if (rc == 0 && (days == 0 || days < -3650 || days > 36500)) {
        rc = cli_fail(IO_EXIT_USAGE,
                      "--days: '%s'; allowed: 1 to 36500 (negative: expired already)", text);
    }
    if (rc == 0) {
        *ret = (int)days;
    }
    return rc;
}

int cmd_cert_ca(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"dir", true, NULL}, {"name", true, NULL}, {"days", true, NULL}};
    struct cert_info info;
    char error[CERT_ERROR_MAX];
    int days = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : parse_days(options[2].value, &days);
    if (rc == 0 && argc > 1) {
        rc = cli_fail(IO_EXIT_USAGE, "'%s' is too much; see kv cert ca --help", argv[1]);
    }
    if (rc != 0) {
        return rc;
    }
    const char *directory = options[0].value == NULL ? "." : options[0].value;
    const char *name = options[1].value == NULL ? "Quorate authority" : options[1].value;
    rc = cert_authority_make(directory, name, days, &info, error);
    return rc == 0 ? print_info(ctx, &info) : cli_fail(io_exit_of(rc), "%s", error);
}

/* "a,b" and repeated --host alike; the text is cut up in place. */
static int add_hosts(struct cert_spec *spec, char *list)
{
    char *rest = NULL;
    for (char *host = strtok_r(list, ",", &rest); host != NULL; host = strtok_r(NULL, ",", &rest)) {
        if (spec->hosts_count == CERT_HOSTS_MAX) {
            return cli_fail(IO_EXIT_USAGE, "more than %d hosts", CERT_HOSTS_MAX);
        }
        spec->hosts[spec->hosts_count++] = host;
    }
    return 0;
}

/* --host may stand more than once, which the option table does not do: take them out first. */
static int take_hosts(struct cert_spec *spec, int *argc, char **argv)
{
    int kept = 1;
    int rc = 0;
    for (int i = 1; i < *argc && rc == 0; i++) {
        if (strncmp(argv[i], "--host=", 7) == 0) {
            rc = add_hosts(spec, argv[i] + 7);
        } else if (strcmp(argv[i], "--host") == 0 && i + 1 < *argc) {
            rc = add_hosts(spec, argv[++i]);
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return rc;
}

int cmd_cert_issue(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"dir", true, NULL},
                                   {"role", true, NULL},
                                   {"name", true, NULL},
                                   {"cluster", true, NULL},
                                   {"days", true, NULL}};
    struct cert_spec spec = {0};
    struct cert_info info;
    char error[CERT_ERROR_MAX];
    int rc = take_hosts(&spec, &argc, argv);
    rc = rc != 0 ? rc : cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : parse_days(options[4].value, &spec.days);
    if (rc == 0 && argc > 1) {
        rc = cli_fail(IO_EXIT_USAGE, "'%s' is too much; see kv cert issue --help", argv[1]);
    }
    if (rc == 0 && (options[1].value == NULL || options[2].value == NULL)) {
        rc = cli_fail(IO_EXIT_USAGE, "cert issue needs --role and --name; see --help");
    }
    if (rc == 0 && !cert_role_from_text(options[1].value, &spec.role)) {
        rc = cli_fail(IO_EXIT_USAGE, "role '%s'; allowed: node, agent, member, admin, viewer",
                      options[1].value);
    }
    if (rc != 0) {
        return rc;
    }
    spec.directory = options[0].value == NULL ? "." : options[0].value;
    spec.name = options[2].value;
    spec.cluster = options[3].value;
    rc = cert_issue(&spec, &info, error);
    return rc == 0 ? print_info(ctx, &info) : cli_fail(io_exit_of(rc), "%s", error);
}

int cmd_cert_revoke(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"dir", true, NULL}};
    const struct cli *cli = ctx;
    struct cert_info info;
    char error[CERT_ERROR_MAX];
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv cert revoke [--dir DIR] FILE");
    }
    if (rc != 0) {
        return rc;
    }
    const char *directory = options[0].value == NULL ? "." : options[0].value;
    rc = cert_revoke(directory, argv[1], &info, error);
    if (rc == 0 && cli->output != CLI_JSON) {
        (void)printf(
            "%s/%s names it now; copy it to tls.revoked of every quorum node, agent and proxy\n",
            directory, CERT_LIST_NAME);
    }
    return rc == 0 ? print_info(ctx, &info) : cli_fail(io_exit_of(rc), "%s", error);
}

int cmd_cert_show(void *ctx, int argc, char **argv)
{
    struct cert_info info;
    char error[CERT_ERROR_MAX];
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv cert show FILE");
    }
    if (rc != 0) {
        return rc;
    }
    rc = cert_show(argv[1], &info, error);
    return rc == 0 ? print_info(ctx, &info) : cli_fail(io_exit_of(rc), "%s", error);
}

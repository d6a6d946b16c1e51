/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of `kv`, and the connections made from them. */
#include "kv/cli/cli_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kv.pb-c.h"

/* clang-format off */
#define CLI_KEYS(X) \
    X(ENDPOINTS, "endpoints", LIST, "127.0.0.1:2379", 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Quorum nodes to ask, in order: host:port, http:// or https:// in front") \
    X(CACERT, "cacert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Authority that signed the quorum's certificates (PEM); turns TLS on") \
    X(CERT, "cert", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Own certificate (PEM)") \
    X(KEY, "key", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, "Key of the own certificate (PEM)") \
    X(TOKEN, "token", TEXT, NULL, 0, 0, NULL, IO_CONFIG_SECRET, \
      "Authentication token sent with each call") \
    X(USER, "user", TEXT, NULL, 0, 0, NULL, IO_CONFIG_PLAIN, \
      "Name, or name:password, to authenticate with") \
    X(PASSWORD, "password", TEXT, NULL, 0, 0, NULL, IO_CONFIG_SECRET, "Password of --user") \
    X(DIAL_TIMEOUT, "dial-timeout", DURATION, "2s", 10000, INT64_C(3600000000), NULL, \
      IO_CONFIG_PLAIN, "How long a connection for a stream may take") \
    X(TIMEOUT, "timeout", DURATION, "5s", 10000, INT64_C(3600000000), NULL, IO_CONFIG_PLAIN, \
      "How long one call may take") \
    X(OUTPUT, "output", TEXT, "table", 0, 0, "simple|table|wide|json", \
      IO_CONFIG_PLAIN, \
      "How answers are shown")
/* clang-format on */

enum cli_key { CLI_KEYS(IO_CONFIG_ENUM) KEY_COUNT };
static const struct io_config_key cli_keys[] = {CLI_KEYS(IO_CONFIG_ROW)};

#define OPTIONS_MAX 64
#define FLAG_MAX 4096

/* Names that etcdctl's users know. */
static const char *const aliases[][2] = {{"command-timeout", "timeout"}, {"write-out", "output"}};

/* "--name" or "--name=..." of one of our keys; "-o" (or "-w") is the short form of --output. */
static const char *match_global(const char *argument, const char **ret_value)
{
    if (strcmp(argument, "-o") == 0 || strcmp(argument, "-w") == 0) {
        *ret_value = NULL;
        return "output";
    }
    if (strncmp(argument, "--", 2) != 0) {
        return NULL;
    }
    size_t len = strcspn(argument + 2, "=");
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strlen(cli_keys[i].name) == len && strncmp(cli_keys[i].name, argument + 2, len) == 0) {
            *ret_value = argument[2 + len] == '=' ? argument + 3 + len : NULL;
            return cli_keys[i].name;
        }
    }
    for (size_t i = 0; i < BASE_COUNT_OF(aliases); i++) {
        if (strlen(aliases[i][0]) == len && strncmp(aliases[i][0], argument + 2, len) == 0) {
            *ret_value = argument[2 + len] == '=' ? argument + 3 + len : NULL;
            return aliases[i][1];
        }
    }
    return NULL;
}

/* Moves our options out of argv into flags of the form --name=value (malloc'ed). */
static int take_globals(struct cli *cli, int *argc, char **argv, char **flags, int *ret_flags)
{
    int kept = 1;
    int taken = 1;
    bool is_literal = false;
    for (int i = 1; i < *argc; i++) {
        const char *value = NULL;
        is_literal |= strcmp(argv[i], "--") == 0;
        if (!is_literal && strcmp(argv[i], "--hex") == 0) {
            cli->is_hex = true;
            continue;
        }
        /* `cert issue --cert ...` does not exist, but `--key` of a command must come after "--". */
        const char *name = is_literal ? NULL : match_global(argv[i], &value);
        if (name == NULL) {
            argv[kept++] = argv[i];
            continue;
        }
        if (value == NULL && ++i >= *argc) {
            return cli_fail(IO_EXIT_USAGE, "option --%s needs a value", name);
        }
        char flag[FLAG_MAX];
        int len = snprintf(flag, sizeof(flag), "--%s=%s", name, value == NULL ? argv[i] : value);
        if (taken >= OPTIONS_MAX - 1 || len < 0 || (size_t)len >= sizeof(flag)) {
            return cli_fail(IO_EXIT_USAGE, "option --%s: too many options or too long", name);
        }
        flags[taken++] = strdup(flag);
        *ret_flags = taken; /* the caller frees them, after an error as well */
    }
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

static int read_settings(struct cli *cli, int flags_count, char **flags)
{
    static char file[FLAG_MAX]; /* the settings keep pointing to the specification */
    static struct io_config_spec spec;
    const char *home = getenv("HOME");
    if (home != NULL) {
        (void)snprintf(file, sizeof(file), "%s/.config/quorate/kv.yml", home);
    }
    spec = (struct io_config_spec){
        .program = "kv",
        .summary = "Command line of a Quorate cluster",
        .default_file = file[0] == '\0' ? NULL : file,
        .keys = cli_keys,
        .keys_count = KEY_COUNT,
    };
    struct io_why why = {""};
    int rc = io_config_read(&spec, flags_count, flags, &cli->config, &why);
    return rc == 0 ? 0 : cli_fail(IO_EXIT_USAGE, "%s", why.text);
}

int cli_open(struct cli *cli, int *argc, char **argv)
{
    char *flags[OPTIONS_MAX] = {argv[0]};
    int flags_count = 1;
    *cli = (struct cli){0};
    int rc = take_globals(cli, argc, argv, flags, &flags_count);
    if (rc == 0) {
        rc = read_settings(cli, flags_count, flags);
    }
    for (int i = 1; i < flags_count; i++) {
        free(flags[i]);
    }
    if (rc != 0) {
        return rc;
    }
    const char *output = io_config_text(cli->config, KEY_OUTPUT);
    cli->output = strcmp(output, "json") == 0   ? CLI_JSON
                  : strcmp(output, "wide") == 0 ? CLI_WIDE
                                                : CLI_TABLE;
    cli->is_output_set = io_config_is_set(cli->config, KEY_OUTPUT) && strcmp(output, "simple") != 0;
    cli->dial_ms = (uint32_t)(io_config_int(cli->config, KEY_DIAL_TIMEOUT) / 1000);
    cli->timeout_ms = (uint32_t)(io_config_int(cli->config, KEY_TIMEOUT) / 1000);
    return -1;
}

void cli_close(struct cli *cli)
{
    cli->client = io_grpc_client_free(cli->client);
    free(cli->token);
    cli->config = io_config_free(cli->config);
}

static const char *text_or_null(const struct cli *cli, size_t key)
{
    const char *text = io_config_text(cli->config, key);
    return text[0] == '\0' ? NULL : text;
}

int cli_client_of(const struct cli *cli, const char *endpoints, struct io_grpc_client **ret,
                  struct io_why *why)
{
    const struct io_grpc_client_options options = {
        .endpoints = endpoints,
        .ca_file = text_or_null(cli, KEY_CACERT),
        .cert_file = text_or_null(cli, KEY_CERT),
        .key_file = text_or_null(cli, KEY_KEY),
        .token = cli->token != NULL ? cli->token : text_or_null(cli, KEY_TOKEN),
    };
    bool has_tls = strstr(endpoints, "https://") != NULL || options.cert_file != NULL ||
                   options.key_file != NULL;
    if (has_tls && options.ca_file == NULL) {
        io_why_set(why,
                   "--cacert (QUORATE_CACERT) is not set: with TLS it names the authority that "
                   "signed the quorum's certificates");
        return BASE_E_INVALID;
    }
    return io_grpc_client_new(&options, ret, why);
}

void cli_add_endpoint(char endpoints[static CLI_ENDPOINTS_BYTES], const char *endpoint)
{
    size_t used = strlen(endpoints);
    (void)snprintf(endpoints + used, CLI_ENDPOINTS_BYTES - used, "%s%s", used == 0 ? "" : ",",
                   endpoint);
}

bool cli_has_file(const struct cli *cli, enum cli_file file)
{
    return text_or_null(cli, file == CLI_FILE_CACERT ? KEY_CACERT : KEY_CERT) != NULL;
}

bool cli_has_endpoints(const struct cli *cli)
{
    return io_config_is_set(cli->config, KEY_ENDPOINTS);
}

/* Name and password of --user and --password; false after an error was printed. */
static bool split_user(const struct cli *cli, char name[static FLAG_MAX],
                       char password[static FLAG_MAX])
{
    const char *user = io_config_text(cli->config, KEY_USER);
    const char *given = io_config_text(cli->config, KEY_PASSWORD);
    size_t len = given[0] != '\0' ? strlen(user) : strcspn(user, ":");
    (void)snprintf(name, FLAG_MAX, "%.*s", (int)len, user);
    (void)snprintf(password, FLAG_MAX, "%s", given);
    if (given[0] == '\0' && user[len] == ':') {
        (void)snprintf(password, FLAG_MAX, "%s", user + len + 1);
    } else if (given[0] == '\0' && isatty(STDIN_FILENO)) {
        (void)snprintf(password, FLAG_MAX, "%s", getpass("Password: "));
    } else if (given[0] == '\0') {
        (void)cli_fail(IO_EXIT_USAGE,
                       "--user %s: no password; give --user NAME:PASSWORD or "
                       "--password",
                       name);
        return false;
    }
    return true;
}

/* Exchanges --user for a token, once. False after an error was printed. */
static bool authenticate(struct cli *cli, const char *endpoints)
{
    char name[FLAG_MAX];
    char password[FLAG_MAX];
    Etcdserverpb__AuthenticateRequest request;
    ProtobufCMessage *answer = NULL;
    struct io_why why = {""};
    if (text_or_null(cli, KEY_USER) == NULL) {
        return true;
    }
    if (!split_user(cli, name, password)) {
        return false;
    }
    etcdserverpb__authenticate_request__init(&request);
    request.name = name;
    request.password = password;
    if (cli_client_of(cli, endpoints, &cli->client, &why) != 0) {
        (void)cli_fail(IO_EXIT_USAGE, "%s", why.text);
        return false;
    }
    int rc = cli_call(cli, "/etcdserverpb.Auth/Authenticate", &request.base,
                      &etcdserverpb__authenticate_response__descriptor, &answer);
    explicit_bzero(password, sizeof(password));
    cli->client = io_grpc_client_free(cli->client);
    if (rc != 0) {
        cli->client_error = rc;
        return false;
    }
    cli->token = strdup(((const Etcdserverpb__AuthenticateResponse *)(const void *)answer)->token);
    protobuf_c_message_free_unpacked(answer, NULL);
    return cli->token != NULL;
}

struct io_grpc_client *cli_new_client(struct cli *cli)
{
    char endpoints[CLI_ENDPOINTS_BYTES] = "";
    size_t count = 0;
    struct io_grpc_client *client = NULL;
    const char *const *list = io_config_list(cli->config, KEY_ENDPOINTS, &count);
    for (size_t i = 0; i < count; i++) {
        cli_add_endpoint(endpoints, list[i]);
    }
    struct io_why why = {""};
    cli->client_error = IO_EXIT_USAGE;
    if (cli->token == NULL && !authenticate(cli, endpoints)) {
        return NULL;
    }
    if (cli_client_of(cli, endpoints, &client, &why) != 0) {
        (void)cli_fail(IO_EXIT_USAGE, "%s", why.text);
        return NULL;
    }
    return client;
}

struct io_grpc_client *cli_client(struct cli *cli)
{
    if (cli->client == NULL) {
        cli->client = cli_new_client(cli);
    }
    return cli->client;
}

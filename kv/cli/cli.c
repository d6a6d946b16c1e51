/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, calls and output that the commands of `kv` share. */
#include "kv/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    X(TIMEOUT, "timeout", DURATION, "5s", 10000, INT64_C(3600000000), NULL, IO_CONFIG_PLAIN, \
      "How long one call may take") \
    X(OUTPUT, "output", TEXT, "table", 0, 0, "table|wide|json", IO_CONFIG_PLAIN, \
      "How answers are shown")
/* clang-format on */

enum cli_key { CLI_KEYS(IO_CONFIG_ENUM) KEY_COUNT };
static const struct io_config_key cli_keys[] = {CLI_KEYS(IO_CONFIG_ROW)};

#define OPTIONS_MAX 64
#define FLAG_MAX 4096

/* "--name" or "--name=..." of one of our keys; "-o" is the short form of --output. */
static const char *match_global(const char *argument, const char **ret_value)
{
    if (strcmp(argument, "-o") == 0) {
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
    return NULL;
}

/* Moves our options out of argv into flags of the form --name=value (malloc'ed). */
static int take_globals(int *argc, char **argv, char **flags, int *ret_flags)
{
    int kept = 1;
    int taken = 1;
    bool is_literal = false;
    for (int i = 1; i < *argc; i++) {
        const char *value = NULL;
        is_literal |= strcmp(argv[i], "--") == 0;
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
    }
    argv[kept] = NULL;
    *argc = kept;
    *ret_flags = taken;
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
    int rc = take_globals(argc, argv, flags, &flags_count);
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
    cli->is_output_set = io_config_is_set(cli->config, KEY_OUTPUT);
    cli->timeout_ms = (uint32_t)(io_config_int(cli->config, KEY_TIMEOUT) / 1000);
    return -1;
}

void cli_close(struct cli *cli)
{
    cli->client = io_grpc_client_free(cli->client);
    cli->config = io_config_free(cli->config);
}

static const char *text_or_null(const struct cli *cli, size_t key)
{
    const char *text = io_config_text(cli->config, key);
    return text[0] == '\0' ? NULL : text;
}

static int new_client(const struct cli *cli, const char *endpoints, struct io_grpc_client **ret,
                      struct io_why *why)
{
    const struct io_grpc_client_options options = {
        .endpoints = endpoints,
        .ca_file = text_or_null(cli, KEY_CACERT),
        .cert_file = text_or_null(cli, KEY_CERT),
        .key_file = text_or_null(cli, KEY_KEY),
        .token = text_or_null(cli, KEY_TOKEN),
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

static void add_endpoint(char endpoints[static FLAG_MAX], const char *endpoint)
{
    size_t used = strlen(endpoints);
    (void)snprintf(endpoints + used, FLAG_MAX - used, "%s%s", used == 0 ? "" : ",", endpoint);
}

struct io_grpc_client *cli_client(struct cli *cli)
{
    if (cli->client != NULL) {
        return cli->client;
    }
    char endpoints[FLAG_MAX] = "";
    size_t count = 0;
    const char *const *list = io_config_list(cli->config, KEY_ENDPOINTS, &count);
    for (size_t i = 0; i < count; i++) {
        add_endpoint(endpoints, list[i]);
    }
    struct io_why why = {""};
    if (new_client(cli, endpoints, &cli->client, &why) != 0) {
        (void)cli_fail(IO_EXIT_USAGE, "%s", why.text);
        return NULL;
    }
    return cli->client;
}

static int exit_of_status(enum io_grpc_status status)
{
    switch ((int)status) {
    case IO_GRPC_NOT_FOUND:
        return IO_EXIT_FALSE;
    case IO_GRPC_INVALID_ARGUMENT:
    case IO_GRPC_OUT_OF_RANGE:
        return IO_EXIT_USAGE;
    case IO_GRPC_PERMISSION_DENIED:
    case IO_GRPC_FAILED_PRECONDITION:
    case IO_GRPC_ALREADY_EXISTS:
    case IO_GRPC_ABORTED:
    case IO_GRPC_UNAUTHENTICATED:
    case IO_GRPC_RESOURCE_EXHAUSTED:
        return IO_EXIT_REFUSED;
    case IO_GRPC_UNAVAILABLE:
    case IO_GRPC_DEADLINE_EXCEEDED:
    case IO_GRPC_CANCELLED:
        return IO_EXIT_UNAVAILABLE;
    default:
        return IO_EXIT_INTERNAL;
    }
}

const char *cli_hint(const struct cli *cli, int code)
{
    if (code != BASE_E_UNREACHABLE && code != BASE_E_CLOSED && code != BASE_E_TIMEOUT) {
        return "";
    }
    if (!io_config_is_set(cli->config, KEY_ENDPOINTS)) {
        return "; name the quorum nodes with --endpoints or QUORATE_ENDPOINTS";
    }
    if (code == BASE_E_CLOSED && text_or_null(cli, KEY_CACERT) == NULL) {
        return "; it may want TLS: give --cacert, --cert and --key";
    }
    return "; is quorated running there?";
}

const char *cli_denied_hint(const struct cli *cli, enum io_grpc_status status)
{
    if (status != IO_GRPC_PERMISSION_DENIED) {
        return "";
    }
    return text_or_null(cli, KEY_CERT) == NULL
               ? "; no certificate was shown: give --cert and --key"
               : "; the certificate shown may not do this, and keys under /quorate/ are written "
                 "by the arbiter alone";
}

/* The node is named where it matters which one it was. */
static int refused(const struct cli *cli, const struct io_grpc_answer *answer)
{
    int code = exit_of_status(answer->status);
    if (code == IO_EXIT_UNAVAILABLE || code == IO_EXIT_INTERNAL) {
        return cli_fail(code, "%s (%s)", answer->message.text, answer->endpoint);
    }
    return cli_fail(code, "%s%s", answer->message.text, cli_denied_hint(cli, answer->status));
}

static int unpack_answer(const struct cli *cli, const struct io_grpc_answer *answer,
                         const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
    if (answer->status != IO_GRPC_OK) {
        return refused(cli, answer);
    }
    *ret = protobuf_c_message_unpack(type, NULL, answer->len, answer->data);
    return *ret != NULL ? 0
                        : cli_fail(IO_EXIT_INTERNAL, "%s sent an answer that cannot be read",
                                   answer->endpoint);
}

/* Calls that change something: never sent to a second node when the first may have done it. */
static bool is_write(const char *path)
{
    static const char *const paths[] = {"/etcdserverpb.KV/Put", "/etcdserverpb.KV/DeleteRange",
                                        "/etcdserverpb.KV/Txn", "/quorate.v1.Databases/Switchover",
                                        "/quorate.v1.Databases/Failover"};
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        if (strcmp(path, paths[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_elsewhere(const struct io_grpc_answer *answer)
{
    return answer->status == IO_GRPC_UNAVAILABLE &&
           (strncmp(answer->message.text, "this node does not lead", 23) == 0 ||
            strcmp(answer->message.text, "etcdserver: no leader") == 0);
}

/* Whether another node may be asked after this outcome: nothing was done, or nothing can be. */
static bool may_ask_next(const char *path, int rc, const struct io_grpc_answer *answer)
{
    if (rc != 0) {
        return rc == BASE_E_UNREACHABLE || rc == BASE_E_TLS || !is_write(path);
    }
    return is_elsewhere(answer) || (answer->status == IO_GRPC_UNAVAILABLE && !is_write(path));
}

/* Asks one endpoint after the other until one has an answer of its own. */
static int call_any(struct io_grpc_client *client, const char *path, struct slice request,
                    uint32_t timeout_ms, struct io_grpc_answer *ret, struct io_why *why)
{
    size_t count = io_grpc_client_endpoints(client);
    int rc = BASE_E_UNREACHABLE;
    bool has_answer = false;
    bool is_over = false;
    for (size_t i = 0; i < count && !is_over; i++) {
        struct io_grpc_answer answer = {0};
        io_grpc_client_pin(client, i);
        int this_rc = io_grpc_call(client, path, request, timeout_ms, &answer, why);
        is_over = !may_ask_next(path, this_rc, &answer);
        if (has_answer && (this_rc == 0 || is_over)) {
            io_grpc_answer_free(ret);
            has_answer = false;
        }
        if (this_rc == 0) {
            *ret = answer;
            has_answer = true;
        }
        rc = has_answer ? 0 : this_rc;
    }
    io_grpc_client_pin(client, SIZE_MAX);
    return rc;
}

/* Takes all nodes that the quorum names as endpoints, once: the leader may be one that was not
 * given. False when there is nothing new to try. */
static bool find_all_nodes(struct cli *cli)
{
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    char endpoints[FLAG_MAX] = "";
    struct io_grpc_client *client = NULL;
    if (cli->has_all_nodes || call_any(cli->client, "/etcdserverpb.Cluster/MemberList", SLICE_EMPTY,
                                       cli->timeout_ms, &answer, &why) != 0) {
        return false;
    }
    cli->has_all_nodes = true;
    Etcdserverpb__MemberListResponse *members =
        answer.status != IO_GRPC_OK
            ? NULL
            : etcdserverpb__member_list_response__unpack(NULL, answer.len, answer.data);
    for (size_t i = 0; members != NULL && i < members->n_members; i++) {
        if (members->members[i]->n_clienturls > 0) {
            add_endpoint(endpoints, members->members[i]->clienturls[0]);
        }
    }
    etcdserverpb__member_list_response__free_unpacked(members, NULL);
    io_grpc_answer_free(&answer);
    if (endpoints[0] == '\0' || new_client(cli, endpoints, &client, &why) != 0) {
        return false;
    }
    (void)io_grpc_client_free(cli->client);
    cli->client = client;
    return true;
}

static int unanswered(const struct cli *cli, const char *path, int rc, const struct io_why *why)
{
    size_t count = io_grpc_client_endpoints(cli->client);
    if (rc != BASE_E_UNREACHABLE && rc != BASE_E_TLS && is_write(path)) {
        return cli_fail(io_exit_of(rc), "%s; it may have been done: look before trying again",
                        why->text);
    }
    if (rc == BASE_E_UNREACHABLE && count > 1) {
        return cli_fail(io_exit_of(rc), "none of %zu endpoints can be reached; the last: %s", count,
                        why->text);
    }
    return cli_fail(io_exit_of(rc), "%s%s", why->text, cli_hint(cli, rc));
}

int cli_call(struct cli *cli, const char *path, const ProtobufCMessage *request,
             const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret)
{
    struct io_grpc_client *client = cli_client(cli);
    if (client == NULL) {
        return IO_EXIT_USAGE;
    }
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    (void)protobuf_c_message_pack(request, bytes);
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    struct slice packed = slice_from(bytes, len);
    int rc = call_any(client, path, packed, cli->timeout_ms, &answer, &why);
    if (rc == 0 && is_elsewhere(&answer) && find_all_nodes(cli)) {
        io_grpc_answer_free(&answer);
        answer = (struct io_grpc_answer){0};
        rc = call_any(cli->client, path, packed, cli->timeout_ms, &answer, &why);
    }
    free(bytes);
    if (rc != 0) {
        return unanswered(cli, path, rc, &why);
    }
    rc = unpack_answer(cli, &answer, descriptor, ret);
    io_grpc_answer_free(&answer);
    return rc;
}

int cli_fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("kv: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return code;
}

int cli_print_json(json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    (void)putchar('\n');
    json_decref(value);
    return IO_EXIT_OK;
}

static void encode_base64(const uint8_t *data, size_t len, char *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        group |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
        group |= i + 2 < len ? (uint32_t)data[i + 2] : 0;
        *ret++ = digits[group >> 18 & 63];
        *ret++ = digits[group >> 12 & 63];
        *ret++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
        *ret++ = i + 2 < len ? digits[group & 63] : '=';
    }
    *ret = '\0';
}

json_t *cli_json_bytes(const uint8_t *data, size_t len)
{
    json_t *text = json_stringn((const char *)data, len);
    if (text != NULL) {
        return text;
    }
    char *encoded = malloc((len + 2) / 3 * 4 + 1);
    if (encoded == NULL) {
        return json_null();
    }
    encode_base64(data, len, encoded);
    json_t *object = json_pack("{s:s}", "base64", encoded);
    free(encoded);
    return object;
}

static struct cli_option *find_option(const char *argument, struct cli_option *options,
                                      size_t count)
{
    size_t len = strcspn(argument, "=");
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == len && strncmp(options[i].name, argument, len) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* argv[*at] is an option: take it, and its value. */
static int take_option(int argc, char **argv, int *at, struct cli_option *options, size_t count)
{
    const char *argument = argv[*at] + 2;
    struct cli_option *option = find_option(argument, options, count);
    if (option == NULL) {
        return cli_fail(IO_EXIT_USAGE, "unknown option %s; see --help", argv[*at]);
    }
    const char *equals = strchr(argument, '=');
    if (!option->has_value) {
        option->value = "";
        return equals == NULL ? 0
                              : cli_fail(IO_EXIT_USAGE, "option --%s takes no value", option->name);
    }
    if (equals == NULL && *at + 1 >= argc) {
        return cli_fail(IO_EXIT_USAGE, "option --%s needs a value", option->name);
    }
    option->value = equals == NULL ? argv[++*at] : equals + 1;
    return 0;
}

/* "-x"; but "-" and "-5" are operands. */
static bool is_short_option(const char *argument)
{
    return argument[0] == '-' && ((argument[1] >= 'a' && argument[1] <= 'z') ||
                                  (argument[1] >= 'A' && argument[1] <= 'Z'));
}

int cli_options(int *argc, char **argv, struct cli_option *options, size_t count)
{
    int kept = 1;
    bool is_literal = false;
    for (int i = 1; i < *argc; i++) {
        if (!is_literal && strcmp(argv[i], "--") == 0) {
            is_literal = true;
        } else if (!is_literal && is_short_option(argv[i])) {
            return cli_fail(IO_EXIT_USAGE,
                            "unknown option %s; see --help; what begins with '-' and "
                            "is no option goes behind --",
                            argv[i]);
        } else if (is_literal || strncmp(argv[i], "--", 2) != 0) {
            argv[kept++] = argv[i];
        } else {
            int rc = take_option(*argc, argv, &i, options, count);
            if (rc != 0) {
                return rc;
            }
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

int cli_no_operands(int argc, char **argv, const char *command)
{
    return argc == 1 ? 0
                     : cli_fail(IO_EXIT_USAGE, "%s: '%s' is too much; see kv %s --help", command,
                                argv[1], command);
}

int cli_number(const char *what, const char *text, int64_t *ret)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        return cli_fail(IO_EXIT_USAGE, "%s: '%s' is not a number", what, text);
    }
    *ret = value;
    return 0;
}

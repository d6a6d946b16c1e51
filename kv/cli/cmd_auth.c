/* SPDX-License-Identifier: Apache-2.0 */
/* kv user, role and auth: who may do what. Passwords are asked for without echo, or read as a line
 * from standard input when that is no terminal; on the command line they stand only when the user
 * writes NAME:PASSWORD, as etcdctl's users know it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"

#define PASSWORD_BYTES 512
#define KEY_BYTES 1024

#define AUTH "/etcdserverpb.Auth/"

/* --- passwords --- */

/* A line without its end; false at the end of input or when it is too long. */
static bool read_line(char ret[static PASSWORD_BYTES])
{
    if (fgets(ret, PASSWORD_BYTES, stdin) == NULL) {
        return false;
    }
    size_t len = strcspn(ret, "\r\n");
    bool is_whole = ret[len] != '\0';
    ret[len] = '\0';
    return is_whole || feof(stdin) != 0;
}

static bool read_hidden(const char *prompt, char ret[static PASSWORD_BYTES])
{
    struct termios old;
    if (tcgetattr(STDIN_FILENO, &old) != 0) { /* no terminal: nothing to show */
        return read_line(ret);
    }
    struct termios hidden = old;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)fprintf(stderr, "%s", prompt);
    (void)fflush(stderr);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    bool is_read = read_line(ret);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
    (void)fprintf(stderr, "\n");
    return is_read;
}

/* Asks, twice on a terminal. An exit code after a message, or 0. */
static int ask_password(const char *name, char ret[static PASSWORD_BYTES])
{
    char prompt[160];
    char again[PASSWORD_BYTES];
    (void)snprintf(prompt, sizeof(prompt), "Password of %.100s: ", name);
    if (!read_hidden(prompt, ret)) {
        return cli_fail(IO_EXIT_USAGE, "no password was given, or it is longer than %d bytes",
                        PASSWORD_BYTES - 2);
    }
    if (isatty(STDIN_FILENO) == 0) {
        return 0;
    }
    bool is_read = read_hidden("The same again: ", again);
    bool is_same = is_read && strcmp(again, ret) == 0;
    explicit_bzero(again, sizeof(again));
    return is_same ? 0 : cli_fail(IO_EXIT_USAGE, "the two passwords differ; nothing was changed");
}

/* --- calls --- */

static const char *operand(int argc, char **argv, const char *usage)
{
    if (argc != 2) {
        (void)cli_fail(IO_EXIT_USAGE, "usage: kv %s", usage);
        return NULL;
    }
    return argv[1];
}

/* A call whose answer is a header alone; prints `format` with one or two words. */
static int change(struct cli *cli, const char *path, const ProtobufCMessage *request,
                  const ProtobufCMessageDescriptor *descriptor, const char *done)
{
    ProtobufCMessage *answer = NULL;
    int rc = cli_call(cli, path, request, descriptor, &answer);
    if (rc != 0) {
        return rc;
    }
    protobuf_c_message_free_unpacked(answer, NULL);
    if (cli->output == CLI_JSON && cli->is_output_set) {
        return cli_print_json(json_pack("{s:s}", "done", done));
    }
    (void)printf("%s\n", done);
    return IO_EXIT_OK;
}

static int print_names(const struct cli *cli, const char *what, char **names, size_t count)
{
    if (cli->output == CLI_JSON && cli->is_output_set) {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++) {
            (void)json_array_append_new(list, json_string(names[i]));
        }
        return cli_print_json(json_pack("{s:o}", what, list));
    }
    for (size_t i = 0; i < count; i++) {
        (void)printf("%s\n", names[i]);
    }
    return IO_EXIT_OK;
}

/* --- users --- */

/* Name and password of NAME[:PASSWORD]; asks for what is not there. */
static int name_and_password(char *given, char ret[static PASSWORD_BYTES])
{
    char *colon = strchr(given, ':');
    if (colon == NULL) {
        return ask_password(given, ret);
    }
    int len = snprintf(ret, PASSWORD_BYTES, "%s", colon + 1);
    explicit_bzero(colon + 1, strlen(colon + 1)); /* as far as ps is concerned */
    *colon = '\0';
    return len < PASSWORD_BYTES ? 0
                                : cli_fail(IO_EXIT_USAGE, "the password is longer than %d bytes",
                                           PASSWORD_BYTES - 1);
}

int cmd_user_add(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    char done[320];
    char password[PASSWORD_BYTES] = "";
    struct cli_option options[] = {{"no-password", false, NULL}};
    Authpb__UserAddOptions add = AUTHPB__USER_ADD_OPTIONS__INIT;
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && operand(argc, argv, "user add NAME[:PASSWORD] [--no-password]") == NULL) {
        rc = IO_EXIT_USAGE;
    }
    if (rc == 0 && options[0].value != NULL) {
        add.no_password = 1;
        request.options = &add;
    } else if (rc == 0) {
        rc = name_and_password(argv[1], password);
    }
    if (rc == 0) {
        request.name = argv[1];
        request.password = password;
        (void)snprintf(done, sizeof(done), "User %.256s created", argv[1]);
        rc = change(cli, AUTH "UserAdd", &request.base,
                    &etcdserverpb__auth_user_add_response__descriptor, done);
    }
    explicit_bzero(password, sizeof(password));
    return rc;
}

int cmd_user_passwd(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    char password[PASSWORD_BYTES] = "";
    Etcdserverpb__AuthUserChangePasswordRequest request;
    etcdserverpb__auth_user_change_password_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && operand(argc, argv, "user passwd NAME[:PASSWORD]") == NULL) {
        rc = IO_EXIT_USAGE;
    }
    rc = rc != 0 ? rc : name_and_password(argv[1], password);
    if (rc == 0) {
        request.name = argv[1];
        request.password = password;
        rc = change(cli, AUTH "UserChangePassword", &request.base,
                    &etcdserverpb__auth_user_change_password_response__descriptor,
                    "Password updated");
    }
    explicit_bzero(password, sizeof(password));
    return rc;
}

int cmd_user_delete(void *ctx, int argc, char **argv)
{
    char done[320];
    Etcdserverpb__AuthUserDeleteRequest request;
    etcdserverpb__auth_user_delete_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || operand(argc, argv, "user delete NAME") == NULL) {
        return IO_EXIT_USAGE;
    }
    request.name = argv[1];
    (void)snprintf(done, sizeof(done), "User %.256s deleted", argv[1]);
    return change(ctx, AUTH "UserDelete", &request.base,
                  &etcdserverpb__auth_user_delete_response__descriptor, done);
}

int cmd_user_list(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    ProtobufCMessage *answer = NULL;
    Etcdserverpb__AuthUserListRequest request;
    etcdserverpb__auth_user_list_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "user list");
    rc = rc != 0 ? rc
                 : cli_call(cli, AUTH "UserList", &request.base,
                            &etcdserverpb__auth_user_list_response__descriptor, &answer);
    if (rc == 0) {
        const Etcdserverpb__AuthUserListResponse *list =
            (const Etcdserverpb__AuthUserListResponse *)answer;
        rc = print_names(cli, "users", list->users, list->n_users);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

int cmd_user_get(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    ProtobufCMessage *answer = NULL;
    Etcdserverpb__AuthUserGetRequest request;
    etcdserverpb__auth_user_get_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || operand(argc, argv, "user get NAME") == NULL) {
        return IO_EXIT_USAGE;
    }
    request.name = argv[1];
    rc = cli_call(cli, AUTH "UserGet", &request.base,
                  &etcdserverpb__auth_user_get_response__descriptor, &answer);
    if (rc != 0) {
        return rc;
    }
    const Etcdserverpb__AuthUserGetResponse *user =
        (const Etcdserverpb__AuthUserGetResponse *)answer;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        rc = print_names(cli, "roles", user->roles, user->n_roles);
    } else {
        (void)printf("User: %s\nRoles:", argv[1]);
        for (size_t i = 0; i < user->n_roles; i++) {
            (void)printf(" %s", user->roles[i]);
        }
        (void)printf("\n");
    }
    protobuf_c_message_free_unpacked(answer, NULL);
    return rc;
}

int cmd_user_grant_role(void *ctx, int argc, char **argv)
{
    char done[640];
    Etcdserverpb__AuthUserGrantRoleRequest request;
    etcdserverpb__auth_user_grant_role_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || argc != 3) {
        return cli_fail(IO_EXIT_USAGE, "usage: kv user grant-role NAME ROLE");
    }
    request.user = argv[1];
    request.role = argv[2];
    (void)snprintf(done, sizeof(done), "Role %.256s is granted to user %.256s", argv[2], argv[1]);
    return change(ctx, AUTH "UserGrantRole", &request.base,
                  &etcdserverpb__auth_user_grant_role_response__descriptor, done);
}

int cmd_user_revoke_role(void *ctx, int argc, char **argv)
{
    char done[640];
    Etcdserverpb__AuthUserRevokeRoleRequest request;
    etcdserverpb__auth_user_revoke_role_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || argc != 3) {
        return cli_fail(IO_EXIT_USAGE, "usage: kv user revoke-role NAME ROLE");
    }
    request.name = argv[1];
    request.role = argv[2];
    (void)snprintf(done, sizeof(done), "Role %.256s is revoked from user %.256s", argv[2], argv[1]);
    return change(ctx, AUTH "UserRevokeRole", &request.base,
                  &etcdserverpb__auth_user_revoke_role_response__descriptor, done);
}

/* --- roles --- */

int cmd_role_add(void *ctx, int argc, char **argv)
{
    char done[320];
    Etcdserverpb__AuthRoleAddRequest request;
    etcdserverpb__auth_role_add_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || operand(argc, argv, "role add NAME") == NULL) {
        return IO_EXIT_USAGE;
    }
    request.name = argv[1];
    (void)snprintf(done, sizeof(done), "Role %.256s created", argv[1]);
    return change(ctx, AUTH "RoleAdd", &request.base,
                  &etcdserverpb__auth_role_add_response__descriptor, done);
}

int cmd_role_delete(void *ctx, int argc, char **argv)
{
    char done[320];
    Etcdserverpb__AuthRoleDeleteRequest request;
    etcdserverpb__auth_role_delete_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || operand(argc, argv, "role delete NAME") == NULL) {
        return IO_EXIT_USAGE;
    }
    request.role = argv[1];
    (void)snprintf(done, sizeof(done), "Role %.256s deleted", argv[1]);
    return change(ctx, AUTH "RoleDelete", &request.base,
                  &etcdserverpb__auth_role_delete_response__descriptor, done);
}

int cmd_role_list(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    ProtobufCMessage *answer = NULL;
    Etcdserverpb__AuthRoleListRequest request;
    etcdserverpb__auth_role_list_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "role list");
    rc = rc != 0 ? rc
                 : cli_call(cli, AUTH "RoleList", &request.base,
                            &etcdserverpb__auth_role_list_response__descriptor, &answer);
    if (rc == 0) {
        const Etcdserverpb__AuthRoleListResponse *list =
            (const Etcdserverpb__AuthRoleListResponse *)answer;
        rc = print_names(cli, "roles", list->roles, list->n_roles);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

static const char *type_name(Authpb__Permission__Type type)
{
    static const char *const names[] = {"read", "write", "readwrite"};
    return (unsigned)type < BASE_COUNT_OF(names) ? names[type] : "?";
}

/* A key within a line: what is not printable as \xNN. */
static void print_key(ProtobufCBinaryData key)
{
    for (size_t i = 0; i < key.len; i++) {
        bool is_plain = key.data[i] > 0x20 && key.data[i] < 0x7f && key.data[i] != '\\';
        (void)printf(is_plain ? "%c" : "\\x%02x", key.data[i]);
    }
}

static void print_permission(const Authpb__Permission *permission)
{
    (void)printf("  %-9s  ", type_name(permission->permtype));
    print_key(permission->key);
    if (permission->range_end.len == 1 && permission->range_end.data[0] == 0) {
        (void)printf(" and all behind it");
    } else if (permission->range_end.len > 0) {
        (void)printf(" up to ");
        print_key(permission->range_end);
    }
    (void)printf("\n");
}

int cmd_role_get(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    ProtobufCMessage *answer = NULL;
    json_t *list = NULL;
    Etcdserverpb__AuthRoleGetRequest request;
    etcdserverpb__auth_role_get_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc != 0 || operand(argc, argv, "role get NAME") == NULL) {
        return IO_EXIT_USAGE;
    }
    request.role = argv[1];
    rc = cli_call(cli, AUTH "RoleGet", &request.base,
                  &etcdserverpb__auth_role_get_response__descriptor, &answer);
    if (rc != 0) {
        return rc;
    }
    const Etcdserverpb__AuthRoleGetResponse *role =
        (const Etcdserverpb__AuthRoleGetResponse *)answer;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        list = json_array();
    } else {
        (void)printf("Role %s\n", argv[1]);
    }
    for (size_t i = 0; i < role->n_perm; i++) {
        const Authpb__Permission *p = role->perm[i];
        if (list != NULL) {
            (void)json_array_append_new(
                list, json_pack("{s:s, s:o, s:o}", "type", type_name(p->permtype), "key",
                                cli_json_bytes(p->key.data, p->key.len), "range_end",
                                cli_json_bytes(p->range_end.data, p->range_end.len)));
        } else {
            print_permission(p);
        }
    }
    protobuf_c_message_free_unpacked(answer, NULL);
    return list == NULL
               ? IO_EXIT_OK
               : cli_print_json(json_pack("{s:s, s:o}", "role", argv[1], "permissions", list));
}

/* Keys that a permission is about. */
struct keys {
    uint8_t key[KEY_BYTES];
    uint8_t end[KEY_BYTES];
    size_t key_len;
    size_t end_len;
};

/* The end of all keys that begin with `key`: the last byte that can grow grows. */
static void prefix_end(struct keys *keys)
{
    keys->end_len = keys->key_len;
    memcpy(keys->end, keys->key, keys->key_len);
    while (keys->end_len > 0 && keys->end[keys->end_len - 1] == 0xff) {
        keys->end_len--;
    }
    if (keys->end_len > 0) {
        keys->end[keys->end_len - 1]++;
        return;
    }
    keys->end[0] = 0;
    keys->end_len = 1;
    keys->key_len += keys->key_len == 0; /* all keys: from "\0" on */
}

static int keys_of(struct keys *keys, const char *key, const char *end, bool is_prefix,
                   bool is_from_key)
{
    size_t end_len = end == NULL ? 0 : strlen(end);
    memset(keys, 0, sizeof(*keys));
    keys->key_len = strlen(key);
    if (keys->key_len >= KEY_BYTES || end_len >= KEY_BYTES) {
        return cli_fail(IO_EXIT_USAGE, "a key has more than %d bytes", KEY_BYTES - 1);
    }
    if ((end != NULL) + is_prefix + is_from_key > 1) {
        return cli_fail(IO_EXIT_USAGE, "only one of RANGE_END, --prefix and --from-key");
    }
    memcpy(keys->key, key, keys->key_len);
    if (end != NULL) {
        memcpy(keys->end, end, end_len);
        keys->end_len = end_len;
    } else if (is_prefix) {
        prefix_end(keys);
    } else if (is_from_key) {
        keys->end_len = 1;
        keys->key_len += keys->key_len == 0;
    }
    return 0;
}

static bool type_of(const char *text, Authpb__Permission__Type *ret)
{
    if (strcmp(text, "read") == 0) {
        *ret = AUTHPB__PERMISSION__TYPE__READ;
    } else if (strcmp(text, "write") == 0) {
        *ret = AUTHPB__PERMISSION__TYPE__WRITE;
    } else if (strcmp(text, "readwrite") == 0) {
        *ret = AUTHPB__PERMISSION__TYPE__READWRITE;
    } else {
        return false;
    }
    return true;
}

int cmd_role_grant_permission(void *ctx, int argc, char **argv)
{
    char done[320];
    struct keys keys;
    struct cli_option options[] = {{"prefix", false, NULL}, {"from-key", false, NULL}};
    Authpb__Permission permission = AUTHPB__PERMISSION__INIT;
    Etcdserverpb__AuthRoleGrantPermissionRequest request;
    etcdserverpb__auth_role_grant_permission_request__init(&request);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc != 0 || argc < 4 || argc > 5 || !type_of(argv[2], &permission.permtype)) {
        return cli_fail(IO_EXIT_USAGE, "usage: kv role grant-permission ROLE "
                                       "read|write|readwrite KEY [RANGE_END] [--prefix] "
                                       "[--from-key]");
    }
    rc = keys_of(&keys, argv[3], argc == 5 ? argv[4] : NULL, options[0].value != NULL,
                 options[1].value != NULL);
    if (rc != 0) {
        return rc;
    }
    permission.key = (ProtobufCBinaryData){keys.key_len, keys.key};
    permission.range_end = (ProtobufCBinaryData){keys.end_len, keys.end};
    request.name = argv[1];
    request.perm = &permission;
    (void)snprintf(done, sizeof(done), "Role %.256s updated", argv[1]);
    return change(ctx, AUTH "RoleGrantPermission", &request.base,
                  &etcdserverpb__auth_role_grant_permission_response__descriptor, done);
}

int cmd_role_revoke_permission(void *ctx, int argc, char **argv)
{
    char done[320];
    struct keys keys;
    struct cli_option options[] = {{"prefix", false, NULL}, {"from-key", false, NULL}};
    Etcdserverpb__AuthRoleRevokePermissionRequest request;
    etcdserverpb__auth_role_revoke_permission_request__init(&request);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc != 0 || argc < 3 || argc > 4) {
        return cli_fail(IO_EXIT_USAGE, "usage: kv role revoke-permission ROLE KEY [RANGE_END] "
                                       "[--prefix] [--from-key]");
    }
    rc = keys_of(&keys, argv[2], argc == 4 ? argv[3] : NULL, options[0].value != NULL,
                 options[1].value != NULL);
    if (rc != 0) {
        return rc;
    }
    request.role = argv[1];
    request.key = (ProtobufCBinaryData){keys.key_len, keys.key};
    request.range_end = (ProtobufCBinaryData){keys.end_len, keys.end};
    (void)snprintf(done, sizeof(done), "Permission revoked from role %.256s", argv[1]);
    return change(ctx, AUTH "RoleRevokePermission", &request.base,
                  &etcdserverpb__auth_role_revoke_permission_response__descriptor, done);
}

/* --- on and off --- */

int cmd_auth_enable(void *ctx, int argc, char **argv)
{
    Etcdserverpb__AuthEnableRequest request;
    etcdserverpb__auth_enable_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "auth enable");
    return rc != 0
               ? rc
               : change(ctx, AUTH "AuthEnable", &request.base,
                        &etcdserverpb__auth_enable_response__descriptor, "Authentication enabled");
}

int cmd_auth_disable(void *ctx, int argc, char **argv)
{
    Etcdserverpb__AuthDisableRequest request;
    etcdserverpb__auth_disable_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "auth disable");
    return rc != 0 ? rc
                   : change(ctx, AUTH "AuthDisable", &request.base,
                            &etcdserverpb__auth_disable_response__descriptor,
                            "Authentication disabled");
}

int cmd_auth_status(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    ProtobufCMessage *answer = NULL;
    Etcdserverpb__AuthStatusRequest request;
    etcdserverpb__auth_status_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "auth status");
    rc = rc != 0 ? rc
                 : cli_call(cli, AUTH "AuthStatus", &request.base,
                            &etcdserverpb__auth_status_response__descriptor, &answer);
    if (rc != 0) {
        return rc;
    }
    const Etcdserverpb__AuthStatusResponse *status =
        (const Etcdserverpb__AuthStatusResponse *)answer;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        rc = cli_print_json(json_pack("{s:b, s:I}", "enabled", status->enabled, "revision",
                                      (json_int_t)status->authrevision));
    } else {
        (void)printf("Authentication is %s, revision %llu\n",
                     status->enabled ? "enabled" : "not enabled",
                     (unsigned long long)status->authrevision);
    }
    protobuf_c_message_free_unpacked(answer, NULL);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kv debug log, dump: what the data directory of a stopped node holds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "kv/offline/offline.h"
#include "proto/wire/kv.h"
#include "raft/core/members.h"
#include "raft/log_store.h"

#define ARENA_BYTES ((size_t)8 << 20)
#define VALUE_SHOWN 64u

static const char *kind_name(uint32_t kind)
{
    switch (kind) {
#define KIND_NAME(name, number, ...) \
    case number: \
        return #name;
        KV_KINDS(KIND_NAME)
#undef KIND_NAME
    default:
        return "?";
    }
}

static const char *type_name(enum msg_raft_entry_type type)
{
    switch (type) {
    case MSG_RAFT_ENTRY_DATA:
        return "data";
    case MSG_RAFT_ENTRY_MEMBERS:
        return "members";
    case MSG_RAFT_ENTRY_NOOP:
        return "noop";
    default:
        return "?";
    }
}

struct dump {
    struct base_arena arena;
    struct io_table *table; /* NULL: JSON */
    json_t *entries;
    const char *store;
    uint64_t rows;
};

/* What a data entry asks for, or "" when it cannot be read. */
static void describe(struct dump *dump, const struct msg_raft_entry *entry, const char **ret_kind,
                     uint64_t *ret_node)
{
    struct kv_command command;
    struct raft_configuration configuration;
    *ret_kind = "";
    *ret_node = 0;
    base_arena_reset(&dump->arena);
    if (entry->type == MSG_RAFT_ENTRY_DATA) {
        bool is_good = kv_wire_decode_command(entry->body, &dump->arena, &command) == 0;
        *ret_kind = is_good ? kind_name(command.request.kind) : "(not readable)";
        *ret_node = is_good ? command.origin_node : 0;
    } else if (entry->type == MSG_RAFT_ENTRY_MEMBERS &&
               raft_members_decode(entry->body, &configuration) != 0) {
        *ret_kind = "(not readable)";
    }
}

static int log_entry(void *ctx, uint64_t index, const struct msg_raft_entry *entry)
{
    struct dump *dump = ctx;
    const char *kind = "";
    uint64_t node = 0;
    char numbers[4][24];
    describe(dump, entry, &kind, &node);
    (void)snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu64, index);
    (void)snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu64, entry->term);
    (void)snprintf(numbers[2], sizeof(numbers[2]), "%zu", entry->body.len);
    (void)snprintf(numbers[3], sizeof(numbers[3]), "%" PRIx64, node);
    dump->rows++;
    if (dump->table == NULL) {
        return json_array_append_new(
                   dump->entries,
                   json_pack("{s:I, s:I, s:s, s:s, s:I, s:s}", "index", (json_int_t)index, "term",
                             (json_int_t)entry->term, "type", type_name(entry->type), "kind", kind,
                             "bytes", (json_int_t)entry->body.len, "proposed_by", numbers[3])) == 0
                   ? 0
                   : BASE_E_NOMEM;
    }
    return IO_TABLE_ADD(dump->table, numbers[0], numbers[1], type_name(entry->type), kind,
                        numbers[2], node == 0 ? NULL : numbers[3]);
}

static int walk_log(void *ctx, struct store_txn *txn)
{
    return log_store_walk(txn, log_entry, ctx);
}

/* Printable bytes as they are, others in hexadecimal. */
static void bytes_text(struct slice bytes, char *ret, size_t size)
{
    size_t used = 0;
    ret[0] = 0;
    for (size_t i = 0; i < bytes.len && i < VALUE_SHOWN && used + 4 < size; i++) {
        used += (size_t)snprintf(ret + used, size - used, "%02x", bytes.data[i]);
    }
    if (bytes.len > VALUE_SHOWN && used + 4 < size) {
        (void)snprintf(ret + used, size - used, "...");
    }
}

static int meta_row(void *ctx, struct slice key, struct slice value)
{
    struct dump *dump = ctx;
    char name[STORE_KEY_MAX + 1];
    char text[VALUE_SHOWN * 2 + 8];
    (void)snprintf(name, sizeof(name), "%.*s", (int)key.len, (const char *)key.data);
    bytes_text(value, text, sizeof(text));
    dump->rows++;
    if (dump->table == NULL) {
        return json_array_append_new(dump->entries,
                                     json_pack("{s:s, s:o, s:s}", "store", dump->store, "key",
                                               cli_json_bytes(key.data, key.len), "hex", text)) == 0
                   ? 0
                   : BASE_E_NOMEM;
    }
    return IO_TABLE_ADD(dump->table, dump->store, name, text);
}

static int walk_meta(void *ctx, struct store_txn *txn)
{
    return store_scan(txn, STORE_META, SLICE_EMPTY, meta_row, ctx);
}

static int walk(struct kv_offline *offline, bool is_log, struct dump *dump)
{
    if (is_log) {
        return kv_offline_log(offline, walk_log, dump);
    }
    dump->store = "log";
    int rc = kv_offline_log(offline, walk_meta, dump);
    dump->store = "state";
    return rc != 0 ? rc : kv_offline_state(offline, walk_meta, dump);
}

static int show(const struct cli *cli, struct kv_offline *offline, bool is_log)
{
    void *memory = malloc(ARENA_BYTES);
    struct dump dump = {.arena = base_arena_over(memory, ARENA_BYTES)};
    if (cli->output == CLI_JSON) {
        dump.entries = json_array();
    } else {
        dump.table = io_table_new(is_log ? ">INDEX|>TERM|TYPE|KIND|>BYTES|PROPOSED BY"
                                         : "STORE|KEY|VALUE (HEX)");
    }
    int rc = memory == NULL || (dump.entries == NULL && dump.table == NULL) ? BASE_E_NOMEM : 0;
    rc = rc != 0 ? rc : walk(offline, is_log, &dump);
    if (dump.table != NULL) {
        io_table_print(dump.table, stdout, true);
        io_table_free(dump.table);
    } else if (dump.entries != NULL) {
        (void)cli_print_json(dump.entries);
    }
    free(memory);
    return rc == 0 ? IO_EXIT_OK
                   : cli_fail(io_exit_of(rc), "after %" PRIu64 " rows: %s", dump.rows,
                              base_error_text(rc));
}

static int debug(const struct cli *cli, int argc, char **argv, bool is_log)
{
    struct kv_offline *offline = NULL;
    char text[KV_OFFLINE_TEXT];
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv debug %s DATA_DIR", is_log ? "log" : "dump");
    }
    if (rc != 0) {
        return rc;
    }
    rc = kv_offline_open(argv[1], false, &offline, text);
    if (rc != 0) {
        return cli_fail(io_exit_of(rc), "%s", text);
    }
    rc = show(cli, offline, is_log);
    (void)kv_offline_close(offline);
    return rc;
}

int cmd_debug_log(void *ctx, int argc, char **argv)
{
    return debug(ctx, argc, argv, true);
}

int cmd_debug_dump(void *ctx, int argc, char **argv)
{
    return debug(ctx, argc, argv, false);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `kv` share: settings, the connection, and how an answer or a failure is
 * shown.
 *
 * Settings come from options anywhere on the command line, QUORATE_* in the environment and
 * ~/.config/quorate/kv.yml, in this order. Commands are functions (ctx, argc, argv) that return an
 * exit code of proto/io/table.h. One thread, blocking.
 */
#ifndef QUORATE_KV_CLI_CLI_H
#define QUORATE_KV_CLI_CLI_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "proto/io/config.h"
#include "proto/io/grpc_client.h"
#include "proto/io/table.h"

enum cli_output { CLI_TABLE, CLI_WIDE, CLI_JSON };

struct cli {
    struct io_config *config;
    struct io_grpc_client *client; /* made by cli_client when first needed */
    bool has_all_nodes;            /* its endpoints are all nodes that the quorum names */
    enum cli_output output;
    bool is_output_set; /* by -o: plain text is the default of get, as of etcdctl */
    bool is_hex;        /* --hex: bytes of keys and values as \xNN */
    uint32_t timeout_ms;
    uint32_t dial_ms;
    int client_error; /* why cli_client is NULL: an exit code */
    char *token;      /* from --user, malloc'ed; NULL before or without */
};

/* Takes the global options out of argv (in place, *argc shrinks) and reads all settings.
 * Returns an exit code, or -1 to go on. */
int cli_open(struct cli *cli, int *argc, char **argv);
void cli_close(struct cli *cli);

/* The connection's client; NULL after an error was printed. */
struct io_grpc_client *cli_client(struct cli *cli);

/* One unary call: packs request, unpacks into a message of `descriptor` (free with
 * protobuf_c_message_free_unpacked). On failure prints one line and returns the exit code; 0 else.
 */
int cli_call(struct cli *cli, const char *path, const ProtobufCMessage *request,
             const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret);

/* The same, on the node that leads: for what no other node does. */
int cli_call_leader(struct cli *cli, const char *path, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret);
/* The same on endpoint number n of cli_client alone. */
int cli_call_endpoint(struct cli *cli, size_t n, const char *path, const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret);
/* A further connection with the same settings, for another thread; NULL after an error was printed.
 */
struct io_grpc_client *cli_new_client(struct cli *cli);

/* --- streams (one at a time, of cli_client) --- */
int cli_stream_open(struct cli *cli, const char *path);
int cli_stream_send(struct cli *cli, const ProtobufCMessage *message);
/* The next message. 0; -1: nothing came within timeout_ms; else an exit code, printed, with the
 * server's end of the stream as IO_EXIT_OK when its status was OK (*ret is NULL then). */
int cli_stream_next(struct cli *cli, uint32_t timeout_ms,
                    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret);

/* Bytes on a line of standard output, by --hex. */
void cli_print_bytes(const struct cli *cli, const uint8_t *data, size_t len);
/* Hexadecimal id; prints and returns IO_EXIT_USAGE when it is none. */
int cli_hex_id(const char *what, const char *text, uint64_t *ret);

/* What to try after a call that did not get through, to be put behind its message; or "". */
const char *cli_hint(const struct cli *cli, int code);
/* The same after an answer: why a call may have been denied. */
const char *cli_denied_hint(const struct cli *cli, enum io_grpc_status status);

/* "kv: ..." on stderr; returns code. */
__attribute__((format(printf, 2, 3))) int cli_fail(int code, const char *format, ...);

/* Prints and releases a JSON value, indented, with a newline. Returns IO_EXIT_OK. */
int cli_print_json(json_t *value);
/* End of a command that lists: prints the array as JSON or the table, frees both. `status`: of
 * filling them, not 0 when memory ran out. Returns the exit code. */
int cli_end_list(const struct cli *cli, struct io_table *table, json_t *array, int status);
/* Text if it is valid UTF-8, else {"base64": ...}. New reference. */
json_t *cli_json_bytes(const uint8_t *data, size_t len);

/* One option of a command. has_value: "--name VALUE" or "--name=VALUE"; else a flag. */
struct cli_option {
    const char *name; /* without dashes */
    bool has_value;
    const char *value; /* set by cli_options; "" for a flag that is there; NULL not given */
};
/* Takes options out of argv[1..]; what is left are the operands (argv[0] stays). Everything after
 * "--" is an operand. Unknown option: message and IO_EXIT_USAGE; 0 else. */
int cli_options(int *argc, char **argv, struct cli_option *options, size_t count);
/* For commands without operands, after cli_options: message and IO_EXIT_USAGE when there are some.
 */
int cli_no_operands(int argc, char **argv, const char *command);
/* Decimal number of an option or operand; prints and returns IO_EXIT_USAGE when it is none. */
int cli_number(const char *what, const char *text, int64_t *ret);

#endif

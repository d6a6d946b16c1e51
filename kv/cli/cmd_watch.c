/* SPDX-License-Identifier: Apache-2.0 */
/* kv watch: events of a range as they come. A lost connection is made again and the watch goes on
 * behind the last revision that was printed, so that nothing is left out or shown twice. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kv/cli/cli_keys.h"
#include "kv/cli/commands.h"

#define RETRY_NS 200000000L
#define WAIT_MS 3600000

struct watch {
    struct cli *cli;
    struct cli_key_range range;
    Etcdserverpb__WatchCreateRequest create;
    int64_t events_max; /* 0: no end */
    int64_t events_seen;
    int64_t next_revision; /* 0: nothing was seen, the watch begins anew */
    char **command;        /* or NULL: print */
};

static void set_number(const char *name, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    (void)setenv(name, text, 1);
}

static void set_quoted(const char *name, ProtobufCBinaryData bytes)
{
    char *text = malloc(bytes.len + 3);
    if (text != NULL) {
        (void)snprintf(text, bytes.len + 3, "\"%.*s\"", (int)bytes.len, (const char *)bytes.data);
        (void)setenv(name, text, 1);
        free(text);
    }
}

/* Runs the command with the event in its environment, as etcdctl's users know it. */
static int run_command(const struct watch *w, const Mvccpb__Event *event)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        return cli_fail(IO_EXIT_INTERNAL, "cannot start %s: %s", w->command[0], strerror(errno));
    }
    if (pid == 0) {
        bool is_put = event->type == MVCCPB__EVENT__EVENT_TYPE__PUT;
        set_number("ETCD_WATCH_REVISION", event->kv->mod_revision);
        (void)setenv("ETCD_WATCH_EVENT_TYPE", is_put ? "\"PUT\"" : "\"DELETE\"", 1);
        set_quoted("ETCD_WATCH_KEY", event->kv->key);
        set_quoted("ETCD_WATCH_VALUE", event->kv->value);
        (void)execvp(w->command[0], w->command);
        (void)cli_fail(IO_EXIT_INTERNAL, "cannot run %s: %s", w->command[0], strerror(errno));
        _exit(127);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : cli_fail(IO_EXIT_REFUSED, "%s failed on revision %" PRId64, w->command[0],
                          event->kv->mod_revision);
}

static void print_event_json(const Mvccpb__Event *event, bool is_put)
{
    json_t *value =
        json_pack("{s:s, s:o}", "type", is_put ? "PUT" : "DELETE", "kv", cli_json_pair(event->kv));
    if (event->prev_kv != NULL) {
        (void)json_object_set_new(value, "prev_kv", cli_json_pair(event->prev_kv));
    }
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    (void)putchar('\n');
    json_decref(value);
}

static int show_event(struct watch *w, const Mvccpb__Event *event)
{
    bool is_put = event->type == MVCCPB__EVENT__EVENT_TYPE__PUT;
    if (event->kv == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "an event without a key came");
    }
    if (w->command != NULL) {
        return run_command(w, event);
    }
    if (w->cli->output == CLI_JSON && w->cli->is_output_set) {
        print_event_json(event, is_put);
    } else {
        (void)puts(is_put ? "PUT" : "DELETE");
        if (event->prev_kv != NULL) {
            cli_print_pair(w->cli, event->prev_kv, true, true);
        }
        cli_print_pair(w->cli, event->kv, true, true);
    }
    return fflush(stdout) == 0 ? 0 : cli_fail(IO_EXIT_INTERNAL, "nobody reads the events any more");
}

/* 0 to go on; else an exit code. */
static int show_response(struct watch *w, const Etcdserverpb__WatchResponse *response,
                         bool *is_over)
{
    if (response->canceled) {
        if (response->compact_revision != 0) {
            return cli_fail(IO_EXIT_REFUSED,
                            "what changed below revision %" PRId64 " is compacted; read the keys, "
                            "then watch with --rev above it",
                            (int64_t)response->compact_revision);
        }
        return cli_fail(IO_EXIT_REFUSED, "the watch was cancelled: %s",
                        response->cancel_reason[0] == '\0' ? "no reason was given"
                                                           : response->cancel_reason);
    }
    for (size_t i = 0; i < response->n_events; i++) {
        int rc = show_event(w, response->events[i]);
        if (rc != 0) {
            return rc;
        }
        w->events_seen++;
        if (w->events_max != 0 && w->events_seen >= w->events_max) {
            *is_over = true;
            return 0;
        }
    }
    if (response->header != NULL && !response->fragment && !response->created) {
        w->next_revision = response->header->revision + 1;
    } else if (response->header != NULL && response->created && w->next_revision == 0) {
        w->next_revision = w->create.start_revision != 0 ? w->create.start_revision
                                                         : response->header->revision + 1;
    }
    return 0;
}

/* One connection's worth. -1: lost, to be made again. */
static int follow(struct watch *w, bool *is_over)
{
    Etcdserverpb__WatchRequest request;
    etcdserverpb__watch_request__init(&request);
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = &w->create;
    if (w->next_revision != 0) {
        w->create.start_revision = w->next_revision;
    }
    int rc = cli_stream_open(w->cli, "/etcdserverpb.Watch/Watch");
    rc = rc != 0 ? rc : cli_stream_send(w->cli, &request.base);
    while (rc == 0 && !*is_over) {
        ProtobufCMessage *message = NULL;
        rc = cli_stream_next(w->cli, WAIT_MS, &etcdserverpb__watch_response__descriptor, &message);
        if (rc == -1) {
            rc = 0; /* a quiet hour */
        } else if (rc == 0 && message == NULL) {
            rc = IO_EXIT_UNAVAILABLE; /* the server ended the stream in order */
        } else if (rc == 0) {
            rc = show_response(w, (const Etcdserverpb__WatchResponse *)(const void *)message,
                               is_over);
            protobuf_c_message_free_unpacked(message, NULL);
        }
    }
    io_grpc_stream_close(w->cli->client);
    return rc == IO_EXIT_UNAVAILABLE && w->next_revision != 0 ? -1 : rc;
}

static int watch_run(struct watch *w)
{
    bool is_over = false;
    int rc = follow(w, &is_over);
    while (rc == -1 && !is_over) {
        (void)fprintf(stderr, "kv: going on from revision %" PRId64 "\n", w->next_revision);
        (void)nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
        rc = follow(w, &is_over);
        rc = rc == IO_EXIT_UNAVAILABLE ? -1 : rc;
    }
    return rc;
}

/* What stands behind "--" is a command; argv ends before it then. */
static char **split_command(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            *argc = i;
            return argv[i + 1] == NULL ? NULL : &argv[i + 1];
        }
    }
    return NULL;
}

int cmd_watch(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"prefix", false, NULL},    {"from-key", false, NULL},
                                   {"rev", true, NULL},        {"prev-kv", false, NULL},
                                   {"events", true, NULL},     {"no-put", false, NULL},
                                   {"no-delete", false, NULL}, {"progress-notify", false, NULL}};
    Etcdserverpb__WatchCreateRequest__FilterType filters[2];
    struct watch w = {.cli = ctx};
    w.command = split_command(&argc, argv);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && (argc < 2 || argc > 3)) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv watch KEY [RANGE_END] [options] [-- COMMAND ...]");
    }
    rc = rc != 0 ? rc
                 : cli_key_range(&w.range, argv[1], argc > 2 ? argv[2] : NULL,
                                 options[0].value != NULL, options[1].value != NULL);
    etcdserverpb__watch_create_request__init(&w.create);
    if (rc == 0 && options[2].value != NULL) {
        rc = cli_number("--rev", options[2].value, &w.create.start_revision);
    }
    if (rc == 0 && options[4].value != NULL) {
        rc = cli_number("--events", options[4].value, &w.events_max);
    }
    w.create.key = w.range.key;
    w.create.range_end = w.range.end;
    w.create.prev_kv = options[3].value != NULL;
    w.create.progress_notify = options[7].value != NULL;
    w.create.fragment = 1;
    w.create.filters = filters;
    if (options[5].value != NULL) {
        filters[w.create.n_filters++] = ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NOPUT;
    }
    if (options[6].value != NULL) {
        filters[w.create.n_filters++] = ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NODELETE;
    }
    return rc != 0 ? rc : watch_run(&w);
}

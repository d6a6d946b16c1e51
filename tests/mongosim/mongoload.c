/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to a replica set through libmongoc while it is being broken, and keeps what was
 * acknowledged; afterwards counts what is missing.
 *
 *   mongoload --uri URI --out FILE [--w majority|1] [--pause-us N]    until SIGTERM
 *   mongoload --uri URI --audit FILE                                  prints "acknowledged N
 * missing M"
 *
 * FILE: one line for each acknowledged insert, "t_us value", t on CLOCK_BOOTTIME, written at once.
 * An insert that failed or was cut off counts as unknown. The URI names all members: the driver
 * finds the primary by itself, as an application's does.
 */
#include <errno.h>
#include <fcntl.h>
#include <mongoc/mongoc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
    const char *uri, *out, *audit, *w;
    long pause_us;
};

static volatile sig_atomic_t is_over;

static void over(int number)
{
    (void)number;
    is_over = 1;
}

static void silent(mongoc_log_level_t level, const char *domain, const char *text, void *ctx)
{
    (void)level;
    (void)domain;
    (void)text;
    (void)ctx;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static mongoc_client_t *client_of(const char *text)
{
    bson_error_t error;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &error);
    if (uri == NULL) {
        fprintf(stderr, "mongoload: %s\n", error.message);
        exit(2);
    }
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 400);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, 500);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, 3000);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
    mongoc_client_t *client = mongoc_client_new_from_uri(uri);
    mongoc_uri_destroy(uri);
    return client;
}

static void write_on(const struct options *o)
{
    int fd = open(o->out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    mongoc_client_t *client = client_of(o->uri);
    mongoc_collection_t *collection = mongoc_client_get_collection(client, "load", "acked");
    bool is_majority = strcmp(o->w, "majority") == 0;
    bson_t *options = is_majority ? BCON_NEW("writeConcern", "{", "w", "majority", "}")
                                  : BCON_NEW("writeConcern", "{", "w", BCON_INT32(1), "}");
    while (is_over == 0) {
        bson_error_t error;
        char line[64];
        int64_t value = now_us();
        bson_t *row = BCON_NEW("_id", BCON_INT64(value));
        if (mongoc_collection_insert_one(collection, row, options, NULL, &error)) {
            int n =
                snprintf(line, sizeof line, "%lld %lld\n", (long long)now_us(), (long long)value);
            if (fd < 0 || write(fd, line, (size_t)n) != n) {
                fprintf(stderr, "mongoload: cannot write %s: %s\n", o->out, strerror(errno));
                exit(2);
            }
        }
        bson_destroy(row);
        usleep((useconds_t)o->pause_us);
    }
    bson_destroy(options);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
    close(fd);
}

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Values of the collection, sorted. */
static int64_t *present(const struct options *o, size_t *ret_count)
{
    int64_t *values = NULL;
    size_t count = 0, cap = 0;
    const bson_t *row;
    bson_t filter = BSON_INITIALIZER;
    bson_error_t error;
    bson_iter_t i;
    mongoc_client_t *client = client_of(o->uri);
    mongoc_collection_t *collection = mongoc_client_get_collection(client, "load", "acked");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, NULL, NULL);
    while (mongoc_cursor_next(cursor, &row)) {
        if (count == cap) {
            cap = cap * 2 + 1024;
            values = realloc(values, cap * sizeof *values);
        }
        if (values != NULL && bson_iter_init_find(&i, row, "_id")) {
            values[count++] = bson_iter_as_int64(&i);
        }
    }
    if (mongoc_cursor_error(cursor, &error)) {
        fprintf(stderr, "mongoload: %s\n", error.message);
        exit(2);
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
    qsort(values, count, sizeof *values, by_value);
    *ret_count = count;
    return values;
}

static void audit(const struct options *o)
{
    size_t count, acknowledged = 0, missing = 0;
    int64_t *values = present(o, &count);
    FILE *file = fopen(o->audit, "re");
    long long at, value;
    if (file == NULL) {
        fprintf(stderr, "mongoload: cannot read %s\n", o->audit);
        exit(2);
    }
    while (fscanf(file, "%lld %lld", &at, &value) == 2) {
        int64_t key = value;
        acknowledged += 1;
        missing += values == NULL || bsearch(&key, values, count, sizeof *values, by_value) == NULL;
    }
    (void)fclose(file);
    free(values);
    printf("acknowledged %zu missing %zu\n", acknowledged, missing);
}

int main(int argc, char **argv)
{
    struct options o = {.w = "majority", .pause_us = 5000};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char **text = strcmp(argv[i], "--uri") == 0     ? &o.uri
                            : strcmp(argv[i], "--out") == 0   ? &o.out
                            : strcmp(argv[i], "--audit") == 0 ? &o.audit
                            : strcmp(argv[i], "--w") == 0     ? &o.w
                                                              : NULL;
        if (text != NULL) {
            *text = argv[i + 1];
        } else if (strcmp(argv[i], "--pause-us") == 0) {
            o.pause_us = strtol(argv[i + 1], NULL, 10);
        }
    }
    if (o.uri == NULL || (o.out == NULL) == (o.audit == NULL)) {
        fprintf(stderr, "usage: mongoload --uri URI --out FILE | --audit FILE\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = over};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    mongoc_init();
    mongoc_log_set_handler(silent, NULL);
    if (o.out != NULL) {
        write_on(&o);
    } else {
        audit(&o);
    }
    mongoc_cleanup();
    return 0;
}

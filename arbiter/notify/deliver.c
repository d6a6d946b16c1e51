/* SPDX-License-Identifier: Apache-2.0 */
/* One event to where it shall go; see deliver.h. */
#include "arbiter/notify/deliver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arbiter/notify/post.h"
#include "arbiter/quorated/program.h"

#define DEBIAN_CA "/etc/ssl/certs/ca-certificates.crt"
#define PATH_BYTES 512
#define VARIABLE_MAX 1024

struct deliver {
    struct deliver_options options;
    struct post_target target;
    struct quorated_program *program;
    struct post *post;
    struct io_timer at_once; /* tells of what could not begin */
    char why[160];
    char id[256]; /* of the event under way, for the webhook behind the program */
    char json[2048];
};

bool deliver_is_wanted(const struct deliver_settings *s)
{
    return s->command[0] != '\0' || s->url[0] != '\0';
}

/* --- how it is made --- */

static bool is_file_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               strlen(name) &&
           name[0] != '.';
}

static int read_token(const char *file, char token[POST_TOKEN_MAX], struct io_why *why)
{
    struct stat info;
    FILE *in = fopen(file, "re");
    int rc = in != NULL && fstat(fileno(in), &info) == 0 ? 0 : BASE_E_IO;
    if (rc != 0) {
        io_why_set(why, "cannot read %s: %s", file, strerror(errno));
    } else if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        io_why_set(why, "%s may be read by others; chmod 600 %s", file, file);
        rc = BASE_E_DENIED;
    } else if (fgets(token, POST_TOKEN_MAX, in) == NULL) {
        io_why_set(why, "%s is empty", file);
        rc = BASE_E_INVALID;
    }
    if (rc == 0) {
        token[strcspn(token, "\r\n")] = '\0';
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return rc;
}

static int open_target(struct deliver *d, struct io_why *why)
{
    const struct deliver_settings *s = &d->options.settings;
    int rc = post_target_parse(s->url, &d->target, why);
    if (rc == 0 && s->token_file[0] != '\0') {
        rc = read_token(s->token_file, d->target.token, why);
    }
    if (rc == 0 && d->target.address.scheme == IO_SCHEME_HTTPS) {
        const struct io_tls_options tls = {.ca_file =
                                               s->ca_file[0] != '\0' ? s->ca_file : DEBIAN_CA,
                                           .verify = IO_TLS_VERIFY_REQUIRED};
        rc = io_tls_new(&tls, &d->target.tls, why);
    }
    if (rc == 0 && d->target.tls != NULL) {
        io_tls_watch(d->target.tls, d->options.loop);
    }
    return rc;
}

static void tell(void *ctx)
{
    struct deliver *d = ctx;
    d->options.done(d->options.ctx, false, d->why);
}

int deliver_new(const struct deliver_options *options, struct deliver **ret, struct io_why *why)
{
    struct deliver *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        io_why_set(why, "not enough memory");
        return BASE_E_NOMEM;
    }
    d->options = *options;
    io_timer_init(&d->at_once, options->loop, tell, d);
    int rc = 0;
    if (!is_file_name(options->settings.command)) {
        io_why_set(why, "notify.command '%.100s' is not the name of a file in notify.dir",
                   options->settings.command);
        rc = BASE_E_INVALID;
    } else if (options->settings.url[0] != '\0') {
        rc = open_target(d, why);
    }
    if (rc != 0) {
        (void)deliver_free(d);
        return rc;
    }
    *ret = d;
    return 0;
}

struct deliver *deliver_free(struct deliver *d)
{
    if (d != NULL) {
        io_timer_stop(&d->at_once);
        d->program = quorated_program_kill(d->program);
        d->post = post_cancel(d->post);
        d->target.tls = io_tls_free(d->target.tls);
        free(d);
    }
    return NULL;
}

/* --- delivering --- */

static void fail_soon(struct deliver *d, const char *why)
{
    (void)snprintf(d->why, sizeof(d->why), "%s", why);
    io_timer_start_in_us(&d->at_once, 0);
}

static void posted(void *ctx, bool is_good, const char *why)
{
    struct deliver *d = ctx;
    d->post = NULL;
    d->options.done(d->options.ctx, is_good, why);
}

static void post_event(struct deliver *d)
{
    struct io_why why = {""};
    const char *token_file = d->options.settings.token_file;
    /* The secret may have been replaced since; one that cannot be read is told of, and tried again
     * with the event. */
    if (token_file[0] != '\0' && read_token(token_file, d->target.token, &why) != 0) {
        fail_soon(d, why.text);
        return;
    }
    const struct post_options options = {.loop = d->options.loop,
                                         .target = &d->target,
                                         .id = d->id,
                                         .body = slice_from_text(d->json),
                                         .timeout_us = DELIVER_POST_US,
                                         .ctx = d,
                                         .done = posted};
    if (post_start(&options, &d->post) != 0) {
        fail_soon(d, "not enough memory for the webhook");
    }
}

static void program_ended(void *user, const struct quorated_ended *how)
{
    struct deliver *d = user;
    char text[QUORATED_PROGRAM_WHY_MAX];
    d->program = NULL;
    bool is_good = how->is_begun && how->status == 0 && how->signal_number == 0;
    if (is_good && d->options.settings.url[0] != '\0') {
        post_event(d);
        return;
    }
    if (how->is_begun) {
        (void)snprintf(text, sizeof(text), "%.60s: %s %lld", d->options.settings.command,
                       how->is_late              ? "took too long, signal"
                       : how->signal_number != 0 ? "signal"
                                                 : "exit",
                       how->signal_number != 0 ? (long long)how->signal_number
                                               : (long long)how->status);
    }
    d->options.done(d->options.ctx, is_good, how->is_begun ? text : how->why);
}

static int run_program(struct deliver *d, const struct deliver_event *event)
{
    char path[PATH_BYTES];
    char json[sizeof(d->json) + 32];
    char variables[5][VARIABLE_MAX];
    char *environment[] = {variables[0], variables[1], variables[2], variables[3],
                           variables[4], json,         NULL};
    char *arguments[] = {path, NULL};
    const struct quorated_program_run run = {.loop = d->options.loop,
                                             .path = path,
                                             .arguments = arguments,
                                             .environment = environment,
                                             .timeout_us = DELIVER_PROGRAM_US,
                                             .user = d,
                                             .ended = program_ended};
    (void)snprintf(path, sizeof(path), "%s/%s", d->options.settings.dir,
                   d->options.settings.command);
    (void)snprintf(variables[0], VARIABLE_MAX, QUORATED_PROGRAM_PATH);
    (void)snprintf(variables[1], VARIABLE_MAX, "QUORATE_ID=%s", event->id);
    (void)snprintf(variables[2], VARIABLE_MAX, "QUORATE_EVENT=%s", event->event);
    (void)snprintf(variables[3], VARIABLE_MAX, "QUORATE_CLUSTER=%s", event->cluster);
    (void)snprintf(variables[4], VARIABLE_MAX, "QUORATE_TEXT=%s", event->text);
    (void)snprintf(json, sizeof(json), "QUORATE_JSON=%s", d->json);
    return quorated_program_start(&run, &d->program);
}

void deliver_start(struct deliver *d, const struct deliver_event *event)
{
    (void)snprintf(d->id, sizeof(d->id), "%s", event->id);
    (void)snprintf(d->json, sizeof(d->json), "%s", event->json);
    if (d->options.settings.command[0] == '\0') {
        post_event(d);
    } else if (run_program(d, event) != 0) {
        fail_soon(d, "not enough memory for the program");
    }
}

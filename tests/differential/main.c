/* SPDX-License-Identifier: Apache-2.0 */
/* etcddiff: the same requests to Debian's etcd and to a quorum node, and what differs.
 *
 * Both servers must be fresh and get nothing else meanwhile. A difference counts unless its case
 * stands in the file of accepted ones with a reason; one that is accepted may still not differ in
 * what clients decide by (status, code, succeeded, keys, values, revisions, order), and one that
 * does not differ any more may not stand there. The last line counts.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/differential/case.h"
#include "tests/differential/compare.h"
#include "tests/differential/generate.h"
#include "tests/differential/http.h"
#include "tests/differential/rpc.h"

#define ACCEPTED_MAX 15
#define LINE_MAX_BYTES 65536

enum { OURS, THEIRS, SIDES };

struct run {
    const char *address[SIDES];
    bool is_grpc;
    bool is_verbose;
    char accepted[ACCEPTED_MAX][CASE_TEXT_MAX];
    bool was_accepted[ACCEPTED_MAX];
    size_t accepted_count;
    unsigned same, explained, different, left_out;
};

struct outcome {
    int status; /* of HTTP, or of gRPC */
    char *text; /* normalized */
    char *essence;
};

/* --- accepted differences --- */

static void load_accepted(struct run *run, const char *name)
{
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(name, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "etcddiff: %s: %s\n", name, strerror(errno));
        exit(2);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char id[CASE_TEXT_MAX];
        if (line[0] == '#' || sscanf(line, "%127s", id) != 1) {
            continue;
        }
        if (run->accepted_count == ACCEPTED_MAX) {
            (void)fprintf(stderr, "etcddiff: %s accepts more than %d differences\n", name,
                          ACCEPTED_MAX);
            exit(2);
        }
        (void)snprintf(run->accepted[run->accepted_count++], CASE_TEXT_MAX, "%s", id);
    }
    (void)fclose(file);
}

static bool is_accepted(struct run *run, const char *id)
{
    for (size_t i = 0; i < run->accepted_count; i++) {
        if (strcmp(run->accepted[i], id) == 0) {
            run->was_accepted[i] = true;
            return true;
        }
    }
    return false;
}

/* --- asking --- */

static void authenticate(const struct run *run, int side, const struct diff_case *c,
                         char token[CASE_TEXT_MAX])
{
    char body[3 * CASE_TEXT_MAX];
    struct http_answer answer;
    (void)snprintf(token, CASE_TEXT_MAX, "%s", c->token);
    if (c->user[0] == '\0') {
        return;
    }
    const char *colon = strchr(c->user, ':');
    int len = snprintf(body, sizeof(body), "{\"name\":\"%.*s\",\"password\":\"%s\"}",
                       (int)(colon - c->user), c->user, colon + 1);
    const struct http_request request = {.host_port = run->address[side],
                                         .path = "/v3/auth/authenticate",
                                         .body = body,
                                         .body_len = (size_t)len,
                                         .wait_ms = c->wait_ms};
    http_post(&request, &answer);
    json_t *json = json_loadb(answer.body, answer.body_len, 0, NULL);
    const char *found = json_string_value(json_object_get(json, "token"));
    (void)snprintf(token, CASE_TEXT_MAX, "%s", found == NULL ? "none" : found);
    json_decref(json);
    free(answer.body);
}

static void ask(const struct run *run, int side, const struct diff_case *c, struct outcome *ret)
{
    char token[CASE_TEXT_MAX];
    struct http_answer answer;
    authenticate(run, side, c, token);
    const struct http_request request = {.host_port = run->address[side],
                                         .path = c->path,
                                         .token = token[0] == '\0' ? NULL : token,
                                         .body = c->body,
                                         .body_len = strlen(c->body),
                                         .lines_max = c->lines,
                                         .wait_ms = c->wait_ms};
    if (run->is_grpc) {
        rpc_ask(&request, &answer);
    } else {
        http_post(&request, &answer);
    }
    ret->status = answer.status;
    ret->text = compare_normalize(answer.body, answer.body_len, c->mask);
    ret->essence = compare_essence(answer.body, answer.body_len);
    free(answer.body);
}

static void outcome_free(struct outcome *outcome)
{
    free(outcome->text);
    free(outcome->essence);
}

static void show(const char *what, const struct outcome *o)
{
    (void)printf("      %s: %d %s", what, o->status, o->text[0] == '\0' ? "\n" : o->text);
}

static void run_case(struct run *run, const struct diff_case *c)
{
    struct outcome got[SIDES];
    if (run->is_grpc && !rpc_knows(c->path, c->body)) {
        run->left_out++;
        return;
    }
    ask(run, THEIRS, c, &got[THEIRS]);
    ask(run, OURS, c, &got[OURS]);
    int none = run->is_grpc ? -1 : 0; /* status of no answer */
    bool is_same = got[OURS].status == got[THEIRS].status && got[OURS].status != none &&
                   strcmp(got[OURS].text, got[THEIRS].text) == 0;
    bool is_same_in_essence = got[OURS].status == got[THEIRS].status && got[OURS].status != none &&
                              strcmp(got[OURS].essence, got[THEIRS].essence) == 0;
    if (is_same) {
        run->same++;
    } else if (is_accepted(run, c->id) && is_same_in_essence) {
        run->explained++;
    } else {
        run->different++;
        (void)printf("FAIL  %s %s %.300s\n", c->id, c->path, c->body);
        show("etcd", &got[THEIRS]);
        show("ours", &got[OURS]);
    }
    if (is_same && run->is_verbose) {
        (void)printf("ok    %s\n", c->id);
    }
    outcome_free(&got[OURS]);
    outcome_free(&got[THEIRS]);
}

static void run_line(void *ctx, const char *line)
{
    struct diff_case c;
    if (case_parse(line, &c)) {
        run_case(ctx, &c);
        free(c.body);
    }
}

static void run_file(struct run *run, const char *name)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *file = fopen(name, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "etcddiff: %s: %s\n", name, strerror(errno));
        exit(2);
    }
    while (getline(&line, &cap, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        run_line(run, line);
    }
    free(line);
    (void)fclose(file);
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: etcddiff --ours HOST:PORT --theirs HOST:PORT [--grpc] [--verbose] "
                  "[--accepted FILE] [CASES...]\n"
                  "       CASES is a file, or 'generated' for requests made from the schema\n");
    return 2;
}

static void put_text(void *ctx, const char *line)
{
    (void)ctx;
    (void)puts(line);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"ours", required_argument, NULL, 'o'},
                                            {"theirs", required_argument, NULL, 't'},
                                            {"grpc", no_argument, NULL, 'g'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"accepted", required_argument, NULL, 'a'},
                                            {"print-generated", no_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    static struct run run;
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'o':
            run.address[OURS] = optarg;
            break;
        case 't':
            run.address[THEIRS] = optarg;
            break;
        case 'g':
            run.is_grpc = true;
            break;
        case 'v':
            run.is_verbose = true;
            break;
        case 'a':
            load_accepted(&run, optarg);
            break;
        case 'p':
            generate_cases(put_text, NULL);
            return 0;
        default:
            return usage();
        }
    }
    if (run.address[OURS] == NULL || run.address[THEIRS] == NULL || optind == argc) {
        return usage();
    }
    for (int i = optind; i < argc; i++) {
        if (strcmp(argv[i], "generated") == 0) {
            generate_cases(run_line, &run);
        } else {
            run_file(&run, argv[i]);
        }
    }
    for (size_t i = 0; i < run.accepted_count && !run.is_grpc; i++) {
        if (!run.was_accepted[i]) {
            (void)printf("FAIL  %s is accepted as different, and is not\n", run.accepted[i]);
            run.different++;
        }
    }
    (void)printf("%s: %u the same, %u explained, %u different, %u not for this transport\n",
                 run.is_grpc ? "gRPC" : "JSON", run.same, run.explained, run.different,
                 run.left_out);
    return run.different == 0 ? 0 : 1;
}

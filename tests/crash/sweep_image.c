/* SPDX-License-Identifier: Apache-2.0 */
/* Sweep, mode image: a follower that is far behind gets an image; see sweep.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/crash/scenario.h"
#include "tests/crash/sweep.h"

#define BEHIND 60u /* entries that the follower lacks */
#define ASKED 6u   /* writes that need it */

static bool put_number(const struct daemon *d, const char *prefix, size_t n)
{
    char key[32];
    char body[512];
    (void)snprintf(key, sizeof(key), "%s-%zu", prefix, n);
    scenario_put(key, "of some length, so that an image has more than one block", body,
                 sizeof(body));
    return daemon_ask(d, "/v3/kv/put", body, NULL, 0) == 200;
}

/* Three nodes; the third one stays behind, and the others forget what it lacks. */
bool sweep_image_prepare(struct sweep *s)
{
    struct daemon *d = s->daemons;
    bool is_good = true;
    for (size_t i = 0; i < 3; i++) {
        daemon_start(&d[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        is_good = is_good && daemon_wait_ready(&d[i], SWEEP_READY_MS);
    }
    for (size_t n = 0; is_good && n < BEHIND; n++) {
        is_good = put_number(&d[0], "early", n);
    }
    is_good = is_good && daemon_wait_ready(&d[2], SWEEP_READY_MS) && daemon_stop(&d[2]);
    is_good = is_good && daemon_wait_ready(&d[0], SWEEP_READY_MS);
    for (size_t n = 0; is_good && n < BEHIND; n++) {
        is_good = put_number(&d[0], "late", n);
    }
    is_good = is_good && daemon_stop(&d[1]) && daemon_stop(&d[0]);
    for (size_t i = 0; i < 3 && is_good; i++) {
        char kept[300];
        (void)snprintf(kept, sizeof(kept), "%s.kept", d[i].directory);
        is_good = rename(d[i].directory, kept) == 0;
    }
    printf("%s", is_good ? "" : "FAILED setup: three nodes do not come about\n");
    return is_good;
}

static void put_back(struct sweep *s)
{
    for (size_t i = 0; i < 3; i++) {
        char kept[300];
        struct daemon *d = &s->daemons[i];
        daemon_kill(d);
        d->page = NULL;
        (void)unlink(d->log);
        (void)snprintf(kept, sizeof(kept), "%s.kept", d->directory);
        daemon_run("rm", "-rf", "--", d->directory);
        daemon_run("cp", "-a", kept, d->directory);
    }
}

/* The leader and the follower alone: each write that is acknowledged is on both. */
static size_t write_with_follower(struct sweep *s)
{
    struct daemon *d = s->daemons;
    size_t acked = 0;
    daemon_start(&d[0]);
    daemon_start(&d[2]);
    int64_t end = daemon_now_ms() + SWEEP_READY_MS;
    while (daemon_now_ms() < end && daemon_is_up(&d[2]) &&
           daemon_ask(&d[0], "/v3/kv/range", "{\"key\":\"AA==\"}", NULL, 0) != 200) {
        daemon_pause();
    }
    while (acked < ASKED && daemon_is_up(&d[2]) && put_number(&d[0], "asked", acked)) {
        acked++;
    }
    return acked;
}

/* The first leader stays away; the two others hold every write, and the same. */
static bool others_know(struct sweep *s, const struct sweep_fault *fault, size_t acked)
{
    struct daemon *d = s->daemons;
    static char views[2][DAEMON_TEXT];
    char text[64];
    (void)snprintf(text, sizeof(text), "%zu writes were acknowledged", acked);
    daemon_kill(&d[0]);
    d[2].page = NULL;
    daemon_start(&d[1]);
    daemon_start(&d[2]);
    if (!daemon_wait_ready(&d[2], SWEEP_READY_MS) || !daemon_wait_ready(&d[1], SWEEP_READY_MS)) {
        sweep_bad_point(s, &d[2], fault, "starts-again", text);
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        (void)daemon_ask(&d[i + 1], "/v3/kv/range",
                         "{\"key\":\"AA==\",\"range_end\":\"AA==\",\"keys_only\":true}", views[i],
                         sizeof(views[i]));
    }
    for (size_t n = 0; n < acked; n++) {
        char key[32];
        char word[64];
        (void)snprintf(key, sizeof(key), "asked-%zu", n);
        scenario_base64(key, word, sizeof(word));
        if (strstr(views[1], word) == NULL) {
            sweep_bad_point(s, &d[2], fault, "acknowledged-is-durable", key);
            return false;
        }
    }
    if (strcmp(views[0], views[1]) != 0) {
        sweep_bad_point(s, &d[2], fault, "equal-states", text);
        return false;
    }
    return true;
}

bool sweep_image_point(struct sweep *s, enum shim_class operation, uint64_t at,
                       const struct sweep_fault *fault)
{
    struct daemon *d = s->daemons;
    put_back(s);
    sweep_arm(s, d[2].directory, operation, at, fault);
    d[2].page = s->page_path;
    size_t acked = write_with_follower(s);
    bool is_hit = s->page->was_hit;
    if (is_hit) {
        sweep_note_point(s, fault);
        (void)sweep_has_ended_well(s, &d[2], fault);
        (void)others_know(s, fault, acked);
        s->undone += s->page->undone;
    }
    for (size_t i = 0; i < 3; i++) {
        daemon_kill(&d[i]);
    }
    return is_hit;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and carrying out of QUORATE_FAILPOINTS; see failpoints.h. */
#include "arbiter/quorated/failpoints.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef QUORATE_CANARIES

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/failpoint.h"

#define POINTS_MAX 32
#define NAME_BYTES 48
#define SLEEP_MAX_MS 60000

enum action { ACTION_SLEEP, ACTION_EXIT, ACTION_ERROR };

static struct point {
    char name[NAME_BYTES];
    enum action action;
    unsigned ms;
    unsigned after; /* passes that do nothing */
    atomic_uint passes;
} points[POINTS_MAX];
static size_t points_count;

static int hook(const char *name)
{
    for (size_t i = 0; i < points_count; i++) {
        struct point *p = &points[i];
        if (strcmp(p->name, name) != 0 || atomic_fetch_add(&p->passes, 1) < p->after) {
            continue;
        }
        if (p->action == ACTION_SLEEP) {
            (void)usleep(p->ms * 1000);
        } else if (p->action == ACTION_EXIT) {
            (void)fprintf(stderr, "quorated: failpoint %s: exit\n", name);
            _exit(70);
        } else {
            return BASE_E_IO;
        }
    }
    return 0;
}

/* "name=action" or "name=action@passes" */
static bool read_point(char *text, struct point *p)
{
    char *equals = strchr(text, '=');
    char *at = strchr(text, '@');
    if (equals == NULL || equals == text || equals - text >= NAME_BYTES) {
        return false;
    }
    *equals = '\0';
    (void)snprintf(p->name, sizeof(p->name), "%s", text);
    if (at != NULL) {
        *at = '\0';
        p->after = (unsigned)strtoul(at + 1, NULL, 10);
    }
    const char *action = equals + 1;
    if (sscanf(action, "sleep(%u)", &p->ms) == 1 && p->ms <= SLEEP_MAX_MS) {
        p->action = ACTION_SLEEP;
        return true;
    }
    p->action = strcmp(action, "exit") == 0 ? ACTION_EXIT : ACTION_ERROR;
    return p->action == ACTION_EXIT || strcmp(action, "error") == 0;
}

bool quorated_failpoints_set(void)
{
    char text[2048];
    char *rest = NULL;
    const char *value = getenv("QUORATE_FAILPOINTS");
    if (value == NULL || value[0] == '\0') {
        return true;
    }
    (void)snprintf(text, sizeof(text), "%s", value);
    for (char *one = strtok_r(text, ";", &rest); one != NULL; one = strtok_r(NULL, ";", &rest)) {
        if (points_count == POINTS_MAX || !read_point(one, &points[points_count])) {
            (void)fprintf(stderr,
                          "quorated: QUORATE_FAILPOINTS: '%s' is not NAME=sleep(MS), NAME=exit or "
                          "NAME=error\n",
                          one);
            return false;
        }
        points_count++;
    }
    base_failpoint_set(hook);
    return true;
}

#else

bool quorated_failpoints_set(void)
{
    if (getenv("QUORATE_FAILPOINTS") == NULL) {
        return true;
    }
    (void)fprintf(stderr, "quorated: QUORATE_FAILPOINTS is set, but this build has no failpoints; "
                          "unset it, or build with VARIANT=canary\n");
    return false;
}

#endif

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

#define SETTINGS_MAX 32
#define SLEEP_MAX_MS 60000

enum action { ACTION_SLEEP, ACTION_EXIT, ACTION_ERROR };

static struct setting {
    enum base_failpoint point;
    enum action action;
    unsigned ms;
    unsigned after; /* passes that do nothing */
    atomic_uint passes;
} settings[SETTINGS_MAX];
static size_t settings_count;

static int hook(enum base_failpoint point)
{
    for (size_t i = 0; i < settings_count; i++) {
        struct setting *s = &settings[i];
        if (s->point != point || atomic_fetch_add(&s->passes, 1) < s->after) {
            continue;
        }
        if (s->action == ACTION_SLEEP) {
            (void)usleep(s->ms * 1000);
        } else if (s->action == ACTION_EXIT) {
            (void)fprintf(stderr, "quorated: failpoint %s: exit\n", base_failpoint_name(point));
            _exit(70);
        } else {
            return BASE_E_IO;
        }
    }
    return 0;
}

static int refuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "quorated: QUORATE_FAILPOINTS: '%s' %s\n", what, why);
    return -1;
}

static int refuse_name(const char *name)
{
    (void)refuse(name, "is none of the points there are:");
    for (enum base_failpoint i = 0; i < BASE_FAILPOINT_COUNT; i++) {
        (void)fprintf(stderr, "  %s\n", base_failpoint_name(i));
    }
    return -1;
}

/* "sleep(MS)", "exit", "error" */
static int read_action(const char *text, struct setting *s)
{
    if (sscanf(text, "sleep(%u)", &s->ms) == 1 && s->ms <= SLEEP_MAX_MS) {
        s->action = ACTION_SLEEP;
        return 0;
    }
    s->action = strcmp(text, "exit") == 0 ? ACTION_EXIT : ACTION_ERROR;
    return s->action == ACTION_EXIT || strcmp(text, "error") == 0 ? 0 : -1;
}

/* "NAME=ACTION" or "NAME=ACTION@PASSES" */
static int read_setting(char *text, struct setting *s)
{
    char *equals = strchr(text, '=');
    char *at = strchr(text, '@');
    if (equals == NULL) {
        return refuse(text, "is not NAME=ACTION");
    }
    *equals = '\0';
    if (!base_failpoint_find(slice_from_text(text), &s->point)) {
        return refuse_name(text);
    }
    if (at != NULL) {
        *at = '\0';
        s->after = (unsigned)strtoul(at + 1, NULL, 10);
    }
    return read_action(equals + 1, s) == 0
               ? 0
               : refuse(equals + 1,
                        "is not sleep(MS), exit or error, each with @PASSES or without");
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
        if (settings_count == SETTINGS_MAX) {
            (void)refuse(one, "is one too many");
            return false;
        }
        if (read_setting(one, &settings[settings_count]) != 0) {
            return false;
        }
        settings_count++;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts: read, written and judged. */
#include "tests/sim/script.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/canary.h"
#include "tests/sim/attempt.h"
#include "tests/sim/faults.h"

#define SEEDS_TRIED 20

static bool read_fault(struct plan *p, const char *number, const char *second, const char *name)
{
    enum fault_kind kind;
    if (p->faults_count == PLAN_FAULTS_MAX || !fault_find(name, &kind) || !plan_may_have(kind)) {
        return false;
    }
    p->faults[p->faults_count++] = (struct planned_fault){
        (unsigned)strtoul(number, NULL, 10), (int64_t)(strtod(second, NULL) * SECOND + 0.5), kind};
    return true;
}

static bool read_line(char *line, struct script *s)
{
    char word[4][SCRIPT_NAME_MAX] = {"", "", "", ""};
    line[strcspn(line, "#\n")] = '\0';
    int words = sscanf(line, "%63s %63s %63s %63s", word[0], word[1], word[2], word[3]);
    if (words <= 0) {
        return true;
    }
    if (strcmp(word[0], "seed") == 0 && words == 2) {
        s->plan.seed = strtoull(word[1], NULL, 10);
    } else if (strcmp(word[0], "canary") == 0 && words == 2) {
        memcpy(s->canary, word[1], sizeof(s->canary));
    } else if (strcmp(word[0], "breaks") == 0 && words == 2) {
        memcpy(s->invariant, word[1], sizeof(s->invariant));
    } else if (strcmp(word[0], "set") == 0 && words == 3) {
        return setup_set(&s->plan.setup, word[1], strtoll(word[2], NULL, 10));
    } else if (strcmp(word[0], "fault") == 0 && words == 4) {
        return read_fault(&s->plan, word[1], word[2], word[3]);
    } else {
        return false;
    }
    return true;
}

bool script_read(const char *path, struct script *ret)
{
    char line[256];
    int number = 0;
    FILE *in = fopen(path, "r");
    memset(ret, 0, sizeof(*ret));
    if (in == NULL) {
        perror(path);
        return false;
    }
    bool is_good = true;
    while (is_good && fgets(line, sizeof(line), in) != NULL) {
        number++;
        is_good = read_line(line, ret);
    }
    (void)fclose(in);
    if (!is_good) {
        (void)fprintf(stderr, "%s:%d: not understood; tests/sim/script.h has the form of a line\n",
                      path, number);
    }
    return is_good;
}

static void write_fault(const struct planned_fault *f, const struct world *w, FILE *out)
{
    char text[256] = "no effect";
    for (size_t i = 0; w != NULL && i < w->bites_count; i++) {
        if (w->bite_numbers[i] == f->number) {
            trace_fault_text(&w->bites[i], text, sizeof(text));
            break;
        }
    }
    const char *what = strstr(text, ": ") != NULL ? strstr(text, ": ") + 2 : text;
    (void)fprintf(out, "fault %u %" PRId64 ".%06" PRId64 " %s%s%s\n", f->number, f->at_us / SECOND,
                  f->at_us % SECOND, fault_name(f->kind), w != NULL ? "    # " : "",
                  w != NULL ? what : "");
}

void script_write(const struct script *s, const struct world *w, FILE *out)
{
    (void)fprintf(out, "seed %" PRIu64 "\n", s->plan.seed);
    if (s->canary[0] != '\0') {
        (void)fprintf(out, "canary %s\nbreaks %s\n", s->canary, s->invariant);
    }
    setup_write(&s->plan.setup, out);
    for (size_t i = 0; i < s->plan.faults_count; i++) {
        write_fault(&s->plan.faults[i], w, out);
    }
}

/* "" when all invariants hold, else what failed and how. */
static void outcome(const struct plan *plan, const char *canary, struct attempt *ret)
{
    attempt(plan, canary, ret);
    if (ret->invariant[0] == '\0') {
        (void)snprintf(ret->text, sizeof(ret->text), "all invariants hold");
    }
}

/* The product and the simulator go on changing, and what a seed draws while it runs with them: some
 * seeds behind the script's own must break the rule when that one does not any more. */
static int does_break(const struct script *s, const char *path)
{
    static struct plan plan;
    struct attempt a = {.text = ""};
    if (!base_canary_select(s->canary)) {
        printf("FAILED script: %s needs the planted bug %s, which this build does not have "
               "(make VARIANT=canary)\n",
               path, s->canary);
        return 1;
    }
    for (plan = s->plan; plan.seed < s->plan.seed + SEEDS_TRIED; plan.seed++) {
        outcome(&plan, s->canary, &a);
        if (strcmp(a.invariant, s->invariant) == 0) {
            return 0;
        }
    }
    printf("FAILED script: %s with %s never breaks %s; at last: %s %s\n", path, s->canary,
           s->invariant, a.invariant, a.text);
    return 1;
}

static int does_hold(const struct script *s, const char *path)
{
    struct attempt a;
    outcome(&s->plan, "", &a);
    if (a.invariant[0] != '\0') {
        printf("FAILED script: %s breaks %s: %s\n", path, a.invariant, a.text);
    }
    return a.invariant[0] != '\0';
}

int script_run(const struct script *s, const char *path)
{
    int rc = s->canary[0] != '\0' ? does_break(s, path) : 0;
    return rc | does_hold(s, path);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One table per kind of option. */
#include "tests/sim/options.h"

#include <string.h>

#include "base/slice.h"
#include "tests/sim/faults.h"

void options_usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: sim --seed N [--count M] [OPTION...] | --canaries\n"
        "  --jobs N        as many seeds at a time\n"
        "  --check         fails when too little happened; prints how far it is\n"
        "  --go-on         goes on behind a seed that fails\n"
        "  --twice         each seed twice: the trace must be the same\n"
        "  --json FILE     the sums, for machines\n"
        "  --faults only=N,N,... | without=N,N,...   by their numbers on the schedule\n"
        "  --often KIND,KIND,...   these faults above all, where a seed can have them\n"
        "  --script FILE   runs a script; fails unless it turns out as the script says\n"
        "  --shrink FILE   makes a failing seed smaller, and writes it as a script\n"
        "  --plan          prints what the seed draws, as a script, and does not run it\n"
        "  --trace --quiet --history     what is printed\n"
        "  --calm --kv-only --restore    what is drawn: no fault; no databases; a lost quorum\n"
        "  --admins                      databases that are administered, wherever they may be\n"
        "  --hosts                   hosts with watchdogs, databases that were there before\n"
        "  --galera                  with MariaDB Galera, in 3 of 10 seeds beside PostgreSQL\n"
        "  --mongodb                 with a MongoDB replica set\n"
        "  --mongodb-token           one, and a spent token of force is used again\n"
        "  --mongodb-parted          one, and nobody hears another while people want something\n");
}

static bool take_kind(struct slice name, struct setup_wish *wish)
{
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        if (slice_equal(name, slice_from_text(fault_name((enum fault_kind)kind)))) {
            wish->is_often[kind] = true;
            return true;
        }
    }
    return false;
}

static bool take_often(struct slice list, struct setup_wish *wish)
{
    bool is_good = list.len > 0;
    while (is_good && list.len > 0) {
        size_t len = 0;
        while (len < list.len && list.data[len] != ',') {
            len++;
        }
        is_good = take_kind((struct slice){list.data, len}, wish);
        size_t skip = len < list.len ? len + 1 : len;
        list = (struct slice){list.data + skip, list.len - skip};
    }
    return is_good;
}

bool options_parse(int argc, char **argv, struct options *ret)
{
    *ret = (struct options){.seed = 1, .count = 1, .jobs = 1};
    const struct {
        const char *name;
        uint64_t *number;
        const char **text;
        bool *flag;
    } table[] = {
        {"--seed", &ret->seed, NULL, NULL},
        {"--count", &ret->count, NULL, NULL},
        {"--jobs", &ret->jobs, NULL, NULL},
        {"--faults", NULL, &ret->faults, NULL},
        {"--often", NULL, &ret->often, NULL},
        {"--json", NULL, &ret->json, NULL},
        {"--script", NULL, &ret->script, NULL},
        {"--shrink", NULL, &ret->shrink, NULL},
        {"--trace", NULL, NULL, &ret->is_tracing},
        {"--quiet", NULL, NULL, &ret->is_quiet},
        {"--history", NULL, NULL, &ret->is_history},
        {"--twice", NULL, NULL, &ret->is_twice},
        {"--check", NULL, NULL, &ret->is_check},
        {"--go-on", NULL, NULL, &ret->is_going_on},
        {"--plan", NULL, NULL, &ret->is_plan},
        {"--canaries", NULL, NULL, &ret->is_canaries},
        {"--calm", NULL, NULL, &ret->wish.is_calm},
        {"--kv-only", NULL, NULL, &ret->wish.is_kv_only},
        {"--restore", NULL, NULL, &ret->wish.is_restoring},
        {"--admins", NULL, NULL, &ret->wish.has_admins},
        {"--galera", NULL, NULL, &ret->wish.is_galera},
        {"--mongodb", NULL, NULL, &ret->wish.is_mongodb},
        {"--mongodb-token", NULL, NULL, &ret->wish.is_mongodb_token},
        {"--mongodb-parted", NULL, NULL, &ret->wish.is_mongodb_parted},
        {"--hosts", NULL, NULL, &ret->wish.has_hosts},
    };
    for (int i = 1; i < argc; i++) {
        size_t at = 0;
        while (at < sizeof(table) / sizeof(table[0]) && strcmp(argv[i], table[at].name) != 0) {
            at++;
        }
        if (at == sizeof(table) / sizeof(table[0]) || (table[at].flag == NULL && i + 1 == argc)) {
            return false;
        }
        if (table[at].flag != NULL) {
            *table[at].flag = true;
        } else if (table[at].text != NULL) {
            *table[at].text = argv[++i];
        } else if (slice_to_u64(slice_from_text(argv[++i]), table[at].number) != 0) {
            return false;
        }
    }
    ret->wish.is_mongodb |= ret->wish.is_mongodb_token || ret->wish.is_mongodb_parted;
    bool is_good = ret->often == NULL || take_often(slice_from_text(ret->often), &ret->wish);
    return is_good && ret->count > 0 && ret->jobs > 0 && ret->jobs <= 64;
}

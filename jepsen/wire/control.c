/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket's commands, one a line; FROM and TO are names of ports or * for all:
 *
 *   port NAME NETNS-FILE MAC       a host on the switch
 *   set FROM TO RULE=VALUE...      rules of link.h for the frames from one to the other
 *   clear                          every link as at the start; counters and random numbers go on
 *   cuts [FROM>TO[:PORT]]...       these are cut, and no others
 *   counts FROM TO                 a line "NAME NUMBER" for each counter, summed over the links
 *   cut-counts                     a line "FROM TO NUMBER" for each link that has dropped frames by
 * cuts carrier NAME 0|1               the host's cable is out or in dump FILE the latest frames as
 * pcap quit */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "jepsen/wire/switch.h"

#define WORDS_MAX 1024

struct range {
    unsigned first, end;
};

static bool find_range(const struct wire_switch *sw, const char *name, struct range *ret_range)
{
    int port = wire_switch_find(sw, name);
    *ret_range = strcmp(name, "*") == 0 ? (struct range){0, (unsigned)sw->ports_len}
                                        : (struct range){(unsigned)port, (unsigned)port + 1};
    return port >= 0 || strcmp(name, "*") == 0;
}

static const char *add_port(struct wire_switch *sw, char **words, size_t n)
{
    unsigned int b[6];
    uint8_t mac[6];
    if (n != 4 ||
        sscanf(words[3], "%2x:%2x:%2x:%2x:%2x:%2x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6) {
        return "port NAME NETNS-FILE MAC";
    }
    for (int i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
    }
    return wire_switch_add(sw, words[1], words[2], mac) == 0 ? NULL : "this port cannot be made";
}

static const char *set_rule(struct wire_rules *rules, char *word)
{
    char *equals = strchr(word, '=');
    if (equals == NULL) {
        return "RULE=VALUE is expected";
    }
    *equals = '\0';
    char *end;
    errno = 0;
    int64_t value = strtoll(equals + 1, &end, 10);
    bool is_number = errno == 0 && end != equals + 1 && *end == '\0';
    int rc = is_number ? wire_rules_set(rules, word, value) : BASE_E_INVALID;
    *equals = '=';
    return rc == 0 ? NULL : "no such rule, or not a value it can have";
}

static const char *set_rules(struct wire_switch *sw, char **words, size_t n)
{
    struct range from, to;
    if (n < 4 || !find_range(sw, words[1], &from) || !find_range(sw, words[2], &to)) {
        return "set FROM TO RULE=VALUE...";
    }
    for (unsigned f = from.first; f < from.end; f++) {
        for (unsigned t = to.first; t < to.end; t++) {
            for (size_t i = 3; i < n; i++) {
                const char *problem = set_rule(&sw->links[f][t].rules, words[i]);
                if (problem != NULL) {
                    return problem;
                }
            }
        }
    }
    return NULL;
}

static void clear_rules(struct wire_switch *sw)
{
    for (unsigned f = 0; f < WIRE_PORTS; f++) {
        for (unsigned t = 0; t < WIRE_PORTS; t++) {
            sw->links[f][t].rules = (struct wire_rules){0};
            sw->links[f][t].is_burst = false;
        }
    }
    sw->cuts_len = 0;
}

static bool parse_cut(const struct wire_switch *sw, char *word, struct wire_cut_port *ret_cut)
{
    char *to = strchr(word, '>');
    if (to == NULL) {
        return false;
    }
    *to++ = '\0';
    char *port = strchr(to, ':');
    if (port != NULL) {
        *port++ = '\0';
    }
    int f = wire_switch_find(sw, word);
    int t = wire_switch_find(sw, to);
    *ret_cut = (struct wire_cut_port){(unsigned)f, (unsigned)t,
                                      port != NULL ? (uint32_t)strtoul(port, NULL, 10) : 0};
    return f >= 0 && t >= 0;
}

/* All or nothing: there is no moment with half of them. */
static const char *set_cuts(struct wire_switch *sw, char **words, size_t n)
{
    static bool cut[WIRE_PORTS][WIRE_PORTS];
    static struct wire_cut_port ports[WIRE_CUT_PORTS];
    size_t ports_len = 0;
    memset(cut, 0, sizeof(cut));
    for (size_t i = 1; i < n; i++) {
        struct wire_cut_port one;
        if (!parse_cut(sw, words[i], &one) || ports_len == WIRE_CUT_PORTS) {
            return "cuts FROM>TO[:PORT]...";
        }
        if (one.port == 0) {
            cut[one.from][one.to] = true;
        } else {
            ports[ports_len++] = one;
        }
    }
    for (unsigned f = 0; f < WIRE_PORTS; f++) {
        for (unsigned t = 0; t < WIRE_PORTS; t++) {
            sw->links[f][t].rules.is_cut = cut[f][t];
        }
    }
    memcpy(sw->cuts, ports, sizeof(ports));
    sw->cuts_len = ports_len;
    return NULL;
}

static const char *print_counts(const struct wire_switch *sw, char **words, size_t n, FILE *answer)
{
    struct range from, to;
    if (n != 3 || !find_range(sw, words[1], &from) || !find_range(sw, words[2], &to)) {
        return "counts FROM TO";
    }
    for (int c = 0; c < WIRE_COUNTS; c++) {
        uint64_t sum = 0;
        for (unsigned f = from.first; f < from.end; f++) {
            for (unsigned t = to.first; t < to.end; t++) {
                sum += sw->links[f][t].counts[c];
            }
        }
        (void)fprintf(answer, "%s %llu\n", wire_count_names[c], (unsigned long long)sum);
    }
    return NULL;
}

static void print_cut_counts(const struct wire_switch *sw, FILE *answer)
{
    for (size_t f = 0; f < sw->ports_len; f++) {
        for (size_t t = 0; t < sw->ports_len; t++) {
            if (sw->links[f][t].counts[WIRE_CUT] > 0) {
                (void)fprintf(answer, "%s %s %llu\n", sw->ports[f].name, sw->ports[t].name,
                              (unsigned long long)sw->links[f][t].counts[WIRE_CUT]);
            }
        }
    }
}

static const char *set_carrier(struct wire_switch *sw, char **words, size_t n)
{
    int port = n == 3 ? wire_switch_find(sw, words[1]) : -1;
    return port >= 0 && wire_switch_carrier(sw, (unsigned)port, words[2][0] == '1') == 0
               ? NULL
               : "carrier NAME 0|1";
}

static const char *dump(const struct wire_switch *sw, char **words, size_t n)
{
    FILE *out = n == 2 ? fopen(words[1], "wb") : NULL;
    if (out == NULL) {
        return "dump FILE: it cannot be written";
    }
    int rc = wire_switch_dump(sw, out);
    return fclose(out) == 0 && rc == 0 ? NULL : "dump FILE: it cannot be written";
}

void wire_control(struct wire_switch *sw, char *line, FILE *answer, bool *ret_quit)
{
    static char *words[WORDS_MAX];
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL && n < WORDS_MAX;
         word = strtok_r(NULL, " \n", &rest)) {
        words[n++] = word;
    }
    const char *verb = n > 0 ? words[0] : "";
    const char *problem = NULL;
    if (strcmp(verb, "port") == 0) {
        problem = add_port(sw, words, n);
    } else if (strcmp(verb, "set") == 0) {
        problem = set_rules(sw, words, n);
    } else if (strcmp(verb, "clear") == 0) {
        clear_rules(sw);
    } else if (strcmp(verb, "cuts") == 0) {
        problem = set_cuts(sw, words, n);
    } else if (strcmp(verb, "counts") == 0) {
        problem = print_counts(sw, words, n, answer);
    } else if (strcmp(verb, "cut-counts") == 0) {
        print_cut_counts(sw, answer);
    } else if (strcmp(verb, "carrier") == 0) {
        problem = set_carrier(sw, words, n);
    } else if (strcmp(verb, "dump") == 0) {
        problem = dump(sw, words, n);
    } else if (strcmp(verb, "quit") == 0) {
        *ret_quit = true;
    } else {
        problem =
            "no such command: port, set, clear, cuts, counts, cut-counts, carrier, dump, quit";
    }
    (void)fprintf(answer, problem == NULL ? "ok\n" : "error: %s\n", problem);
}

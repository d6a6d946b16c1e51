/* SPDX-License-Identifier: Apache-2.0 */
/* The document, its headline and the quorum; see page.h. */
#include "arbiter/web/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CERTIFICATE_WARNS_US (14 * 86400 * BASE_US_PER_S)

/* --- how things stand --- */

static size_t nodes_up(const struct web_quorum *q)
{
    size_t up = 0;
    for (size_t i = 0; i < q->nodes_count; i++) {
        up += q->nodes[i].is_up;
    }
    return up;
}

static bool is_certificate_ending(const struct web_quorum *q)
{
    return q->certificate_end_us != 0 && q->certificate_end_us - q->now_us < CERTIFICATE_WARNS_US;
}

enum web_level web_quorum_level(const struct web_quorum *q)
{
    if (!q->has_leader || q->is_corrupt) {
        return WEB_BAD;
    }
    bool is_whole = nodes_up(q) == q->nodes_count && !q->has_no_space && !is_certificate_ending(q);
    return is_whole ? WEB_GOOD : WEB_WATCH;
}

enum web_level web_cluster_level(const Quorate__V1__DatabaseCluster *c)
{
    static const struct {
        const char *state;
        enum web_level level;
    } rows[] = {{"healthy", WEB_GOOD},
                {"no primary", WEB_BAD},
                {"no writer", WEB_BAD},
                {"unconfirmed", WEB_BAD},
                {"planned", WEB_IDLE}};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        if (strcmp(c->state, rows[i].state) == 0) {
            return rows[i].level == WEB_GOOD && c->is_paused ? WEB_WATCH : rows[i].level;
        }
    }
    return WEB_WATCH;
}

void web_summary_add(struct web_summary *s, const Quorate__V1__DatabaseCluster *c)
{
    enum web_level level = web_cluster_level(c);
    bool is_worse =
        (level == WEB_BAD && s->bad == 0) || (level == WEB_WATCH && s->bad == 0 && s->watch == 0);
    if (is_worse) {
        (void)snprintf(s->worst, sizeof(s->worst), "%s: %s%s", c->name, c->state,
                       c->is_paused ? ", paused" : "");
    }
    s->clusters++;
    s->bad += level == WEB_BAD;
    s->watch += level == WEB_WATCH;
}

static enum web_level summary_level(const struct web_quorum *q, const struct web_summary *s)
{
    enum web_level quorum = web_quorum_level(q);
    if (quorum == WEB_BAD || s->bad > 0) {
        return WEB_BAD;
    }
    return quorum == WEB_WATCH || s->watch > 0 ? WEB_WATCH : WEB_GOOD;
}

static void put_quorum_headline(struct web_out *out, const struct web_quorum *q)
{
    if (q->is_corrupt) {
        web_text(out, "The store is marked as damaged");
    } else if (nodes_up(q) < q->nodes_count) {
        web_textf(out, "Quorum: %zu of %zu nodes", nodes_up(q), q->nodes_count);
    } else if (q->has_no_space) {
        web_text(out, "The store is over its quota");
    } else {
        web_textf(out, "The certificate of %s ends soon", q->name.text);
    }
}

/* The headline, also the title: the worst thing first. */
void web_put_headline(struct web_out *out, const struct web_quorum *q, const struct web_summary *s)
{
    size_t others = s->bad + s->watch > 0 ? s->bad + s->watch - 1 : 0;
    if (!q->has_leader) {
        web_text(out, "No quorum: nothing can be decided");
    } else if (s->bad + s->watch > 0) {
        web_text(out, s->worst);
        if (others > 0) {
            web_textf(out, ", and %zu more", others);
        }
    } else if (web_quorum_level(q) != WEB_GOOD) {
        put_quorum_headline(out, q);
    } else if (s->clusters == 0) {
        web_text(out, "The quorum is well; no database cluster yet");
    } else {
        web_textf(out, "All well: %zu database cluster%s", s->clusters,
                  s->clusters == 1 ? "" : "s");
    }
}

/* --- the document --- */

void web_page_begin(struct web_out *out, const struct web_quorum *q, const struct web_summary *s,
                    uint64_t shape)
{
    web_raw(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    web_put_headline(out, q, s);
    web_raw(out, " - Quorate</title>\n"
                 "<link rel=\"icon\" href=\"data:,\">\n"
                 "<link rel=\"stylesheet\" href=\"/status.css\">\n"
                 "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n"
                 "<script src=\"/status.js\" defer></script>\n</head>\n<body>\n"
                 "<a class=\"skip\" href=\"#main\">Skip to the state</a>\n"
                 "<header>\n<p class=\"brand\">Quorate <span>seen from ");
    web_text(out, q->name.text);
    web_raw(out, "</span></p>\n");
    web_part_summary(out, q, s);
    web_raw(out, "<p id=\"live\" class=\"live\">As of ");
    web_time(out, q->now_us);
    web_raw(out, "<noscript>; loads again every 5 s</noscript></p>\n"
                 "</header>\n<main id=\"main\"");
    char text[WEB_CELL_MAX];
    (void)snprintf(text, sizeof(text), "%016" PRIx64, shape);
    web_attribute(out, "data-shape", text);
    web_raw(out, ">\n");
}

void web_page_end(struct web_out *out, const struct web_quorum *q)
{
    web_raw(out, "</main>\n<footer><p>Node ");
    web_text(out, q->name.text);
    web_raw(out, ", version " QUORATE_VERSION ". The same as data: <a href=\"/status.json\">"
                 "status.json</a>, <a href=\"/metrics\">metrics</a>; in a terminal: "
                 "<code>kv db watch</code>.</p></footer>\n</body>\n</html>\n");
}

void web_part_summary(struct web_out *out, const struct web_quorum *q, const struct web_summary *s)
{
    enum web_level level = summary_level(q, s);
    web_raw(out, "<h1 id=\"summary\" role=\"status\" class=\"");
    web_raw(out, web_level_name(level));
    web_raw(out, "\">");
    web_mark(out, level);
    web_raw(out, "<span>");
    web_put_headline(out, q, s);
    web_raw(out, "</span></h1>\n");
}

/* --- the quorum --- */

static void put_quorum_sentence(struct web_out *out, const struct web_quorum *q)
{
    char age[WEB_CELL_MAX];
    const char *since = web_age(q->since_us, q->now_us, age);
    const struct web_node *leader = NULL;
    for (size_t i = 0; i < q->nodes_count; i++) {
        leader = q->nodes[i].is_leader ? &q->nodes[i] : leader;
    }
    if (!q->has_leader) {
        web_textf(out,
                  "No leader is known here since %s. This node reaches %zu of %zu nodes; no "
                  "primary gets its right renewed, and nothing is promoted, until a majority "
                  "of nodes can talk to each other again.",
                  since, nodes_up(q), q->nodes_count);
        return;
    }
    web_textf(out,
              "%s leads in term %" PRIu64 ", since %s. %zu of %zu nodes are reached from here.",
              leader == NULL ? "Another node" : leader->name.text, q->term, since, nodes_up(q),
              q->nodes_count);
}

static void put_warnings(struct web_out *out, const struct web_quorum *q)
{
    if (q->has_no_space) {
        web_raw(out, "<p class=\"note\">The store is over its quota: writes of clients are refused "
                     "until <code>kv alarm disarm</code>.</p>");
    }
    if (q->is_corrupt) {
        web_raw(out, "<p class=\"note\">The store is marked as damaged: see <code>kv alarm "
                     "list</code> and <code>kv hash</code>.</p>");
    }
    if (is_certificate_ending(q)) {
        web_raw(out, "<p class=\"note\">This node's certificate ends ");
        web_time(out, q->certificate_end_us);
        web_raw(out, ": issue a new one with <code>kv cert issue</code>.</p>");
    }
    if (q->has_leader && !q->is_leader) {
        for (size_t i = 0; i < q->nodes_count; i++) {
            if (q->nodes[i].is_leader) {
                web_raw(out, "<p class=\"aside\">This node follows: members and lag are what it "
                             "hears itself; events and decisions are told by ");
                web_text(out, q->nodes[i].name.text);
                web_raw(out, ".</p>");
            }
        }
    }
}

static const char *part_of(const struct web_node *node)
{
    if (node->is_leader) {
        return "leader";
    }
    return node->is_learner ? "learner" : "follower";
}

static void put_node(struct web_out *out, const struct web_node *node)
{
    enum web_level level = node->is_up ? WEB_GOOD : WEB_BAD;
    const char *state = node->is_up ? "up" : "not reached";
    if (node->is_unstarted) {
        level = WEB_WATCH;
        state = "not started yet";
    }
    web_raw(out, "<tr role=\"row\"");
    web_attribute(out, "data-node", node->name.text);
    web_attribute(out, "data-part", part_of(node));
    web_attribute(out, "data-state", state);
    web_raw(out, "><th role=\"rowheader\" scope=\"row\">");
    web_text(out, node->name.text[0] == '\0' ? "(new)" : node->name.text);
    web_raw(out, node->is_self ? " <small>this one</small>" : "");
    web_raw(out, "</th><td role=\"cell\" data-label=\"Part\">");
    web_text(out, part_of(node));
    web_raw(out, "</td><td role=\"cell\" data-label=\"State\"><span class=\"word ");
    web_raw(out, web_level_name(level));
    web_raw(out, "\">");
    web_mark(out, level);
    web_text(out, state);
    web_raw(out, "</span></td><td role=\"cell\" data-label=\"Behind\">");
    if (node->behind >= 0) {
        web_textf(out, "%" PRId64 " entr%s", node->behind, node->behind == 1 ? "y" : "ies");
    } else {
        web_raw(out, "-");
    }
    web_raw(out, "</td><td role=\"cell\" data-label=\"Address\">");
    web_text(out, node->url[0] == '\0' ? "-" : node->url);
    web_raw(out, "</td></tr>\n");
}

void web_part_quorum(struct web_out *out, const struct web_quorum *q)
{
    enum web_level level = web_quorum_level(q);
    web_raw(out, "<section id=\"quorum\" class=\"card ");
    web_raw(out, web_level_name(level));
    web_raw(out, "\" aria-labelledby=\"h-quorum\"");
    web_number(out, "data-term", (int64_t)q->term);
    web_attribute(out, "data-leads", q->is_leader ? "yes" : "no");
    web_attribute(out, "data-has-leader", q->has_leader ? "yes" : "no");
    web_raw(out, ">\n<h2 id=\"h-quorum\">");
    web_mark(out, level);
    web_raw(out, "Quorum <span class=\"word\">");
    web_raw(out, !q->has_leader ? "lost" : level == WEB_GOOD ? "whole" : "at work, look at it");
    web_raw(out, "</span></h2>\n<p>");
    put_quorum_sentence(out, q);
    web_raw(out, "</p>\n");
    put_warnings(out, q);
    web_raw(out, "<table role=\"table\"><caption>Nodes of the quorum</caption>"
                 "<thead role=\"rowgroup\"><tr role=\"row\">"
                 "<th role=\"columnheader\" scope=\"col\">Node</th>"
                 "<th role=\"columnheader\" scope=\"col\">Part</th>"
                 "<th role=\"columnheader\" scope=\"col\">State</th>"
                 "<th role=\"columnheader\" scope=\"col\">Behind</th>"
                 "<th role=\"columnheader\" scope=\"col\">Address</th></tr></thead>"
                 "<tbody role=\"rowgroup\">\n");
    for (size_t i = 0; i < q->nodes_count; i++) {
        put_node(out, &q->nodes[i]);
    }
    web_raw(out, "</tbody></table>\n</section>\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of the proxy: tables, from which they are written (status.c) and documented
 * (docs/metrics.md). Every name begins with quorate_proxy_. */
#ifndef QUORATE_AGENTS_PROXY_METRICS_TABLE_H
#define QUORATE_AGENTS_PROXY_METRICS_TABLE_H

/* field of struct proxy_counters, name, help; labels: cluster, port (primary or replicas) */
#define PROXY_COUNTERS(X) \
    X(accepted, "accepted_total", "Client connections taken") \
    X(routed, "routed_total", "Connections made to a database") \
    X(held, "held_total", "Client connections that had to wait") \
    X(refused, "refused_total", "Client connections refused, for whatever reason") \
    X(cut, "cut_total", "Connections cut because their primary or host was gone") \
    X(failed, "connect_failures_total", "Attempts to connect to a database that failed")

/* name, value over `c` (struct proxy_cluster) and `port`, help; the same labels */
#define PROXY_GAUGES(X) \
    X("connections", proxy_connections(c, port), "Connections to databases, being made or open") \
    X("waiting", c->held_count[port], "Client connections that wait") \
    X("routable", choice_now(c, port).member != PROXY_NOBODY, \
      "A connection that came now would be sent on") \
    X("epoch", c->core.record.epoch, "Epoch of the record that routing follows")

/* name, type, value over `stats` (struct conns_stats) and `p` (struct proxy), help; no labels */
#define PROXY_FIGURES(X) \
    X("client_connections", "gauge", stats.count, "Client connections, waiting ones included") \
    X("copied_bytes_total", "counter", stats.copied_bytes, \
      "Bytes that went through this process's memory") \
    X("spliced_bytes_total", "counter", stats.spliced_bytes, \
      "Bytes that the kernel moved by splice") \
    X("pipes", "gauge", stats.pipes, "Pipes that exist for splice") \
    X("kept_bytes", "gauge", stats.kept_bytes, "Buffers of receivers that are slow") \
    X("certificate_not_after_seconds", "gauge", certificate_end(p), \
      "When the proxy's certificate ends, in seconds since 1970; 0 without TLS")

#endif

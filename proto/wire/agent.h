/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes <-> struct msg_report, msg_order, msg_record, msg_config.
 *
 * Encoders write the message body without the frame's type byte. Decoders take bytes from outside:
 * every limit, name and enumeration is checked, unknown fields are skipped, nothing is allocated
 * from the heap. Name sets must be sorted and without doubles. Any thread; pure functions of their
 * arguments. Errors: encoders BASE_E_TOOBIG (no room in `out`) or BASE_E_INVALID (a count beyond
 * its limit); decoders BASE_E_PROTO. Outputs are untouched on failure.
 */
#ifndef QUORATE_PROTO_WIRE_AGENT_H
#define QUORATE_PROTO_WIRE_AGENT_H

#include "base/slice.h"
#include "proto/msg/agent.h"

/* No message of these is larger; a longer one is refused before it is looked at. */
#define WIRE_AGENT_BYTES_MAX 32768u

MUST_CHECK int wire_report_encode(const struct msg_report *report, struct buf *out);
MUST_CHECK int wire_report_decode(struct slice bytes, struct msg_report *ret);

MUST_CHECK int wire_order_encode(const struct msg_order *order, struct buf *out);
MUST_CHECK int wire_order_decode(struct slice bytes, struct msg_order *ret);

MUST_CHECK int wire_record_encode(const struct msg_record *record, struct buf *out);
MUST_CHECK int wire_record_decode(struct slice bytes, struct msg_record *ret);

/* The text is copied into `text`, and ret->text points there. */
MUST_CHECK int wire_config_encode(const struct msg_config *config, struct buf *out);
MUST_CHECK int wire_config_decode(struct slice bytes, uint8_t text[static MSG_CONFIG_MAX],
                                  struct msg_config *ret);

#endif

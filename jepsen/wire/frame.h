/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet frames with IPv4 and TCP inside: ports, and corruption that TCP does not notice.
 *
 * A plain flipped bit is caught by TCP's checksum and is no more than a loss. Here the checksum is
 * made right again, so that the broken bytes reach whoever decodes the stream. Pure; frames may be
 * any bytes. */
#ifndef QUORATE_JEPSEN_WIRE_FRAME_H
#define QUORATE_JEPSEN_WIRE_FRAME_H

#include "base/types.h"

#define WIRE_FRAME_MAX 2048

/* Whether it is TCP over IPv4, not a fragment, with that port on either side. */
bool wire_frame_has_port(const uint8_t *frame, size_t len, uint32_t port);
/* Flips one bit of the TCP payload, chosen by `dice`, and makes the checksum right. False, and the
 * frame as it was, if it is not TCP over IPv4 or has no payload, or `port` is not 0 and not one of
 * its two. */
bool wire_frame_corrupt(uint8_t *frame, size_t len, uint32_t port, uint64_t dice);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* See frame.h. Offsets of RFC 791 and RFC 9293; the checksum is changed as RFC 1624 has it. */
#include "jepsen/wire/frame.h"

#define ETHERNET_LEN 14
#define IP_MIN 20
#define TCP_MIN 20
#define PROTOCOL_TCP 6

struct tcp_place {
    size_t at;      /* of the TCP header */
    size_t payload; /* of its payload */
    size_t end;
};

static uint32_t u16_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static bool find_tcp(const uint8_t *frame, size_t len, struct tcp_place *ret_place)
{
    if (len < ETHERNET_LEN + IP_MIN || u16_at(frame + 12) != 0x0800 ||
        frame[ETHERNET_LEN] >> 4 != 4) {
        return false;
    }
    const uint8_t *ip = frame + ETHERNET_LEN;
    size_t header = (size_t)(ip[0] & 0x0f) * 4;
    size_t total = u16_at(ip + 2);
    if (header < IP_MIN || total < header + TCP_MIN || ETHERNET_LEN + total > len ||
        ip[9] != PROTOCOL_TCP || (u16_at(ip + 6) & 0x3fff) != 0) {
        return false;
    }
    size_t offset = (size_t)(ip[header + 12] >> 4) * 4;
    if (offset < TCP_MIN || header + offset > total) {
        return false;
    }
    *ret_place = (struct tcp_place){.at = ETHERNET_LEN + header,
                                    .payload = ETHERNET_LEN + header + offset,
                                    .end = ETHERNET_LEN + total};
    return true;
}

static bool has_port(const uint8_t *tcp, uint32_t port)
{
    return u16_at(tcp) == port || u16_at(tcp + 2) == port;
}

bool wire_frame_has_port(const uint8_t *frame, size_t len, uint32_t port)
{
    struct tcp_place place;
    return find_tcp(frame, len, &place) && has_port(frame + place.at, port);
}

/* The checksum after the 16-bit word `before` has become `after`. */
static uint32_t adjusted(uint32_t checksum, uint32_t before, uint32_t after)
{
    uint32_t sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

bool wire_frame_corrupt(uint8_t *frame, size_t len, uint32_t port, uint64_t dice)
{
    struct tcp_place place;
    if (!find_tcp(frame, len, &place) || place.payload == place.end ||
        (port != 0 && !has_port(frame + place.at, port))) {
        return false;
    }
    size_t at = place.payload + (size_t)(dice / 8 % (place.end - place.payload));
    uint8_t before = frame[at];
    frame[at] = (uint8_t)(before ^ (1U << (dice % 8)));
    /* The byte is the high or the low half of a word, counted from the TCP header. */
    unsigned shift = (at - place.at) % 2 == 0 ? 8 : 0;
    uint32_t sum = adjusted(u16_at(frame + place.at + 16), (uint32_t)before << shift,
                            (uint32_t)frame[at] << shift);
    frame[place.at + 16] = (uint8_t)(sum >> 8);
    frame[place.at + 17] = (uint8_t)sum;
    return true;
}

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speaks to a quorum node's peer port as a node or an agent would, with each certificate and each claim.

usage: peer.py PORT CA TOKEN CLAIM... < lines with a certificate's file without its end, or -
CLAIM is node/NAME or agent/CLUSTER/MEMBER. Prints a line "CERTIFICATE CLAIM in|refused" for each pair: in, when the node
answers the hello and goes on talking; refused, when it closes.
"""
import os
import socket
import ssl
import struct
import sys

HELLO, VERSION, OLDEST, NODE, AGENT = 250, 2, 1, 1, 2


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def hello(claim, token):
    role, *names = claim.split("/")
    name, cluster, member = (names[0], "", "") if role == "node" else ("", names[0], names[1])
    payload = struct.pack(">BIBQ", HELLO, VERSION, NODE if role == "node" else AGENT, 0x1234 if role == "node" else 0)
    for text in (name, cluster, member, token):
        payload += bytes([len(text)]) + text.encode()
    payload += struct.pack(">I", OLDEST)
    return struct.pack("<II", len(payload), crc32c(payload)) + payload


def frames(data):
    count = 0
    while len(data) >= 8:
        size = struct.unpack("<I", data[:4])[0]
        data = data[8 + size:] if len(data) >= 8 + size else b""
        count += 1
    return count


def attempt(port, ca, certificate, claim, token):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # what is too weak is the server's to refuse
    context.load_verify_locations(ca)
    if certificate != "-":
        context.load_cert_chain(certificate + ".crt", certificate + ".key")
    data = b""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
            peer.sendall(hello(claim, token))
            while frames(data) < 2:  # its hello, and a sign of life afterwards
                more = peer.recv(4096)
                if not more:
                    return "refused"
                data += more
            return "in"
    except (ssl.SSLError, ConnectionError):
        return "refused"


def main():
    port, ca, token, *claims = sys.argv[1:]
    for line in sys.stdin:
        for claim in claims:
            print(os.path.basename(os.path.dirname(line.strip())) + "/" + os.path.basename(line.strip()), claim,
                  attempt(int(port), ca, line.strip(), claim, token))


main()

# SPDX-License-Identifier: Apache-2.0
# A webhook over HTTPS for the tests: each POST is appended to a file as "ID TOKEN JSON". While FILE.broken exists it
# answers 500. usage: hook.py PORT CERT KEY FILE
import http.server
import os
import ssl
import sys

port, cert, key, path = sys.argv[1:]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_broken = os.path.exists(path + ".broken")
        if not is_broken:
            with open(path, "a") as out:
                out.write("%s %s %s\n" % (self.headers["Idempotency-Key"], self.headers["Authorization"], body))
        self.send_response(500 if is_broken else 204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", int(port)), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()

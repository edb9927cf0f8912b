"""An HSS-facing subscription source, run as a process of its own: python3 hss.py PORT CERTIFICATE KEY CLIENT_CA."""

import http.server
import json
import ssl
import sys
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        impu = urllib.parse.unquote(self.path.rpartition("/")[2])
        user = impu.removeprefix("sip:").partition("@")[0]
        status, body = 404, b"{}"
        if user == "alice":
            status, body = 200, json.dumps({"avatars": [{"applications": ["xr-meeting"], "id": "urn:uuid:6f9c1d9e-6f0e-4d0b-9a53-2f6f3b0f7a11"}]}).encode()
        elif user == "broken":
            status = 500
        elif user == "garbage":
            status, body = 200, b"<html>"
        elif user == "slow":
            time.sleep(5)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    port, certificate, key, client_ca = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()

"""Somebody between a UE and enrollment, with the operator's TLS key: shows and changes what goes over the wire."""

import http.server
import json
import threading

from demo import curl
from support import tls_listener


class Relay:
    """Passes POSTs on to the site. `change(path, body)` gives the body to pass on, both JSON; `seen` has (path, sent, status, answer)."""

    def __init__(self, site, change=lambda path, body: body):
        self.site, self.change, self.seen = site, change, []
        outer, forward = self, curl.nobody(site)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = outer.change(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                answer = forward.post(self.path, json_body=body)
                outer.seen.append((self.path, body, answer.status, answer.json()))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["content-type"])
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *arguments):
                pass

        self.server = tls_listener.listen(Handler, site.pki.pem("server"), site.pki.key("server"))
        self.url = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self, end):
        return [sent for path, sent, _, _ in self.seen if path.endswith(end)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

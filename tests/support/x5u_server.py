"""An HTTPS server for certificates, with the misbehaviour that a fetcher must survive."""

import http.server
import threading

from support import tls_listener


class X5uServer:
    """Serves `documents` (path to bytes); counts requests per path. /slow, /huge and /redirect misbehave."""

    def __init__(self, port, certificate, key):
        self.documents, self.requests = {}, {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests[self.path] = outer.requests.get(self.path, 0) + 1
                if self.path == "/slow.pem":
                    outer.stopping.wait(20)
                    return
                if self.path == "/redirect.pem":
                    self.send_response(302)
                    self.send_header("Location", outer.url("/good.pem"))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = b"A" * (1 << 20) if self.path == "/huge.pem" else outer.documents.get(self.path)
                self.send_response(404 if body is None else 200)
                body = body or b""
                self.send_header("Content-Type", "application/pem-certificate-chain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *arguments):
                pass

        self.port = port
        self.stopping = threading.Event()
        self.server = tls_listener.listen(Handler, certificate, key, port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"https://localhost:{self.port}{path}"

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

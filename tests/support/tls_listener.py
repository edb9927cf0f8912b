"""An HTTPS server of Python's on a free port of this machine."""

import http.server
import ssl


def listen(handler, certificate, key, port=0):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server

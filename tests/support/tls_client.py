"""A kept connection to a site, for tests that send much: curl's start would be most of the time."""

import http.client
import json
import ssl

from demo import curl


class TlsClient:
    """HTTP/1.1 as the client whose certificate is given; connects again when the connection is gone. For one thread."""

    def __init__(self, site, name, port=None):
        self.context = ssl.create_default_context(cafile=site.pki.pem("tls-ca"))
        self.context.load_cert_chain(site.pki.pem(name), site.pki.key(name))
        self.port = port or site.port
        self.connection = None

    def request(self, method, path, json_body=None, headers=None):
        """ConnectionError: it is not known whether the request arrived."""
        body = None if json_body is None else json.dumps(json_body).encode()
        given = {} if body is None else {"Content-Type": "application/json"}
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.context)
            self.connection.request(method, path, body, {**given, **(headers or {})})
            answer = self.connection.getresponse()
            return curl.Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionError(str(error)) from error

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

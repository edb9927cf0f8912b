"""Requests to a site with curl, so that what the demo does can be typed by hand."""

import json
import pathlib
import subprocess


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode(errors="replace")


class Curl:
    """Speaks to `url` as the client whose certificate is given, or as nobody."""

    def __init__(self, url, cacert, cert=None, key=None, http="--http2"):
        self.url = url
        self.base = ["curl", "-sS", http, "--cacert", str(cacert), "--max-time", "60"]
        if cert:
            self.base += ["--cert", str(cert), "--key", str(key)]

    def request(self, method, path, json_body=None, form=None, data=None, file=None, headers=None):
        arguments = [*self.base, "-X", method, "-D", "-"]
        if method == "HEAD":
            arguments = [*self.base, "--head"]
        for name, value in (headers or {}).items():
            arguments += ["-H", f"{name}: {value}"]
        body = None
        if json_body is not None:
            arguments += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
            body = (json_body if isinstance(json_body, str) else json.dumps(json_body)).encode()
        elif form is not None:
            for name, value in form.items():
                arguments += ["--data-urlencode", f"{name}={value}"]
        elif data is not None:
            arguments += ["--data-binary", "@-"]
            body = data
        elif file is not None:
            arguments += ["--upload-file", str(file)]
        done = subprocess.run([*arguments, self.url + path], input=body, capture_output=True)
        if done.returncode != 0:
            raise ConnectionError(f"curl {method} {path}: {done.stderr.decode().strip()}")
        return parse(done.stdout)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def put(self, path, **options):
        return self.request("PUT", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)


def parse(output):
    """Headers of the last answer (after any 100 Continue) and its body."""
    while True:
        head, _, rest = output.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        if status >= 200:
            break
        output = rest
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Answer(status, headers, rest)


def client_of(site, name, http="--http2"):
    return Curl(site.url, site.pki.pem("tls-ca"), site.pki.pem(name), site.pki.key(name), http)


def nobody(site):
    return Curl(site.url, site.pki.pem("tls-ca"))

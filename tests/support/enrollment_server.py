"""An enrollment role of the tests' own: it speaks the protocol, trusts everybody, and fails as it is told."""

import base64
import hashlib
import http.server
import json
import os
import secrets
import ssl
import subprocess
import threading
import time

from .ue import UE_EKU


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Problem(Exception):
    def __init__(self, status, reason, detail="no", retry_after=None):
        self.status, self.reason, self.detail, self.retry_after = status, reason, detail, retry_after


class LostAnswer(Exception):
    """The connection is closed instead of an answer."""


class EnrollmentServer:
    """`directory` is the server's own. `script` has, in order, what happens to requests instead of the right answer: None
    (the right answer), a Problem, or a callable that gets path and body before the request is served and may raise."""

    def __init__(self, directory):
        self.directory = directory
        self.code = secrets.token_hex(16)
        self.code_spent = False
        self.bound = {}  # device id: IMPU
        self.challenges = {}
        self.script = []
        self.requests = []  # (path, body)
        self.lifetime = 3600
        self.renew_after = 1800
        self._make_pki()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{directory}/tls.pem", f"{directory}/tls.key")
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"https://localhost:{self.http.server_port}"
        self.name = self.url
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    @property
    def cacert(self):
        return f"{self.directory}/tls.pem"

    def openssl(self, *arguments, stdin=None):
        return subprocess.run(["openssl", *arguments], cwd=self.directory, input=stdin, capture_output=True, check=True,
                              timeout=60).stdout

    def _make_pki(self):
        os.makedirs(self.directory, exist_ok=True)
        ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-x509", "-days", "2")
        self.openssl("req", *ec, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "tls.key",
                     "-out", "tls.pem")
        self.openssl("req", *ec, "-subj", "/CN=UE CA", "-keyout", "ca.key", "-out", "ca.pem")

    def _handler(server):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.requests.append((self.path, body))
                step = server.script.pop(0) if server.script else None
                try:
                    if isinstance(step, Exception):
                        raise step
                    if step is not None:
                        step(self.path, body)
                    answer = server.answer(self.path, body)
                    self.reply(201, answer if isinstance(answer, bytes) else json.dumps(answer).encode(), "application/json")
                except LostAnswer:
                    self.close_connection = True
                except Problem as problem:
                    text = json.dumps({"title": "Refused", "status": problem.status, "reason": problem.reason,
                                       "detail": problem.detail}).encode()
                    self.reply(problem.status, text, "application/problem+json", problem.retry_after)

            def reply(self, status, text, kind, retry_after=None):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                if retry_after is not None:
                    self.send_header("retry-after", str(retry_after))
                self.end_headers()
                self.wfile.write(text)

        return Handler

    def answer(self, path, body):
        if path == "/enrollment/v1/challenges":
            return self.challenge(body)
        return self.certificate(path.split("/")[4], body)

    def challenge(self, body):
        ak_name = b"\0\x0b" + hashlib.sha256(decode(body["ak"])).digest()
        row = {"nonce": secrets.token_bytes(32), "impu": body["impu"], "ak": ak_name}
        if "ek" in body:
            der = decode(body["ek"]["certificate"])
            row["device"] = self.device_id(der)
            if "code" in body:
                if body["code"] != self.code or self.code_spent:
                    raise Problem(400, "enrolment-code-invalid", "the code is unknown or spent")
            elif self.bound.get(row["device"]) != body["impu"]:
                raise Problem(403, "device-impu-unbound", "this IMPU is not bound to this device")
            row["code"] = "code" in body
        else:
            row["device"] = body["device"]
            if row["device"] not in self.bound:
                raise Problem(403, "device-ak-unknown")
        identifier = encode(secrets.token_bytes(16))
        self.challenges[identifier] = row
        answer = {"id": identifier, "nonce": encode(row["nonce"]), "server": self.name, "expires": 4000000000}
        if "ek" in body:
            row["secret"] = secrets.token_bytes(32)
            answer["credential"] = self.credential(der, ak_name, row["secret"])
        return answer

    def device_id(self, der):
        pem = self.openssl("x509", "-inform", "der", "-pubkey", "-noout", stdin=der)
        return hashlib.sha256(self.openssl("pkey", "-pubin", "-outform", "der", stdin=pem)).hexdigest()

    def credential(self, der, name, secret):
        pem = self.openssl("x509", "-inform", "der", "-pubkey", "-noout", stdin=der)
        for file, content in (("ek.pem", pem), ("secret", secret)):
            with open(f"{self.directory}/{file}", "wb") as out:
                out.write(content)
        subprocess.run(["tpm2_makecredential", "-Q", "-T", "none", "-G", "rsa", "-u", "ek.pem", "-s", "secret", "-n", name.hex(),
                        "-o", "credential"], cwd=self.directory, check=True, timeout=60)
        with open(f"{self.directory}/credential", "rb") as made:
            data = made.read()[8:]  # behind magic and version: TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET
        size = 2 + int.from_bytes(data[:2], "big")
        return {"blob": encode(data[:size]), "secret": encode(data[size:])}

    def certificate(self, identifier, body):
        row = self.challenges.pop(identifier, None)
        if row is None:
            raise Problem(409, "challenge-used", "this challenge was answered")
        if decode(body.get("secret", "")) != row.get("secret", b""):
            raise Problem(403, "credential-mismatch")
        if row.get("code"):
            self.code_spent = True
        self.bound[row["device"]] = row["impu"]
        csr = self.openssl("req", "-inform", "der", "-verify", stdin=decode(body["csr"]))
        with open(f"{self.directory}/ue.ext", "w") as out:
            out.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                      f"extendedKeyUsage={UE_EKU}\nsubjectAltName=URI:{row['impu']}\n")
        leaf = self.openssl("x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1", "-extfile", "ue.ext", stdin=csr)
        return {"certificates": [leaf.decode()], "device": row["device"], "renewAfter": int(time.time()) + self.renew_after}

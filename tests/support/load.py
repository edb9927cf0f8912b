"""Load on a site with every request accounted for: it is sent once, and answered with a signature or refused, and each
signature that was answered stands exactly once in the ledger as released."""

import collections
import hashlib
import http.client
import json
import ssl
import threading
import time
import uuid

from cryptography.hazmat.primitives.asymmetric import ec

from demo import call
from support import jose, ledger


class Load:
    """Signs from several threads with a connection each, until stopped. A context manager."""

    def __init__(self, site, ue, threads=4):
        self.site, self.template = site, json.dumps(call.signing_request(ue.fingerprint()))
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.sent = 0
        self.signed = []   # Identity header values
        self.refused = []  # (status, Retry-After, body)
        self.broken = []   # what happened to connections
        self.answers = []  # when, monotonic
        self.leaves_before = len(ledger.leaves(site.ledger))
        self.tls = ssl.create_default_context(cafile=site.pki.pem("tls-ca"))
        self.tls.load_cert_chain(site.pki.pem("ims-as"), site.pki.key("ims-as"))
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def body(self):
        request = json.loads(self.template)
        request["signingRequest"].update(origid=str(uuid.uuid4()), iat=int(time.time()))
        return json.dumps(request)

    def run(self):
        connection = http.client.HTTPSConnection("localhost", self.site.port, context=self.tls, timeout=60)
        while not self.stopping.is_set():
            with self.lock:
                self.sent += 1
            try:
                connection.request("POST", "/stir/v1/signing", self.body(), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read().decode()
            except (OSError, http.client.HTTPException) as problem:
                connection.close()  # the next request opens it anew
                with self.lock:
                    self.broken.append(repr(problem))
                time.sleep(0.01)
                continue
            with self.lock:
                if answer.status == 200:
                    self.signed.append(json.loads(text)["signingResponse"]["identityHeader"])
                    self.answers.append(time.monotonic())
                else:
                    self.refused.append((answer.status, answer.headers.get("Retry-After"), text))
        connection.close()

    def wait_for(self, more, seconds=60):
        """Waits for so many more signatures."""
        wanted = len(self.signed) + more
        wait_until(lambda: len(self.signed) >= wanted, seconds,
                   lambda: f"{wanted - len(self.signed)} signatures missing; refused {self.refused[-3:]}, broken {self.broken[-3:]}")

    def pause_after(self, moment):
        """The longest time without an answer from that moment on, in seconds."""
        times = [moment, *(answered for answered in self.answers if answered >= moment)]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=float("inf"))

    def account(self):
        """After it stopped: asserts that nothing is lost, doubled or wrong; gives a line for the reader."""
        assert self.sent == len(self.signed) + len(self.refused) + len(self.broken)
        public_key = jose.load_certificate(self.site.pki.pem("avatar-id")).public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        for identity in self.signed:
            jose.verify(identity.split(";")[0], public_key)
        answered = collections.Counter(map(digest_of, self.signed))
        assert set(answered.values()) <= {1}
        leaves = ledger.leaves(self.site.ledger)[self.leaves_before:]
        released = collections.Counter(released_digests(leaves))
        assert set(released.values()) <= {1}
        unknown = set(released) - set(answered)
        assert set(answered) <= set(released)
        # What a disk that stalled kept from its client may be there all the same.
        stalled = sum("ledger-unavailable" in text for _, _, text in self.refused)
        assert len(unknown) <= len(self.broken) + stalled, f"the ledger has signatures that nobody got; refused {self.refused[:3]}"
        discarded = sum(use["outcome"] == "discarded" for leaf in leaves for use in leaf.get("keys", []))
        return f"sent {self.sent}, answered {len(self.signed)}, refused {len(self.refused)}, broken {len(self.broken)}, discarded attempts {discarded}"


def digest_of(identity):
    """As the ledger names what was signed."""
    signing_input = identity.split(";")[0].rpartition(".")[0]
    return jose.b64url(hashlib.sha256(signing_input.encode()).digest())


def released_digests(leaves):
    """Of signed Avatar-ids."""
    return [use["digest"] for leaf in leaves if leaf["outcome"] == "released" for use in leaf.get("keys", [])
            if use["outcome"] == "signed" and use["key"] == "avatar-id"]


def wait_until(condition, seconds=60, problem=lambda: "it did not come about"):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, problem()
        time.sleep(0.005)

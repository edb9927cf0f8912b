"""avseal witness beside a running node: checkpoints are cosigned, a witness forgets nothing, and a log that nobody sees, or that was set
back, is an alarm."""

import base64
import hashlib
import http.server
import re
import ssl
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from demo import call, curl
from support import ledger, notes
from support.load import wait_until
from support.witness import Witness, configure, log_key

EMPTY = base64.b64encode(hashlib.sha256(b"").digest()).decode()


class Liar:
    """Answers with a signature that it did not make."""

    def __init__(self, site):
        self.key = notes.Key("liar.example", 4, bytes(range(32)))
        line = f"{notes.DASH}{self.key.name} {base64.b64encode(self.key.id + bytes(8 + 64)).decode()}\n".encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", str(len(line)))
                self.end_headers()
                self.wfile.write(line)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(site.pki.pem("server"), site.pki.key("server"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def checkpoint(site):
    return notes.Note((site.ledger / "checkpoint").read_text())


def grow(site):
    """One more leaf; gives its index, which is below the size that a cosigned checkpoint must have."""
    answer = call.subscribe(site)
    assert answer.status in (200, 201, 204)
    return int(answer.headers["avseal-ledger-index"])


def proof(site, index):
    answer = call.receipt(curl.client_of(site, "operator"), index)
    assert answer.status == 200, answer.text
    return answer.text


def check_receipt(site, index, policy):
    return site.avseal("ledger", "receipt", *site.operator_options(), "--index", index, "--policy", policy, check=False)


def metric(site, name):
    text = curl.client_of(site, "auditor").get("/metrics").text
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)}


def events(site):
    return [leaf["event"] for leaf in ledger.leaves(site.ledger)]


@pytest.fixture(scope="module")
def witness(stopped_site):
    made = Witness(stopped_site, "w1").start(log_key(stopped_site).vkey())
    yield made
    made.stop()


@pytest.fixture(scope="module")
def liar(stopped_site):
    made = Liar(stopped_site)
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def site(stopped_site, witness, liar):
    configure(stopped_site, witness, liar)
    stopped_site.start()
    yield stopped_site
    assert stopped_site.stop() == 0


@pytest.fixture
def policy(site, witness, directory):
    """Of an auditor who wants the log and its witness."""
    path = directory / "policy"
    path.write_text(f"log {log_key(site).vkey()}\nwitness w {witness.key.vkey()}\nquorum w\n")
    return path


def cosigned(site, witness, at_least):
    note = checkpoint(site)
    return note.size >= at_least and note.signed_by(witness.key)


def test_checkpoints_are_cosigned_as_the_log_grows(site, witness):
    for _ in range(3):
        grow(site)
        size = len(ledger.leaves(site.ledger))
        wait_until(lambda: cosigned(site, witness, size))
        note = checkpoint(site)
        assert note.signed_by(log_key(site)) is True
        assert abs(note.signed_by(witness.key) - time.time()) < 60
    remembered = curl.Curl(witness.url, site.pki.pem("tls-ca")).get(f"/{hashlib.sha256(note.origin.encode()).hexdigest()}/checkpoint")
    assert remembered.status == 200
    assert notes.Note(remembered.text).signed_by(witness.key)


def test_a_wrong_signature_is_not_taken(site, witness, liar):
    name = f'avseal_ledger_witness_failures_total{{reason="note-signature-wrong",witness="{liar.key.name}"}}'
    wait_until(lambda: metric(site, name).get(name, 0) >= 1)
    size = grow(site) + 1
    wait_until(lambda: cosigned(site, witness, size))
    assert [made for made, _, _ in checkpoint(site).signatures] == [log_key(site).name, witness.key.name]


def test_receipts_and_logs_meet_a_quorum(site, witness, policy):
    """While the log grows, at whatever moment."""
    for _ in range(5):
        index = grow(site)
        receipt = notes.Note(proof(site, index).partition("\n\n")[2])
        assert receipt.size > index and receipt.signed_by(witness.key) and receipt.signed_by(log_key(site))
        checked = check_receipt(site, index, policy)
        assert checked.returncode == 0 and f"leaf {index} of" in checked.stderr, checked.stderr
        for log in ((site.ledger,), site.operator_options()):
            assert site.avseal("ledger", "verify", *log, "--policy", policy, "--json").returncode == 0


def test_a_quorum_of_others_is_missed(site, witness, policy):
    """Of a key that nobody has, under the witness's name."""
    stranger = notes.Key(witness.key.name, 4, bytes(range(32)))
    policy.write_text(policy.read_text().replace(witness.key.vkey(), stranger.vkey()))
    index = grow(site)
    assert proof(site, index)
    checked = check_receipt(site, index, policy)
    assert checked.returncode == 1 and "0 of 1 witnesses cosigned" in checked.stderr, checked.stderr
    verified = site.avseal("ledger", "verify", site.ledger, "--policy", policy, check=False)
    assert verified.returncode == 1 and "checkpoint-unsigned" in verified.stdout


def test_a_witness_that_was_killed_goes_on_and_its_absence_is_an_alarm(site, witness, policy):
    seen = checkpoint(site).size
    witness.kill()
    index = grow(site)
    wait_until(lambda: "ledger.unwitnessed" in events(site))
    assert notes.Note(proof(site, index).partition("\n\n")[2]).signed_by(log_key(site)), "nobody waits for a witness that is away"
    assert "0 of 1 witnesses cosigned" in check_receipt(site, index, policy).stderr
    assert metric(site, "avseal_ledger_unwitnessed_seconds")["avseal_ledger_unwitnessed_seconds"] >= 1
    assert metric(site, "avseal_ledger_unwitnessed_alarm")["avseal_ledger_unwitnessed_alarm"] == 1
    assert metric(site, "avseal_ledger_witness_failures_total")
    witness.start(log_key(site).vkey())
    wait_until(lambda: cosigned(site, witness, seen + 1))
    wait_until(lambda: "ledger.witnessed" in events(site))
    wait_until(lambda: metric(site, "avseal_ledger_unwitnessed_seconds")["avseal_ledger_unwitnessed_seconds"] == 0)


def test_requests_are_answered_as_the_specification_says(site, witness):
    key = log_key(site)
    note = checkpoint(site)
    known = (site.ledger / "checkpoint").read_text()
    stale = witness.ask(f"old 0\n\n{known}")
    assert stale[0] == 409 and stale[1] == "text/x.tlog.size" and re.fullmatch(r"\d+\n", stale[2])
    stranger = ec.generate_private_key(ec.SECP256R1())
    material = stranger.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def signed(text, name):
        line = notes.Key(name, 2, material).id + stranger.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{text}\n{notes.DASH}{name} {base64.b64encode(line).decode()}\n"

    assert witness.ask("old 0\n\n" + signed(f"other.example/1\n0\n{EMPTY}\n", "other.example/1"))[0] == 404
    assert witness.ask("old 0\n\n" + signed(note.text, key.name))[0] == 403
    assert witness.ask(f"old {note.size + 1000}\n\n{known}")[0] == 400
    assert witness.ask(f"old 0{note.size}\n\n{known}")[0] == 400
    assert witness.ask("nonsense")[0] == 400
    assert notes.Note(known).signed_by(key)


def test_two_witnesses_of_one_directory_are_refused(site, witness):
    p = site.pki
    second = subprocess.run(
        [site.bin / "avseal", "witness", "run", "--directory", witness.directory, "--logs", witness.directory / "logs", "--port", "0",
         "--cert", p.pem("server"), "--key", p.key("server")], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1 and "in use by another witness" in second.stderr
    again = site.avseal("witness", "init", "--directory", witness.directory, "--name", "w1.example", check=False)
    assert again.returncode == 1 and "a witness keeps its key" in again.stderr


def test_a_log_that_was_set_back_is_told_by_its_witness(site, witness):
    """Also when everything that the node itself remembers was set back with it."""
    site.stop()
    site.ledger.rename(site.directory / "ledger-before")
    subprocess.run(["sqlite3", site.directory / "store.sqlite", "DELETE FROM ledger_head"], check=True)
    site.start()
    wait_until(lambda: any("witness-ahead" in name or "witness-inconsistent" in name
                           for name in metric(site, "avseal_ledger_witness_failures_total")))
    assert not checkpoint(site).signed_by(witness.key)

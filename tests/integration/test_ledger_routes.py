"""/ledger/v1: a tlog-tiles client of our own verifies the log, callers get receipts, auditors search, a person is erased, exports are
signed; and who may not do what."""

import base64
import concurrent.futures
import csv
import hashlib
import io
import json
import pathlib
import re
import subprocess
import threading
import time
import urllib.parse

import pytest
from cryptography.hazmat.primitives import serialization

from demo import call, curl, site as demo_site
from support import jose, ledger, terminal, tlog

PREFIX = "/ledger/v1"
CAROL = "tel:+17035550123"
CAROL_FORMS = (CAROL, "tel:+1-703-555-0123", "sip:+17035550123@a.example;user=phone")


@pytest.fixture(scope="module")
def auditor(site):
    return curl.client_of(site, "auditor")


@pytest.fixture(scope="module")
def operator(site):
    return curl.client_of(site, "operator")


@pytest.fixture(scope="module")
def keys(site):
    return [jose.load_certificate(site.pki.pem("ledger")).public_key()]


@pytest.fixture(scope="module")
def log(auditor, keys):
    return tlog.Log(auditor.get, PREFIX, keys)


def sign(site, alice, **fields):
    answer = call.sign(site, call.signing_request(alice.fingerprint(), **fields))
    assert answer.status == 200, answer.text
    return answer


def index_of(answer):
    return int(answer.headers["avseal-ledger-index"])


def refused(answer, status, reason):
    assert (answer.status, answer.json()["reason"]) == (status, reason), answer.text
    return answer.json()


def events(client, **query):
    """All pages."""
    found, query = [], {name.replace("_", "-"): value for name, value in query.items()}
    while True:
        answer = client.get(f"{PREFIX}/events?{urllib.parse.urlencode(query)}")
        assert answer.status == 200, answer.text
        page = answer.json()
        found += page["events"]
        assert answer.headers.get("avseal-ledger-next") == (str(page["next"]) if "next" in page else None)
        if "next" not in page:
            return found
        query["from"] = page["next"]


def covered(site, auditor, index):
    """Waits until the published log has the leaf."""
    assert call.receipt(auditor, index).status == 200


# --- the log ---

def test_tiles_client_of_another_make_verifies_the_log(site, alice, auditor, log):
    last = [index_of(sign(site, alice)) for _ in range(3)][-1]
    covered(site, auditor, last)
    head, entries = log.verify()
    assert head.size > last
    assert head.origin.startswith(demo_site.ORIGIN + "/")
    assert [json.loads(entry)["index"] for entry in entries] == list(range(head.size))
    assert [json.loads(entry) for entry in entries] == ledger.leaves(site.ledger)[:head.size]


def test_checkpoint_and_tiles_are_cached_as_they_change(site, auditor, log):
    anybody = curl.nobody(site)
    answer = anybody.get(f"{PREFIX}/checkpoint")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=1"
    for _ in range(20):  # as it may have grown in between
        same = anybody.get(f"{PREFIX}/checkpoint", headers={"If-None-Match": answer.headers["etag"]})
        if same.status == 304:
            break
        answer = same
    assert same.status == 304 and not same.body
    size = log.checkpoint().size
    tile = anybody.get(f"{PREFIX}/{tlog.tile_path(0, 0, min(size, 256))}")
    assert tile.status == 200 and len(tile.body) == 32 * min(size, 256)
    assert tile.headers["content-type"] == "application/octet-stream"
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert anybody.request("HEAD", f"{PREFIX}/checkpoint").status == 200
    bundle = auditor.get(f"{PREFIX}/{tlog.tile_path('entries', 0, min(size, 256))}")
    assert bundle.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_entries_are_for_auditors_and_operators(site, operator, log):
    path = f"{PREFIX}/{tlog.tile_path('entries', 0, min(log.checkpoint().size, 256))}"
    refused(curl.nobody(site).get(path), 401, "client-certificate-missing")
    refused(curl.client_of(site, "ims-as").get(path), 403, "client-role")
    assert operator.get(path).status == 200


def test_only_what_the_checkpoint_covers_is_served(site, auditor, log):
    size = log.checkpoint().size
    beyond = [tlog.tile_path(0, size // 256 + 1), tlog.tile_path("entries", size // 256 + 5, 1), tlog.tile_path(3, 0), "tile/0/x999/999",
              "tile/8/000", "tile/63/000.p/1"]
    for path in beyond:
        refused(auditor.get(f"{PREFIX}/{path}"), 404, "ledger-tile-unknown")
    ahead = [site.ledger / tlog.tile_path(level, size // 256 + 700) for level in (0, "entries")]
    for file in ahead:  # written, and not published yet
        file.write_bytes(b"x")
        refused(auditor.get(f"{PREFIX}/{file.relative_to(site.ledger)}"), 404, "ledger-tile-unknown")
        file.unlink()
    for path in ("tile/0/0", "tile/0/0000", "tile/0/x000/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/64/000", "tile/00/000",
                 "tile/0/000.p", "tile/a/000", "tile/entries/0", "tile/0/000.p/01", "tile/0/-01", "tile/0/checkpoint"):
        refused(auditor.get(f"{PREFIX}/{path}"), 400, "tile-malformed")
    refused(auditor.get(f"{PREFIX}/tile/0/000/"), 400, "target-malformed")
    assert auditor.get(f"{PREFIX}/00000000000000000000.leaves").status == 404
    assert auditor.get(f"{PREFIX}/tile/../checkpoint", headers={}).status in (200, 400, 404)


def test_closed_log_of_no_year(auditor):
    for year in ("1999", "current", "26", "20266", "..%2f"):
        answer = auditor.get(f"{PREFIX}/closed/{year}/checkpoint")
        assert answer.status in (400, 404), answer.text
    refused(auditor.get(f"{PREFIX}/closed/1999/checkpoint"), 404, "ledger-log-unknown")
    refused(auditor.get(f"{PREFIX}/closed/1999/tile/0/000"), 404, "ledger-log-unknown")
    for year in ("..", "../closed/..", "2026/..", "%2e%2e", "%2e%2e%2f", "/", "."):  # the current log is where these lead
        for path in (f"{PREFIX}/events?limit=1&log={year}", f"{PREFIX}/proof/0?log={year}"):
            refused(auditor.get(path), 404, "ledger-log-unknown")


def test_log_is_read_while_it_grows(site, alice, auditor, keys):
    """Readers that take the checkpoint first always find what it covers."""
    done = threading.Event()

    def read():
        heads = []
        while not done.is_set():
            head, _ = tlog.Log(curl.client_of(site, "auditor").get, PREFIX, keys).verify()
            heads.append((head.size, head.root))
        return heads

    def write():
        return [index_of(sign(site, alice)) for _ in range(40)]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write) for _ in range(4)]
        try:
            indices = [index for writer in writers for index in writer.result()]
            covered(site, auditor, max(indices))
        finally:
            done.set()
        heads = [head for reader in readers for head in reader.result()]
    assert len(set(indices)) == 160
    leaves = [tlog.leaf_hash(entry) for entry in tlog.Log(auditor.get, PREFIX, keys).verify()[1]]
    for size, root in set(heads):
        assert tlog.root_of(leaves[:size]) == root


# --- receipts ---

def test_every_signing_answer_has_a_receipt(site, alice, keys):
    ims_as = curl.client_of(site, "ims-as")
    answer = sign(site, alice)
    receipt = tlog.Receipt(call.receipt(ims_as, index_of(answer)).text, keys)
    leaf = json.loads(receipt.leaf)
    assert leaf["event"] == "sign.avatar-id" and leaf["client"] == "ims-as-1" and leaf["index"] == index_of(answer)
    assert leaf["request"] == answer.headers["x-request-id"]
    identity = call.identity_of(answer).split(";")[0]
    signed_input = identity.rpartition(".")[0].encode()
    assert leaf["keys"][-1]["digest"] == call.b64url(hashlib.sha256(signed_input).digest())
    assert answer.headers["avseal-ledger-origin"] == receipt.checkpoint.origin


def test_repetition_names_the_leaf_of_the_first_answer(site, alice):
    request, client = call.signing_request(alice.fingerprint()), curl.client_of(site, "ims-as")
    first, again = (client.post("/stir/v1/signing", json_body=request, headers={"Idempotency-Key": '"once-1"'}) for _ in range(2))
    assert call.identity_of(first) == call.identity_of(again)
    assert index_of(first) == index_of(again)
    assert ledger.leaves(site.ledger)[index_of(first)]["event"] == "sign.avatar-id"


def test_whole_call_names_its_leaves(site, alice, operator):
    """Token, its repetition, publication, metadata and its repetition, administrative acts, refusals."""
    assert call.publish(site, call.sample_avatar(1000)).status == 201
    identity = call.identity_of(sign(site, alice))
    form = call.token_form(site, identity, alice.token())
    first, again = (call.request_token(site, form) for _ in range(2))
    assert first.status == again.status == 200, first.text
    assert first.json()["access_token"] == again.json()["access_token"] and index_of(first) == index_of(again)
    fetched = [call.fetch(site, "metadata", first.json()["access_token"]) for _ in range(6)]
    assert all(answer.status == 200 for answer in fetched)
    other = call.sign(site, call.signing_request(alice.fingerprint(), avatar="urn:uuid:00000000-0000-4000-8000-000000000000"))
    assert other.status == 403
    leaves = ledger.leaves(site.ledger)
    assert leaves[index_of(first)]["event"] == "grant.access-token"
    assert {leaves[index_of(answer)]["event"] for answer in fetched} == {"sign.avatar-metadata"}
    assert len({(index_of(answer), answer.body) for answer in fetched}) == len({answer.body for answer in fetched})
    assert leaves[index_of(other)]["event"] == "refusal" and leaves[index_of(other)]["outcome"] == "refused"
    state = call.tell_call_state(site, "11111111-2222-4333-8444-555555555555", "ended")
    assert "avseal-ledger-index" in state.headers


def test_receipts_are_for_whom_the_leaf_names(site, alice, auditor, operator):
    index = index_of(sign(site, alice))
    path = f"{PREFIX}/proof/{index}"
    refused(curl.nobody(site).get(path), 401, "client-certificate-missing")
    refused(curl.client_of(site, "ims-as-b").get(path), 403, "ledger-other-client")
    refused(curl.client_of(site, "xr-as").get(path), 403, "ledger-other-client")
    assert all(client.get(path).status == 200 for client in (auditor, operator))


def test_receipts_that_there_are_none_of(auditor):
    refused(auditor.get(f"{PREFIX}/proof/1000000"), 404, "ledger-index-unknown")
    for text in ("x", "-1", "01", "1e3", "9223372036854775808"):
        refused(auditor.get(f"{PREFIX}/proof/{text}"), 400, "ledger-index-malformed")
    refused(auditor.get(f"{PREFIX}/proof/0?log=1999"), 404, "ledger-log-unknown")
    refused(auditor.get(f"{PREFIX}/proof/0?wait=1"), 400, "query-invalid")


def test_receipt_on_the_command_line(site, alice, directory, keys):
    index = index_of(sign(site, alice))
    service = ("--url", site.url, "--cacert", site.pki.pem("tls-ca"), "--cert", site.pki.pem("ims-as"), "--key", site.pki.key("ims-as"))
    out = directory / "receipt.tlog-proof"
    site.avseal("ledger", "receipt", *service, "--index", index, "--out", out)
    assert json.loads(tlog.Receipt(out.read_text(), keys).leaf)["index"] == index
    printed = site.avseal("ledger", "receipt", *service, "--index", index)
    assert tlog.Receipt(printed.stdout, keys).index == index
    other = site.avseal("ledger", "receipt", *site.operator_options(), "--index", 10**9, check=False)
    assert other.returncode != 0 and "ledger-index-unknown" in other.stderr

    check = lambda *options: site.avseal("ledger", "receipt", "--file", out, "--vkey", ledger.vkey(site), *options, check=False)
    checked = check("--index", index)
    assert checked.returncode == 0 and f"leaf {index} of {demo_site.ORIGIN}/" in checked.stdout, checked.stderr
    assert json.loads(checked.stdout.partition(" leaves: ")[2]) == json.loads(tlog.Receipt(out.read_text(), keys).leaf)
    assert check("--index", index + 1).returncode != 0
    out.write_text(out.read_text().replace(f"index {index}\n", f"index {index - 1}\n", 1))
    moved = check()
    assert moved.returncode == 1 and "root" in moved.stderr, moved.stderr


# --- search ---

def test_search_gives_what_a_reader_of_the_files_finds(site, alice, auditor):
    index = index_of(sign(site, alice))
    covered(site, auditor, index_of(curl.client_of(site, "ims-as-b").get(f"{PREFIX}/proof/{index}")))
    found = events(auditor, limit=7)
    assert found == ledger.leaves(site.ledger)[:len(found)]
    chosen = {"event": "sign.avatar-id"}, {"actor": "ims-as-1"}, {"outcome": "refused"}, {"key": "avatar-id"}, {"reason": "ledger-other-client"}
    for query in chosen:
        (name, value), = query.items()
        member = {"actor": lambda leaf: leaf.get("client"), "key": lambda leaf: [use["key"] for use in leaf.get("keys", [])]}.get(
            name, lambda leaf: leaf.get(name))
        wanted = [leaf for leaf in found if member(leaf) == value or (name == "key" and value in member(leaf))]
        assert wanted, query
        answer = events(auditor, limit=1000, **query)
        assert answer[:len(wanted)] == wanted


def test_search_in_a_range_of_time(site, alice, auditor):
    covered(site, auditor, index_of(sign(site, alice)))
    leaves = ledger.leaves(site.ledger)
    start, end = leaves[len(leaves) // 3]["time"], leaves[2 * len(leaves) // 3]["time"]
    text = {edge: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(edge // 1000)) + f".{edge % 1000:03}Z" for edge in (start, end)}
    found = events(auditor, time_range_start=text[start], time_range_end=text[end], limit=1000)
    assert found == [leaf for leaf in leaves if start <= leaf["time"] < end]


def test_search_as_csv_and_on_the_command_line(site, auditor):
    answer = auditor.get(f"{PREFIX}/events?format=csv&event=sign.avatar-id&limit=5")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    wanted = events(auditor, event="sign.avatar-id")[:5]
    assert [(int(row["index"]), row["client"], row["keys"], json.loads(row["details"])) for row in rows] == \
           [(leaf["index"], leaf["client"], " ".join(use["key"] for use in leaf["keys"]), leaf["details"]) for leaf in wanted]
    printed = site.avseal("ledger", "events", *site.operator_options(), "--event", "sign.avatar-id", "--limit", 5)
    assert [json.loads(line) for line in printed.stdout.splitlines()] == wanted
    table = site.avseal("ledger", "events", *site.operator_options(), "--event", "sign.avatar-id", "--limit", 5, "--csv")
    assert table.stdout.encode() == answer.body.replace(b"\r\n", b"\n")  # read as text


def test_searches_are_in_the_log(site, auditor):
    answer = auditor.get(f"{PREFIX}/events?event=refusal&limit=3&reason=no-such-reason")
    leaf = ledger.leaves(site.ledger)[index_of(answer)]
    assert (leaf["event"], leaf["client"]) == ("ledger.read", "auditor-1")
    assert leaf["details"] == {"event": "refusal", "from": 0, "limit": 3, "reason": "no-such-reason"}


def test_searches_are_strict_and_for_auditors(site, auditor):
    for query in ("x=1", "limit=0", "limit=1001", "from=-1", "event=", "outcome=good", "format=xml", "time-range-start=yesterday",
                  "time-range-start=2026-01-02T00:00:00Z&time-range-end=2026-01-01T00:00:00Z", "limit=1&limit=2"):
        answer = auditor.get(f"{PREFIX}/events?{query}")
        assert answer.status == 400 and answer.json()["reason"] in ("query-invalid", "target-malformed"), query
    refused(auditor.get(f"{PREFIX}/events?subject=alice"), 400, "impu-invalid")
    refused(auditor.get(f"{PREFIX}/events?log=1999"), 404, "ledger-log-unknown")
    for client in ("ims-as", "xr-as", "feeder"):
        refused(curl.client_of(site, client).get(f"{PREFIX}/events"), 403, "client-role")
    refused(curl.nobody(site).get(f"{PREFIX}/events"), 401, "client-certificate-missing")


# --- persons ---

def test_no_identity_is_in_any_file_of_the_log(site, alice, auditor, operator):
    """Whatever form a number or name comes in, and wherever: subscriptions, calls, refusals, searches, codes, reasons."""
    assert call.subscribe(site, CAROL).status == 201
    for form in CAROL_FORMS:
        sign(site, alice, origin=form, destination="sip:dave%2Bx@b.example")
        call.verify(site, call.verification_request("a.b.c;info=<https://x>", alice.fingerprint(), origin=form))
        events(auditor, subject=form, limit=1000)
        code = {"impu": CAROL, "simple": True, "reason": f"phone of {form}"}
        refused(operator.post("/enrollment/v1/codes", json_body=code), 400, "code-reason")
    call.sign(site, call.signing_request(alice.fingerprint(), origin="sip:eve@elsewhere.example"))
    call.invite(site, "sip:frank@a.example")
    covered(site, auditor, index_of(sign(site, alice)))
    words = ("alice@", "bob@", "dave%2bx", "dave+x", "eve@", "frank@", "7035550123", "703-555-0123", "a.example;", "elsewhere", "sip:", "tel:")
    files = [path for path in pathlib.Path(site.ledger).rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes().lower()
        assert not [word for word in words if word.encode() in data], path


def test_person_is_found_by_every_form_and_not_after_erasure(site, alice, auditor, operator, log, keys):
    assert call.subscribe(site, CAROL).status in (200, 201, 204)
    indices = {index_of(sign(site, alice, origin=form)) for form in CAROL_FORMS}
    receipts = [call.receipt(auditor, index).text for index in indices]
    before = events(auditor, subject=CAROL, event="sign.avatar-id", limit=1000)
    assert indices <= {leaf["index"] for leaf in before}
    assert events(auditor, subject=CAROL_FORMS[2], event="sign.avatar-id", limit=1000) == before
    size = log.checkpoint().size

    path = f"{PREFIX}/subjects/{call.path_segment(CAROL)}"
    refused(auditor.delete(path + "?reason=case-1"), 403, "client-role")
    for query in ("", "?reason=", "?reason=for%20carol", "?why=case-1", "?reason=" + "a" * 65):
        refused(operator.delete(path + query), 400, "query-invalid")
    erased = operator.delete(path + "?reason=case-1")
    assert erased.status == 204, erased.text
    leaf = ledger.leaves(site.ledger)[index_of(erased)]
    assert (leaf["event"], leaf["client"], leaf["details"]) == ("subject.erased", "operator-1", {"reason": "case-1"})
    assert "subjects" not in leaf
    refused(operator.delete(path + "?reason=case-1"), 404, "subject-unknown")

    answer = auditor.get(f"{PREFIX}/events?subject={call.path_segment(CAROL)}")
    assert answer.json()["events"] == [] and answer.json()["subject"] == "unknown"
    read = ledger.leaves(site.ledger)[index_of(answer)]
    assert read["details"]["subject"] == "unknown" and "subjects" not in read
    for text in receipts:
        assert tlog.Receipt(text, keys).index in indices
    covered(site, auditor, index_of(erased))
    head, entries = log.verify()
    assert head.size > size

    # Who calls again is a new person to the log.
    fresh = index_of(sign(site, alice, origin=CAROL))
    covered(site, auditor, fresh)
    assert [leaf["index"] for leaf in events(auditor, subject=CAROL, event="sign.avatar-id")] == [fresh]


def test_erasure_that_the_store_refuses_is_told_and_can_be_repeated(site, alice, auditor, operator):
    def store(statement):
        subprocess.run(["sqlite3", site.directory / "store.sqlite", ".timeout 5000", statement], check=True)

    person = "sip:grace@a.example"
    assert call.subscribe(site, person).status in (200, 201, 204)
    known = index_of(sign(site, alice, origin=person))
    covered(site, auditor, known)
    path = f"{PREFIX}/subjects/{call.path_segment(person)}?reason=case-3"
    store("CREATE TRIGGER kept BEFORE DELETE ON subject_key BEGIN SELECT RAISE(FAIL, 'kept'); END")
    try:
        failed = operator.delete(path)
    finally:
        store("DROP TRIGGER kept")
    refused(failed, 503, "store-unavailable")
    told = [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "subject.erased" and leaf["details"] == {"reason": "case-3"}]
    assert [leaf["outcome"] for leaf in told] == ["released", "discarded"]
    assert told[1]["reason"] == "store-unavailable"
    assert [leaf["index"] for leaf in events(auditor, subject=person, event="sign.avatar-id")] == [known]
    assert operator.delete(path).status == 204
    assert events(auditor, subject=person) == []


def test_person_is_erased_on_the_command_line(site, alice, auditor):
    sign(site, alice)
    done = site.avseal("ledger", "erase-subject", *site.operator_options(), "--impu", demo_site.ALICE, "--reason", "case-2")
    assert done.returncode == 0
    assert auditor.get(f"{PREFIX}/events?subject={call.path_segment(demo_site.ALICE)}").json()["subject"] == "unknown"


# --- exports ---

def certificates_in(export):
    return {file.name.removesuffix(".pem"): file.read_text() for file in (export / "certificates").iterdir()}


def test_export_takes_certificates_along(site, alice, auditor, directory):
    answer = sign(site, alice)
    index = index_of(answer)
    covered(site, auditor, index)
    chain = {label: (hashlib.sha256(jose.load_certificate(site.pki.pem(label)).public_bytes(serialization.Encoding.DER)).hexdigest())
             for label in ("avatar-id", "ledger", "ue-ca-leaf")}
    trust = ("--vkey", ledger.vkey(site), "--from", index, "--to", index + 1)
    given = [option for label in ("avatar-id", "ledger") for option in ("--certificate", site.pki.pem(label))]
    fetched = site.avseal("ledger", "export", *site.operator_options(), *trust, "--out", directory / "fetched")
    offline = site.avseal("ledger", "export", site.ledger, *trust, *given, "--out", directory / "given")
    assert fetched.stderr == offline.stderr == ""
    x5u = jose.parts(call.identity_of(answer).split(";")[0])[0]["x5u"]
    assert certificates_in(directory / "fetched") == certificates_in(directory / "given")
    assert set(certificates_in(directory / "given")) == {chain["avatar-id"], chain["ledger"]} > {x5u.rpartition("/")[2].removesuffix(".pem")}
    verified = site.avseal("ledger", "verify", directory / "given", "--export", "--vkey", ledger.vkey(site), "--json")
    assert json.loads(verified.stdout)["good"]

    without = site.avseal("ledger", "export", site.ledger, *trust, "--out", directory / "without")
    assert without.stderr.startswith("note: no certificate of key avatar-id (thumbprint ")
    assert not (directory / "without/certificates").exists()
    assert "  avatar-id, first in entry" in (directory / "without/README").read_text()
    other = site.avseal("ledger", "export", site.ledger, *trust, "--certificate", site.pki.pem("access-token"), "--out", directory / "other",
                        check=False)
    assert other.returncode != 0 and f"no entry from {index} to {index} names" in other.stderr

    # The UE CA's is not served, and has to be given.
    issued = events(auditor, event="issue.ue-certificate")[0]["index"]
    trust = (*site.operator_options(), *trust[:2], "--from", issued, "--to", issued + 1)
    lacking = site.avseal("ledger", "export", *trust, "--out", directory / "lacking")
    assert lacking.stderr.startswith("note: no certificate of key ue-ca (thumbprint ")
    site.avseal("ledger", "export", *trust, "--certificate", site.pki.pem("ue-ca"), "--out", directory / "whole")
    assert set(certificates_in(directory / "whole")) == {chain["ue-ca-leaf"], chain["ledger"]}


def manifest(log, name="checkpoint", **changed):
    head = log.checkpoint()
    fields = {"origin": head.origin, "to": head.size, "size": head.size, "root": base64.b64encode(head.root).decode(), **changed}
    digest = hashlib.sha256(head.note.encode()).hexdigest()
    return "{origin}/export\nrange 0 {to}\ncheckpoint {size} {root}\n".format(**fields) + f"{digest}  {name}\n"


def test_export_is_signed_with_the_key_of_the_log(site, auditor, log, keys):
    text = manifest(log)
    answer = auditor.post(f"{PREFIX}/manifests", json_body={"manifest": text})
    assert answer.status == 200, answer.text
    note = answer.body.decode()
    assert note.startswith(text + "\n")
    tlog.verify_note(note, keys)
    leaf = ledger.leaves(site.ledger)[index_of(answer)]
    digest = call.b64url(hashlib.sha256(text.encode()).digest())
    assert leaf["event"] == "ledger.export" and leaf["client"] == "auditor-1"
    assert leaf["details"]["digest"] == digest == leaf["keys"][-1]["digest"]
    assert leaf["keys"][-1]["key"] == "ledger"


def test_only_true_exports_are_signed(site, auditor, log):
    head, root = log.checkpoint(), base64.b64encode(bytes(32)).decode()
    post = lambda text: auditor.post(f"{PREFIX}/manifests", json_body={"manifest": text})
    refused(post(manifest(log, root=root)), 400, "manifest-head-differs")
    refused(post(manifest(log, size=head.size + 10**6)), 400, "manifest-head-differs")
    refused(post(manifest(log, origin="other.example/node/2026")), 404, "ledger-log-unknown")
    refused(post(manifest(log, origin=demo_site.ORIGIN + "/1999")), 404, "ledger-log-unknown")
    for text in ("", head.text, manifest(log) + "x", manifest(log, name="../x"), manifest(log, to=0), head.text.replace("\n", "/export\n", 1)):
        refused(post(text), 400, "manifest-malformed")
    refused(auditor.post(f"{PREFIX}/manifests", json_body={"text": "x"}), 400, "member-missing")
    for client in ("ims-as", "feeder"):
        refused(curl.client_of(site, client).post(f"{PREFIX}/manifests", json_body={"manifest": manifest(log)}), 403, "client-role")


@pytest.mark.parametrize("command, bar, result", [
    ("verify", r"verifying \[#* *\] +\d+ %  \d+ of \d+ leaves, \d+ k/s", "\nverdict   good\r\n"),
    ("export", r"exporting \[#* *\] +\d+ %  \d+ of \d+ bundles, \d+ k/s", "manifest signed by the node"),
])
def test_bar_on_a_terminal_alone(site, directory, command, bar, result):
    def arguments(out):
        return ("ledger", command, *site.operator_options(), "--vkey", ledger.vkey(site), *(("--from", 0, "--to", 1, "--out", out) if command == "export" else ()))

    code, shown = terminal.run([site.bin / "avseal", *arguments(directory / "shown")], [])
    bars, _, rest = shown.rpartition("\r\x1b[K")
    assert code == 0 and result in rest, shown
    assert re.fullmatch(rf"(\r{bar}\x1b\[K)+", bars), "the bar is gone before the result is there"
    assert site.avseal(*arguments(directory / "quiet")).stderr == ""

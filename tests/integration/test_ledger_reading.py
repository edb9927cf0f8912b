"""What is read of a log in each of its states: of a public one by anybody, of a full and of a stopped one still, of a year that is over."""

import calendar
import contextlib
import json
import os
import shutil
import signal
import time

import pytest

from demo import call, curl, site as demo_site
from support import jose, ledger, tlog
from support.load import Load, wait_until
from support.processes import worker_pids
from support.shifted_clock import ShiftedClock
from support.software_ue import SoftwareUe
from test_ledger_routes import PREFIX, covered, events, index_of, refused, sign


class Disk:
    """What is free beyond the reserve of the site's log, to be taken and given back."""

    @classmethod
    def of(cls, site, *settings):
        """Of a site that is stopped."""
        disk = cls(site)
        path, section = site.directory / "avseald.toml", "[ledger]\n"
        path.write_text(path.read_text().replace(section, "\n".join([f"{section}reserve_mib = {disk.reserve_mib}", *settings, ""])))
        return disk

    def __init__(self, site):
        free = shutil.disk_usage(site.directory).free
        self.beyond = min(free // 4, 2 << 30)
        self.reserve_mib = (free - self.beyond) >> 20
        self.ballast = site.directory / "ballast"

    @contextlib.contextmanager
    def full(self):
        try:
            with open(self.ballast, "wb") as out:
                os.posix_fallocate(out.fileno(), 0, self.beyond * 3 // 2)
            yield
        finally:
            self.ballast.unlink()


@pytest.fixture(scope="module")
def disk(stopped_site):
    """The log is public, and full while the disk is."""
    return Disk.of(stopped_site, "public = true")


@pytest.fixture(scope="module")
def clock(stopped_site):
    return ShiftedClock.of(stopped_site)


@pytest.fixture(scope="module")
def running(disk, clock, site):
    return site


@pytest.fixture(scope="module")
def alice(running):
    assert call.subscribe(running).status == 201
    return SoftwareUe(running)


@pytest.fixture(scope="module")
def keys(running):
    return [jose.load_certificate(running.pki.pem("ledger")).public_key()]


@pytest.fixture(scope="module")
def auditor(running):
    return curl.client_of(running, "auditor")


def metric(site, name):
    """Of all its labels."""
    lines = curl.client_of(site, "operator").get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.split(" ")[0] == name)


def refusal(site, alice):
    """The reason why nothing is signed; None: it is."""
    answer = call.sign(site, call.signing_request(alice.fingerprint()))
    if answer.status == 200:
        return None
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
    return answer.json()["requestError"]["serviceException"]["reason"]


def reads_go_on(site, keys, index, crl=200):
    """All that auditors, clients and administrators read, while the log takes no new events; and what becomes of the CRL."""
    anybody, auditor, operator = curl.nobody(site), curl.client_of(site, "auditor"), curl.client_of(site, "operator")
    head, entries = tlog.Log(anybody.get, PREFIX, keys).verify()
    assert head.size > index
    for client in (anybody, auditor, curl.client_of(site, "ims-as")):
        receipt = tlog.Receipt(call.receipt(client, index).text, keys)
        assert receipt.leaf == entries[index]
    unlogged = metric(site, "avseal_ledger_reads_unlogged_total")
    answer = auditor.get(f"{PREFIX}/events?from={index}&limit=1")
    assert answer.status == 200 and answer.json()["events"] == [json.loads(entries[index])]
    assert "avseal-ledger-index" not in answer.headers
    assert metric(site, "avseal_ledger_reads_unlogged_total") == unlogged + 1
    for path in ("/operations/v1/tokens", "/operations/v1/keys", "/operations/v1/clock", "/metrics", "/enrollment/v1/devices",
                 f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}"):
        assert operator.get(path).status == 200, path
    for path, status in (("/livez", 200), ("/.well-known/jwks.json", 200), ("/enrollment/v1/crl", crl)):
        assert anybody.get(path).status == status, path
    ready = operator.get("/readyz")
    assert ready.status == 503 and not ready.json()["ledger"]["ready"] and ready.json()["ledger"]["why"]
    verified = site.avseal("ledger", "verify", "--url", site.url, "--cacert", site.pki.pem("tls-ca"), "--vkey", ledger.vkey(site), "--json")
    assert json.loads(verified.stdout)["size"] >= head.size


# --- public ---

def test_public_log_is_read_and_verified_by_anybody(running, alice, keys):
    anybody = curl.nobody(running)
    index = index_of(sign(running, alice))
    receipt = tlog.Receipt(call.receipt(anybody, index).text, keys)
    assert json.loads(receipt.leaf)["event"] == "sign.avatar-id"
    head, _ = tlog.Log(anybody.get, PREFIX, keys).verify()
    assert head.size > index
    bundle = anybody.get(f"{PREFIX}/{tlog.tile_path('entries', 0, min(head.size, 256))}")
    assert bundle.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert curl.client_of(running, "ims-as-b").get(f"{PREFIX}/proof/{index}").status == 200, "another client than the leaf names"
    done = running.avseal("ledger", "verify", "--url", running.url, "--cacert", running.pki.pem("tls-ca"), "--vkey", ledger.vkey(running), "--json")
    assert json.loads(done.stdout)["read"] >= head.size


def test_public_log_is_searched_and_administered_by_its_roles_alone(running):
    anybody, ims_as = curl.nobody(running), curl.client_of(running, "ims-as")
    subject = f"{PREFIX}/subjects/{call.path_segment(demo_site.ALICE)}?reason=case-1"
    closed = {
        "search": lambda client: client.get(f"{PREFIX}/events"),
        "erasure": lambda client: client.delete(subject),
        "export": lambda client: client.post(f"{PREFIX}/manifests", json_body={"manifest": "x"}),
        "metrics": lambda client: client.get("/metrics"),
        "tokens": lambda client: client.get("/operations/v1/tokens"),
        "subscription": lambda client: client.delete(f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}"),
    }
    for ask in closed.values():
        refused(ask(anybody), 401, "client-certificate-missing")
        refused(ask(ims_as), 403, "client-role")
    refused(closed["erasure"](curl.client_of(running, "auditor")), 403, "client-role")


# --- full, stopped ---

def test_full_log_refuses_signatures_and_is_read(running, alice, keys, disk, auditor):
    index = index_of(sign(running, alice))
    covered(running, auditor, index)
    with disk.full():
        wait_until(lambda: refusal(running, alice) == "ledger-full")
        size = metric(running, "avseal_ledger_entries")
        counted = metric(running, 'avseal_ledger_events_refused_total{reason="ledger-full"}')
        assert refusal(running, alice) == "ledger-full"
        assert metric(running, 'avseal_ledger_events_refused_total{reason="ledger-full"}') > counted > 0
        refused(call.subscribe(running), 503, "ledger-full")
        reads_go_on(running, keys, index)
        assert metric(running, "avseal_ledger_entries") == size
    wait_until(lambda: refusal(running, alice) is None)


def test_node_starts_with_a_full_log_and_is_read(running, alice, keys, disk, auditor):
    """As it does after a crash, over and over if it would not."""
    index = index_of(sign(running, alice))
    covered(running, auditor, index)
    with disk.full():
        assert running.stop() == 0
        running.start()
        assert refusal(running, alice) == "ledger-full"
        reads_go_on(running, keys, index, crl=503)
    wait_until(lambda: refusal(running, alice) is None)
    wait_until(lambda: curl.nobody(running).get("/enrollment/v1/crl").status == 200)
    assert [leaf["event"] for leaf in ledger.leaves(running.ledger)[index + 1:]].count("keys.loaded") == 1


def test_death_of_a_worker_is_told_when_the_log_has_room_again(running, alice, disk):
    """Whose requests were in flight when it died."""
    before = len(ledger.leaves(running.ledger))
    with Load(running, alice) as load:
        load.wait_for(20)
        worker = worker_pids(running)[0]
        os.kill(worker, signal.SIGSTOP)
        load.wait_for(20)
        with disk.full():
            wait_until(lambda: refusal(running, alice) == "ledger-full")
            os.kill(worker, signal.SIGKILL)
            log = running.log / "avseald.log"
            wait_until(lambda: all(f"event={event}" in log.read_text() for event in ("worker-lost", "leaf-waits")))
    wait_until(lambda: refusal(running, alice) is None)
    lost = lambda: [leaf["details"] for leaf in ledger.leaves(running.ledger)[before:] if leaf["event"] == "worker.lost"]
    wait_until(lambda: any(details.get("waited_ms", 0) > 0 and details["in_flight"] > 0 for details in lost()), problem=lambda: str(lost()))


def test_stopped_log_refuses_signatures_and_is_read(running, alice, keys, auditor):
    """Somebody puts an older checkpoint in the place of the newest."""
    older = (running.ledger / "checkpoint").read_bytes()
    index = index_of(sign(running, alice))
    covered(running, auditor, index)
    (running.ledger / "checkpoint").write_bytes(older)
    wait_until(lambda: refusal(running, alice) == "ledger-head")
    assert metric(running, 'avseal_ledger_events_refused_total{reason="ledger-head"}') >= 1
    refused(call.subscribe(running), 503, "ledger-head")
    reads_go_on(running, keys, index)
    newest = auditor.get(f"{PREFIX}/checkpoint").body
    late = len(ledger.leaves(running.ledger)) - 1
    refused(auditor.get(f"{PREFIX}/proof/{late}"), 503, "ledger-not-covered")

    running.stop()
    (running.ledger / "checkpoint").write_bytes(newest)
    running.start()
    assert index_of(sign(running, alice)) > late
    covered(running, auditor, late)


# --- a year that is over ---

@pytest.fixture(scope="module")
def last_year(running, alice, clock):
    """Of a log of more than a bundle. The node was off at the turn of the year."""
    with Load(running, alice) as load:
        load.wait_for(300)
    running.stop()
    leaves = ledger.leaves(running.ledger)
    year = int((running.ledger / "checkpoint").read_text().split("\n")[0].rpartition("/")[2])
    clock.shift(calendar.timegm((year + 1, 1, 1, 1, 0, 0)) - time.time())
    running.start()
    closed = running.ledger / "closed" / str(year)
    wait_until(lambda: (closed / "checkpoint").exists() and ledger.size(running.ledger) > 0)
    return year, leaves


def test_closed_log_is_read_over_https(running, keys, auditor, last_year):
    year, leaves = last_year
    prefix = f"{PREFIX}/closed/{year}"
    anybody = curl.nobody(running)
    head, entries = tlog.Log(anybody.get, prefix, keys).verify()
    assert head.origin == f"{demo_site.ORIGIN}/{year}" and head.size >= len(leaves) > 256
    assert [json.loads(entry) for entry in entries[:len(leaves)]] == leaves
    answer = anybody.get(f"{prefix}/checkpoint")
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert anybody.get(f"{prefix}/checkpoint", headers={"If-None-Match": answer.headers["etag"]}).status == 304
    refused(anybody.get(f"{prefix}/tile/0/{head.size // 256 + 1:03}"), 404, "ledger-tile-unknown")

    first = json.loads(tlog.Log(anybody.get, PREFIX, keys).verify()[1][0])
    previous = {"origin": head.origin, "size": head.size, "root": head.text.split("\n")[2]}
    assert first["event"] == "ledger.start" and first["details"]["previous"] == previous


def test_receipts_and_searches_of_a_closed_log(running, keys, auditor, last_year, directory):
    year, leaves = last_year
    wanted = [leaf for leaf in leaves if leaf["event"] == "sign.avatar-id"]
    for index in (wanted[0]["index"], wanted[-1]["index"]):
        receipt = tlog.Receipt(call.receipt(curl.client_of(running, "ims-as"), index, f"?log={year}").text, keys)
        assert json.loads(receipt.leaf) == leaves[index] and receipt.checkpoint.origin.endswith(f"/{year}")
    refused(auditor.get(f"{PREFIX}/proof/1000000?log={year}"), 404, "ledger-index-unknown")
    assert events(auditor, log=str(year), event="sign.avatar-id", limit=1000) == wanted
    assert auditor.get(f"{PREFIX}/events?event=sign.avatar-id").json()["events"] == []
    # The key's vkey of any year is that of all.
    running.avseal("ledger", "receipt", *running.operator_options(), "--index", wanted[0]["index"], "--log", year,
                   "--vkey", ledger.vkey(running), "--out", directory / "receipt")
    assert tlog.Receipt((directory / "receipt").read_text(), keys).index == wanted[0]["index"]


def test_closed_log_is_verified_and_exported(running, auditor, last_year, directory):
    year, leaves = last_year
    vkey = ledger.vkey(running)
    for where in (("--url", running.url, "--cacert", running.pki.pem("tls-ca")), (running.ledger,)):
        found = json.loads(running.avseal("ledger", "verify", *where, "--vkey", vkey, "--json").stdout)
        assert found["good"] and found["logs"] == 2 and found["read"] > len(leaves), where
    alone = json.loads(running.avseal("ledger", "verify", running.ledger / "closed" / str(year), "--vkey", vkey, "--json").stdout)
    assert alone["good"] and alone["logs"] == 1 and alone["origin"].endswith(f"/{year}")
    out = directory / "export"
    running.avseal("ledger", "export", *running.operator_options(), "--vkey", vkey, "--log", year, "--from", 250, "--to", 260, "--out", out)
    assert [json.loads(line) for line in (out / "entries.jsonl").read_text().splitlines()] == leaves[250:260]
    assert json.loads(running.avseal("ledger", "verify", "--export", out, "--vkey", vkey, "--json").stdout)["good"]
    # Nor under the name of a stranger's log is it signed.
    _, size, root = (running.ledger / "closed" / str(year) / "checkpoint").read_text().split("\n")[:3]
    for origin, status in ((f"{demo_site.ORIGIN}/{year}", 200), (f"other.example/node/{year}", 404), (demo_site.ORIGIN, 404)):
        text = f"{origin}/export\nrange 0 {size}\ncheckpoint {size} {root}\n{'0' * 64}  x\n"
        assert auditor.post(f"{PREFIX}/manifests", json_body={"manifest": text}).status == status, origin

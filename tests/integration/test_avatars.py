"""The DAC through the real processes: content altered on disk, expired access tokens, conflicts, ownership, large content, rows edited in the store."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from demo import call, curl, site as demo_site
from support.software_ue import SoftwareUe

CONTENT = call.sample_avatar(300_000)


@pytest.fixture(scope="module")
def site():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(directory, os.environ["AVSEAL_BUILD"])
    site.make()
    site.start()
    yield site
    assert site.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def alice(site):
    assert call.subscribe(site).status == 201
    assert call.publish(site, CONTENT).status == 201
    return SoftwareUe(site)


def grant(site, ue):
    identity = call.identity_of(call.sign(site, call.signing_request(ue.fingerprint())))
    answer = call.request_token(site, call.token_form(site, identity, ue.token()))
    assert answer.status == 200, answer.text
    return answer.json()["access_token"]


def sealed_file(site):
    query = f"SELECT content_file FROM avatar WHERE id = '{demo_site.AVATAR}'"
    name = subprocess.run(["sqlite3", "-readonly", site.directory / "store.sqlite", query], capture_output=True, text=True, check=True).stdout.strip()
    return site.directory / "dac" / name


def read_raw(site, token):
    """What of the content reaches a client, also when the transfer breaks."""
    done = subprocess.run([*curl.client_of(site, "xr-as").base, "-H", f"Authorization: Bearer {token}",
                           f"{site.url}/dac/v1/avatars/{call.path_segment(demo_site.AVATAR)}/content"], capture_output=True)
    return done.returncode, done.stdout


def test_conflicts_and_ownership(site, alice):
    small = call.sample_avatar(1000)
    assert call.publish(site, small, version=7).status == 412
    assert call.publish(site, small, owner="sip:bob@b.example", version=1, client="feeder-b").status == 403
    assert call.publish(site, small, owner="sip:bob@b.example", version=1).status == 403
    assert call.stage(site, small, digest=call.content_digest(b"other")).status == 400


def test_ranges(site, alice):
    token = grant(site, alice)
    for first, last in ((0, 0), (65535, 65536), (len(CONTENT) - 1, len(CONTENT) - 1)):
        answer = call.fetch(site, "content", token, headers={"Range": f"bytes={first}-{last}"})
        assert answer.status == 206 and answer.body == CONTENT[first:last + 1]


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_no_altered_byte_leaves(site, alice, place):
    token = grant(site, alice)
    path = sealed_file(site)
    good = path.read_bytes()
    at = int(len(good) * place)
    try:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        code, body = read_raw(site, token)
        assert not body.startswith(CONTENT) or len(body) != len(CONTENT)
        assert code != 0 or b"content" in body and b"reason" in body
        assert CONTENT.startswith(body) or b'"reason"' in body
    finally:
        path.write_bytes(good)
    assert read_raw(site, token) == (0, CONTENT)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:70_000], lambda data: data + data[-66_000:],
                                    lambda data: data[:100] + data[66_000:132_000] + data[100:66_000] + data[132_000:]])
def test_truncated_repeated_and_swapped(site, alice, change):
    token = grant(site, alice)
    path = sealed_file(site)
    good = path.read_bytes()
    try:
        path.write_bytes(change(good))
        _, body = read_raw(site, token)
        assert body != CONTENT and (CONTENT.startswith(body) or b'"reason"' in body)
    finally:
        path.write_bytes(good)


def test_withdrawn(site, alice):
    token = grant(site, alice)
    feeder = curl.client_of(site, "feeder")
    path = f"/dac/v1/avatars/{call.path_segment(demo_site.AVATAR)}"
    assert feeder.delete(path, headers={"If-Match": '"1"'}).status == 204
    assert call.fetch(site, "metadata", token).status == 404
    assert call.publish(site, CONTENT).status in (200, 201)


def restart(site, setting, value):
    """With another setting of the authorization role."""
    assert site.stop() == 0
    path = site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("[authorization]\n", f"[authorization]\n{setting} = {value}\n"))
    site.start()


def test_expired_access_token(site, alice):
    restart(site, "access_token_lifetime", 1)
    token = grant(site, alice)
    end = time.monotonic() + 30
    while call.fetch(site, "metadata", token).status == 200 and time.monotonic() < end:
        time.sleep(0.2)
    answer = call.fetch(site, "metadata", token)
    assert answer.status == 401 and "access-token-expired" in answer.text, answer.text


@pytest.mark.parametrize("statement, check", [
    ("UPDATE subscription SET avatars = replace(avatars, 'xr-meeting', 'xr-gaming!')", "subscription"),
    ("UPDATE avatar SET version = version + 1", "avatar"),
])
def test_a_row_edited_in_the_store_grants_nothing(site, alice, statement, check):
    assert site.stop() == 0
    store = site.directory / "store.sqlite"
    backup = store.read_bytes()
    for leftover in ("-wal", "-shm"):
        pathlib.Path(f"{store}{leftover}").unlink(missing_ok=True)
    done = subprocess.run(["sqlite3", store, statement], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    site.start()
    try:
        signed = call.sign(site, call.signing_request(alice.fingerprint()))
        if check == "subscription":
            assert signed.status == 403, signed.text
        else:
            answer = call.request_token(site, call.token_form(site, call.identity_of(signed), alice.token()))
            assert answer.status == 400 and "avatar-unknown" in answer.text, answer.text
        metrics = curl.client_of(site, "operator").get("/metrics").text
        assert any("forged" in line and not line.startswith("#") and float(line.split()[-1]) > 0 for line in metrics.splitlines())
    finally:
        assert site.stop() == 0
        for leftover in ("-wal", "-shm"):
            pathlib.Path(f"{store}{leftover}").unlink(missing_ok=True)
        edited = store.with_suffix(".edited")
        store.rename(edited)
        store.write_bytes(backup)
        # The head of the log has moved on, and an older one would be refused.
        subprocess.run(["sqlite3", store, f"ATTACH '{edited}' AS edited; DELETE FROM ledger_head; INSERT INTO ledger_head SELECT * FROM edited.ledger_head;"],
                       check=True)
        site.start()

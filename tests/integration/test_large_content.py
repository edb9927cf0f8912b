"""Large content, staged and fetched with curl over both HTTP versions: streamed, whole and true, without being held in memory."""

import base64
import hashlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

import pytest

from demo import call, curl, site as demo_site
from support.software_ue import SoftwareUe

MIB = 1 << 20
SIZE = 128 * MIB
MOST_GROWTH = 48 * MIB  # of the service's memory, whatever the content's size
VERSIONS = ("--http2", "--http1.1")


def write_content(path, size=SIZE):
    """Bytes in which no part repeats; gives their SHA-256."""
    source, digest = random.Random(str(path.name)), hashlib.sha256()
    with path.open("wb") as out:
        for at in range(0, size, MIB):
            piece = source.randbytes(min(MIB, size - at))
            digest.update(piece)
            out.write(piece)
    return digest.digest()


def digest_of(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def field(digest):
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def peak(site):
    """The most memory that avseald had so far."""
    status = pathlib.Path(f"/proc/{site.running['avseald'].pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.fixture(scope="module")
def site():
    site = demo_site.Site(pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp")), os.environ["AVSEAL_BUILD"])
    site.make()
    path = site.directory / "avseald.toml"
    path.write_text(path.read_text().replace("[dac]\n", f"[dac]\nmax_content_bytes = {SIZE}\n"))
    # A sanitizer would keep what was freed.
    site.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    site.start()
    yield site
    assert site.stop() == 0
    shutil.rmtree(site.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def ue(site):
    assert call.subscribe(site).status == 201
    return SoftwareUe(site)


def content_path(avatar=demo_site.AVATAR):
    return f"/dac/v1/avatars/{call.path_segment(avatar)}/content"


def stage(site, file, digest, http, chunked=False):
    """The status with which curl's upload ended, and the answer's text."""
    command = [*curl.client_of(site, "feeder", http).base, "--max-time", "600", "-H", "Content-Type: model/gltf-binary",
               "-H", f"Content-Digest: {field(digest)}", "-w", "\n%{http_code}", "-T", "-" if chunked else file, site.url + content_path()]
    with file.open("rb") as content:
        done = subprocess.run(command, stdin=content if chunked else subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def fetch(site, token, http, target, byte_range=None):
    """Fetches into a file; gives the answer's status and headers."""
    command = [*curl.client_of(site, "xr-as", http).base, "--max-time", "600", "-H", f"Authorization: Bearer {token}", "-D", "-", "-o", target]
    command += ["-r", byte_range] if byte_range else []
    done = subprocess.run([*command, site.url + content_path()], capture_output=True)
    assert done.returncode == 0, done.stderr
    return curl.parse(done.stdout)


def publish(site, digest, version):
    condition = {"If-None-Match": "*"} if version == 1 else {"If-Match": f'"{version - 1}"'}
    body = {"owner": demo_site.ALICE, "contentDigest": f"sha-256-{base64.b64encode(digest).decode()}"}
    return curl.client_of(site, "feeder").put(f"/dac/v1/avatars/{call.path_segment(demo_site.AVATAR)}", json_body=body, headers=condition)


def grant(site, ue):
    identity = call.identity_of(call.sign(site, call.signing_request(ue.fingerprint())))
    answer = call.request_token(site, call.token_form(site, identity, ue.token()))
    assert answer.status == 200, answer.text
    return answer.json()["access_token"]


def test_is_streamed_both_ways(site, ue):
    before = peak(site)
    for version, http in enumerate(VERSIONS, 1):
        file, back = site.directory / f"content-{version}", site.directory / "back"
        digest = write_content(file)
        assert stage(site, file, digest, http)[0] == 201
        assert publish(site, digest, version).status == (201 if version == 1 else 200)
        token = grant(site, ue)
        for reading in VERSIONS:
            answer = fetch(site, token, reading, back)
            assert answer.status == 200 and answer.headers["content-digest"] == field(digest)
            assert digest_of(back) == digest
            with file.open("rb") as content:
                for first, size in ((0, 1), (SIZE // 2 - 65537, 65538), (SIZE - 10 * MIB, 10 * MIB)):
                    assert fetch(site, token, reading, back, f"{first}-{first + size - 1}").status == 206
                    content.seek(first)
                    assert back.read_bytes() == content.read(size)
        file.unlink()
    assert peak(site) - before < MOST_GROWTH


@pytest.mark.parametrize("http", VERSIONS)
@pytest.mark.parametrize("chunked", [False, True])
def test_one_byte_too_many(site, http, chunked):
    file = site.directory / f"larger{http}{chunked}"
    digest = write_content(file, SIZE + 1)
    before = set((site.directory / "dac").iterdir())
    status, text = stage(site, file, digest, http, chunked)
    assert status == 413 and "body-too-large" in text
    assert set((site.directory / "dac").iterdir()) == before
    file.unlink()


def test_upload_of_the_wrong_role(site):
    file = site.directory / "refused"
    digest = write_content(file, 50 * MIB)
    for http in VERSIONS:
        command = [*curl.client_of(site, "xr-as", http).base, "-H", "Content-Type: model/gltf-binary", "-H", f"Content-Digest: {field(digest)}",
                   "-D", "-", "-T", file, site.url + content_path()]
        done = subprocess.run(command, capture_output=True)
        assert done.returncode == 0, done.stderr
        answer = curl.parse(done.stdout)
        assert answer.status == 403 and answer.json()["reason"] == "client-role"
        assert answer.headers["content-type"] == "application/problem+json"

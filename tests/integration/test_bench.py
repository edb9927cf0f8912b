"""`avseal bench` against a running site: what it counts is what the service did, and what the ledger holds."""

import json
import re
import time

import pytest

from demo import call, curl, site as demo_site
from support import ledger
from support.hsm import Hsm

CONNECTIONS, STREAMS = 2, 4
ROUTE = 'avseal_http_requests_total{route="ms.signing"'


def bench(site, *arguments, client="ims-as", url=None, ca="tls-ca"):
    began = time.monotonic()
    done = site.avseal("bench", "--url", url or site.url, "--cacert", site.pki.pem(ca), "--cert", site.pki.pem(client), "--key", site.pki.key(client),
                       "--connections", CONNECTIONS, "--streams", STREAMS, "--seconds", 1, *arguments, check=False)
    assert time.monotonic() - began < 60, "a bench of one second does not end"
    return done


@pytest.fixture(scope="module")
def template(ue):
    """A signing request with a call identifier and a time of its own each time."""
    request = call.signing_request(ue.fingerprint(), origid="{{uuid}}")
    request["signingRequest"]["iat"] = "NOW"
    path = ue.site.directory / "request.json"
    path.write_text(json.dumps(request).replace('"NOW"', "{{now}}"))
    return path


def signatures(site):
    return [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "sign.avatar-id"]


def answered(site, status):
    lines = curl.client_of(site, "operator").get("/metrics").text.splitlines()
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith(ROUTE) and f'status="{status}"' in line)


def test_every_answered_signature_is_a_leaf(site, template):
    before_leaves, before = len(signatures(site)), answered(site, 200)
    done = bench(site, "--signing", template, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    result = json.loads(done.stdout)
    assert result["statuses"] == {"200": result["requests"]} and result["requests"] > 0 and result["errors"] == {}
    assert result["rate"] == pytest.approx(result["requests"] / result["seconds"])
    latency = result["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"]

    leaves, done = signatures(site)[before_leaves:], answered(site, 200) - before
    assert all(leaf["outcome"] == "released" for leaf in leaves)
    assert len({leaf["details"]["origid"] for leaf in leaves}) == len(leaves)
    assert result["requests"] <= done <= len(leaves) <= done + CONNECTIONS * STREAMS


def test_text_for_people(site, template):
    done = bench(site, "--signing", template)
    assert done.returncode == 0, done.stderr
    head, rate, latency, *rest = done.stdout.splitlines()
    assert head == f"POST {site.url}/stir/v1/signing: 2 connections x 4 streams, 1 s"
    assert re.fullmatch(r"rate     \d+ requests/s \(\d+ answered\)", rate)
    assert re.fullmatch(r"latency  p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, p99\.9 [\d.]+ ms", latency)
    assert re.fullmatch(r"status   200: \d+", rest[0]) and rest[1:] == ["errors   none"]


def test_a_client_out_of_scope_is_an_error(site, template):
    """Refusals are fast; a rate of them is no success."""
    done = bench(site, "--signing", template, "--json", client="ims-as-b")
    result = json.loads(done.stdout)
    assert done.returncode == 1
    assert result["errors"] == {"status 403": result["requests"]} and result["requests"] > 0
    assert not any(leaf["client"] == "ims-as-b" and leaf["outcome"] == "released" for leaf in signatures(site))
    assert re.search(r"error    status 403: \d+", bench(site, "--signing", template, client="ims-as-b").stdout)


def test_a_client_of_another_role_and_none(site, template):
    result = json.loads(bench(site, "--signing", template, "--json", client="xr-as").stdout)
    assert result["errors"] == {"status 403": result["requests"]}
    done = site.avseal("bench", "--url", f"{site.url}/livez", "--cacert", site.pki.pem("tls-ca"), "--seconds", 1, "--connections", 1, "--json", check=False)
    assert done.returncode == 0 and set(json.loads(done.stdout)["statuses"]) == {"200"}, done.stderr


def test_nobody_there(site, template):
    done = bench(site, "--signing", template, url="https://localhost:1")
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1 and "localhost:1" in done.stderr


def test_a_server_of_another_ca(site, template):
    done = bench(site, "--signing", template, ca="stir-ca")
    assert done.returncode == 1 and "cannot connect" in done.stderr and "certificate" in done.stderr


@pytest.mark.parametrize("arguments", [("--connections", 0), ("--streams", 101), ("--seconds", 0), ("--signing", "/nonexistent"), ("--module", "x")])
def test_options_that_cannot_be(site, arguments):
    done = site.avseal("bench", "--url", site.url, "--cacert", site.pki.pem("tls-ca"), *arguments, check=False)
    assert done.returncode != 0 and done.stdout == "" and arguments[0] in done.stderr


def raw(site, *arguments):
    return site.avseal("bench", "--raw", "--module", site.module, "--token", demo_site.token_uri(demo_site.TOKENS[0]), "--pin-file", site.secret("pin"), "--seconds", 1,
                       *arguments, check=False)


def test_raw(site):
    before = len(signatures(site))
    done = raw(site, "--label", "avatar-id")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rates = done.stdout.splitlines()
    assert demo_site.TOKENS[0] in head and "P-256" in head
    numbers = [int(re.search(r": (\d+) signatures/s$", line).group(1)) for line in rates]
    assert [line.split(":")[0] for line in rates] == ["1 thread", "2 threads", "4 threads", "best"]
    assert numbers[-1] == max(numbers[:-1]) > 0
    assert len(signatures(site)) == before, "the token alone is measured, not the service"


@pytest.mark.parametrize("arguments, expected", [((), "name the key"), (("--label", "nowhere"), "nowhere"), (("--label", "dac-kek"), "dac-kek")])
def test_raw_without_a_key_to_sign_with(site, arguments, expected):
    done = raw(site, *arguments)
    assert done.returncode == 1 and done.stdout == "" and expected in done.stderr and len(done.stderr.splitlines()) == 1


def test_raw_with_a_wrong_pin(directory, build):
    hsm = Hsm(directory, build)
    hsm.init()
    hsm.good(*hsm.key("generate", "--kind", "ledger", "--label", "key"))
    wrong = hsm.file("wrong", "0" * 16)
    line = hsm.bad("bench", "--raw", "--module", hsm.module, "--token", "pkcs11:token=cli-test", "--label", "key", "--pin-file", wrong)
    assert "CKR_PIN_INCORRECT" in line

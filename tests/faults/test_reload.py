"""SIGHUP: another configuration, wholly or not at all, while the service is under load."""

import base64
import hashlib
import http.client
import signal
import ssl

import pytest

from demo import call, curl, pki, site as demo_site
from support import jose, ledger
from support.load import Load, wait_until

REPLICA = demo_site.TOKENS[1]


@pytest.fixture
def file(site):
    """The configuration file, put back and taken again at the end."""
    path = site.directory / "avseald.toml"
    good = path.read_text()
    yield path
    if path.read_text() != good:
        path.write_text(good)
        assert reload(site)["event"] == "configuration.reloaded"


def decisions(site):
    return [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"].startswith("configuration.")]


def taken(site):
    return sum(leaf["event"] == "configuration.reloaded" for leaf in decisions(site))


def reload(site):
    """The leaf that says how it ended."""
    before = len(decisions(site))
    site.running["avseald"].send_signal(signal.SIGHUP)
    wait_until(lambda: len(decisions(site)) > before)
    leaf = decisions(site)[-1]
    if leaf["event"] == "configuration.reloaded":
        wait_until(lambda: (site.log / "avseald.log").read_text().count("event=configuration-reloaded ") == taken(site))
    return leaf


def nothing_lost(load):
    load.account()
    assert not load.refused and not load.broken, (load.refused[:3], load.broken[:3])


def edit(path, *replacements):
    text = path.read_text()
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def tokens(site):
    return {token["name"]: token for token in curl.client_of(site, "operator").get("/operations/v1/tokens").json()["tokens"]}


def not_after(site):
    line, = (line for line in curl.client_of(site, "auditor").get("/metrics").text.splitlines()
             if line.startswith('avseal_certificate_not_after_seconds{key="avatar-id"}'))
    return float(line.split()[1])


def without_replica(path):
    text = path.read_text()
    start = text.index(f'[[tokens]]\nname = "{REPLICA}"')
    end = text.index("[", start + len("[[tokens]]"))
    block = text[start:end]
    return (block, ""), (f', "{REPLICA}"]', "]")


def test_token_is_removed_and_added_under_load(site, alice, file):
    good = file.read_text()
    with Load(site, alice) as load:
        load.wait_for(50)
        digest = edit(file, *without_replica(file))
        leaf = reload(site)
        assert leaf["event"] == "configuration.reloaded" and leaf["details"]["digest"] == digest, leaf
        assert set(tokens(site)) == {demo_site.TOKENS[0]}
        load.wait_for(50)
        file.write_text(good)
        assert reload(site)["event"] == "configuration.reloaded"
        assert set(tokens(site)) == set(demo_site.TOKENS)
        load.wait_for(50)
    nothing_lost(load)


def test_certificate_is_swapped_under_load(site, alice, file):
    old = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    old_url = jose.parts(old.split(";")[0])[0]["x5u"]
    path = site.pki.pem("avatar-id")
    before, before_not_after = path.read_text(), not_after(site)
    with Load(site, alice) as load:
        load.wait_for(50)
        site.pki.sign_request("avatar-id", site.pki.directory / "avatar-id.csr", "stir-ca",
                              pki.stir_extensions(["a.example"], "17035550000", 10000), days=800)
        assert path.read_text() != before
        assert reload(site)["event"] == "configuration.reloaded"
        load.wait_for(50)
    nothing_lost(load)
    new = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    new_url = jose.parts(new.split(";")[0])[0]["x5u"]
    assert new_url != old_url
    assert not_after(site) > before_not_after
    for url in (old_url, new_url):
        assert curl.nobody(site).get(url.removeprefix(site.url)).status == 200, "what was signed before is still verified"
    for identity in (old, new):
        verdict = call.verify(site, call.verification_request(identity, alice.fingerprint())).json()
        assert verdict["verificationResponse"]["verstatValue"] == "Avatar-Validation-Passed", verdict


def test_removed_client_is_refused_on_its_open_connection(site, alice, file):
    context = ssl.create_default_context(cafile=str(site.pki.pem("tls-ca")))
    context.load_cert_chain(site.pki.pem("feeder-b"), site.pki.key("feeder-b"))
    connection = http.client.HTTPSConnection("localhost", site.port, context=context)

    def status():
        connection.request("GET", f"/dac/v1/avatars/{call.path_segment('urn:uuid:none')}")
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 404
    kept = connection.sock
    edit(file, ('id = "feeder-b"\nrole = "feeder"\nsan_dns = "feeder-b.a.example"', 'id = "feeder-b"\nrole = "feeder"\nsan_dns = "elsewhere.a.example"'))
    assert reload(site)["event"] == "configuration.reloaded"
    assert status() == 403
    assert connection.sock is kept


def test_policy_and_log_level_are_taken(site, alice, file):
    policy = site.directory / "policy.toml"
    good = policy.read_text()
    identity = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    call.publish(site, call.sample_avatar(100))
    assert call.request_token(site, call.token_form(site, identity, alice.token())).status == 200
    policy.write_text(good.replace('"allow"', '"deny"'))
    edit(file, ('level = "info"', 'level = "debug"'))
    try:
        assert reload(site)["event"] == "configuration.reloaded"
        refused = call.request_token(site, call.token_form(site, identity, alice.token()))
        assert refused.status == 400 and "policy" in refused.text, refused.text
    finally:
        policy.write_text(good)


@pytest.mark.parametrize("old, new, reason, expected", [
    ("[server]\n", "[server\n", "configuration-invalid", "avseald.toml:3"),
    ('level = "info"', 'level = "loud"', "configuration-invalid", "level"),
    ("threads = 2", "threads = 3", "configuration-needs-restart", "server.threads"),
    ('address = "127.0.0.1"', 'address = "127.0.0.2"', "configuration-needs-restart", "server.address"),
    ("certificate_lifetime_days = 30\n", "certificate_lifetime_days = 29\n", "configuration-needs-restart", "enrollment.certificate_lifetime_days"),
    ('pki/avatar-id.pem"', 'pki/access-token.pem"', "key-configuration", "same public key"),
    ('san_dns = "feeder.a.example"', 'san_dns = "feeder-b.a.example"', "client-entry-invalid", "feeder-b"),
    ('name = "avatar-id"', 'name = "avatar-di"', "hsm-unavailable", "avatar-di"),
    ('/tokend-hsm-b.toml', '/nowhere.toml', "workers-start", "nowhere.toml"),
])
def test_what_cannot_be_taken_changes_nothing(site, alice, file, old, new, reason, expected):
    good = file.read_text()
    before = tokens(site)
    with Load(site, alice) as load:
        load.wait_for(20)
        edit(file, (old, new))
        leaf = reload(site)
        assert leaf["event"] == "configuration.refused" and leaf["outcome"] == "refused", leaf
        assert leaf["reason"] == reason and expected in leaf["details"]["detail"], leaf
        load.wait_for(20)
    nothing_lost(load)
    assert expected in (site.log / "avseald.log").read_text()
    after = tokens(site)
    assert {name: [worker["instance"] for worker in token["workers"]] for name, token in after.items()} == \
           {name: [worker["instance"] for worker in token["workers"]] for name, token in before.items()}
    file.write_text(good)
    assert reload(site)["event"] == "configuration.reloaded"


def test_reloads_are_counted(site, file):
    def counts():
        lines = curl.client_of(site, "operator").get("/metrics").text.splitlines()
        return {line.split('"')[1]: float(line.split()[1]) for line in lines if line.startswith("avseal_reload_total{")}

    before = counts()
    reload(site)
    edit(file, (f"port = {site.port}", "port = 1"))
    assert "server.port" in reload(site)["details"]["detail"]
    file.write_text(file.read_text().replace("port = 1\n", f"port = {site.port}\n"))
    assert counts() == {"reloaded": before["reloaded"] + 1, "refused": before["refused"] + 1}

"""A step of the clock while the service runs: nothing is signed or judged, every interface says so in its form, and it ends as it should."""

import time

import pytest

from demo import call, curl, site as demo_site
from support import jose, ledger
from support.load import wait_until
from support.shifted_clock import ShiftedClock
from support.software_ue import SoftwareUe, request


@pytest.fixture(scope="module")
def clock(stopped_site):
    return ShiftedClock.of(stopped_site)


@pytest.fixture(scope="module")
def running(clock, site):
    return site


@pytest.fixture(scope="module")
def people(running):
    return {name: curl.client_of(running, name) for name in demo_site.CLIENTS} | {"nobody": curl.nobody(running)}


@pytest.fixture(scope="module")
def alice(running):
    assert call.subscribe(running).status == 201
    call.publish(running, call.sample_avatar(1000))
    return SoftwareUe(running)


def clock_of(people):
    return people["operator"].get("/operations/v1/clock").json()


def metric(people, name):
    lines = [line for line in people["operator"].get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].split()[1]) if lines else None


def events(site, kind):
    return [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == kind]


def wait_for_event(site, kind, count):
    wait_until(lambda: len(events(site, kind)) >= count)
    return events(site, kind)[-1]


@pytest.mark.parametrize("seconds", [3600, -3, 2.5])
def test_step_stops_everything_that_states_or_judges_a_time(running, people, clock, alice, seconds):
    identity = call.identity_of(call.sign(running, call.signing_request(alice.fingerprint())))
    steps, restored = len(events(running, "clock.stepped")), len(events(running, "clock.restored"))
    form = call.token_form(running, identity, alice.token())
    token = people["xr-as"].post("/oauth2/token", form=form).json()["access_token"]
    code = people["operator"].post("/enrollment/v1/codes", json_body={"impu": demo_site.ALICE, "simple": True, "reason": "a test"}).json()["code"]
    avatar = call.path_segment(demo_site.AVATAR)

    clock.shift(seconds)
    try:
        answers = {
            "signing": people["ims-as"].post("/stir/v1/signing", json_body=call.signing_request(alice.fingerprint())),
            "verification": people["ims-as"].post("/stir/v1/verification", json_body=call.verification_request(identity, alice.fingerprint())),
            "verification, ATIS": people["ims-as-b"].post("/stir/v1/verification", json_body=call.verification_request(identity, alice.fingerprint())),
            "token": people["xr-as"].post("/oauth2/token", form=form),
            "CAPIF token": people["xr-as"].post("/capif-security/v1/securities/sec-1/token", form=form),
            "metadata": people["xr-as"].get(f"/dac/v1/avatars/{avatar}/metadata", headers={"Authorization": f"Bearer {token}"}),
            "content": people["xr-as"].get(f"/dac/v1/avatars/{avatar}/content", headers={"Authorization": f"Bearer {token}"}),
            "enrolment": people["nobody"].post("/enrollment/v1/simple", json_body={"code": code, "csr": request(jose.new_key())}),
            "enrolment code": people["operator"].post("/enrollment/v1/codes", json_body={"impu": demo_site.ALICE}),
        }
        for name, answer in answers.items():
            assert answer.status == 503, f"{name}: {answer.status} {answer.text}"
            assert "clock" in answer.text, f"{name}: {answer.text}"
            assert "retry-after" in answer.headers, name
        assert "requestError" in answers["signing"].json()
        assert answers["token"].json()["reason"] == "clock-stepped"
        ready = people["operator"].get("/readyz")
        assert ready.status == 503 and not ready.json()["clock"]["ready"] and "stepped" in ready.json()["clock"]["why"]
        told = clock_of(people)
        assert not told["trusted"] and abs(told["step_ms"] - seconds * 1000) < 100
        leaf = wait_for_event(running, "clock.stepped", steps + 1)
        assert abs(leaf["details"]["step_ms"] - seconds * 1000) < 100
        wait_until(lambda: metric(people, "avseal_clock_trusted") == 0)
        # What needs no time goes on.
        assert people["operator"].get(f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}").status == 200
        assert people["nobody"].get("/livez").status == 200
        assert people["nobody"].get("/.well-known/jwks.json").status == 200
    finally:
        clock.shift(0)
    assert call.sign(running, call.signing_request(alice.fingerprint())).status == 200
    assert people["xr-as"].post("/oauth2/token", form=form).json()["access_token"] == token, "the UE token was not spent meanwhile"
    assert people["nobody"].post("/enrollment/v1/simple", json_body={"code": code, "csr": request(jose.new_key())}).status == 201
    assert "stepped back" in wait_for_event(running, "clock.restored", restored + 1)["details"]["detail"]
    assert people["operator"].get("/readyz").status == 200


def test_step_within_the_limit_is_nothing(running, people, clock, alice):
    clock.shift(1.9)
    try:
        assert call.sign(running, call.signing_request(alice.fingerprint())).status == 200
        assert clock_of(people)["trusted"]
    finally:
        clock.shift(0)


def test_operator_accepts_the_time(running, people, clock, alice):
    accepted = len(events(running, "clock.accepted"))
    clock.shift(30)  # within freshness, so that a call can be signed afterwards
    try:
        assert not clock_of(people)["trusted"]
        at = "/operations/v1/clock/acceptance"
        wrong = people["operator"].post(at, json_body={"time": int(time.time())})
        assert wrong.status == 409 and wrong.json()["reason"] == "clock-differs", wrong.text
        assert not clock_of(people)["trusted"]
        assert people["ims-as"].post(at, json_body={"time": int(time.time()) + 30}).status == 403
        taken = people["operator"].post(at, json_body={"time": int(time.time()) + 30})
        assert taken.status == 204, taken.text
        assert clock_of(people)["trusted"]
        leaf = wait_for_event(running, "clock.accepted", accepted + 1)
        assert leaf["client"] == "operator-1" and abs(leaf["details"]["step_ms"] - 30000) < 100
        assert call.sign(running, call.signing_request(alice.fingerprint())).status == 200
    finally:
        clock.shift(0)
    assert not clock_of(people)["trusted"], "the accepted time is the trusted one"
    done = running.avseal("clock", "accept", *running.operator_options())
    assert done.returncode == 0, done.stderr
    shown = running.avseal("clock", "show", *running.operator_options()).stdout
    assert "trusted" in shown
    # The ledger has leaves of the time that was accepted first: its times never decrease, so it waits until that has come again.
    assert not people["operator"].get("/readyz").json()["ledger"]["ready"]
    wait_until(lambda: people["operator"].get("/readyz").status == 200)


TRACKING = "D9C6C53C,192.0.2.1,3,1753460000.1,-0.000012,0.000001,0.000023,-12.3,0.001,0.045,0.0123,0.0009,64.2,{leap}\n"


def test_chrony_is_heard(directory, build):
    """A chronyc of ours tells avseald what chronyd would: not synchronised, synchronised, a step, and ten seconds later the time is trusted again."""
    site = demo_site.Site(directory / "site", build)
    site.make()
    shifted = ShiftedClock(directory, build)
    site.environment = {**site.environment, **shifted.environment}
    says = directory / "says"
    says.write_text(TRACKING.format(leap="Not synchronised"))
    chronyc = directory / "chronyc"
    chronyc.write_text(f"#!/bin/sh\n[ \"$*\" = '-n -c tracking' ] && exec cat {says}\n")
    chronyc.chmod(0o700)
    file = site.directory / "avseald.toml"
    file.write_text(file.read_text().replace('source = "trusted"', f'source = "chrony"\nchronyc = "{chronyc}"'))
    site.start_service()
    try:
        operator = curl.client_of(site, "operator")
        call.subscribe(site)
        wish = call.signing_request("SHA-256 " + ":".join(["AB"] * 32))
        refused = call.sign(site, wish)
        assert refused.status == 503 and "clock-unsynchronised" in refused.text, refused.text
        assert "not synchronised" in operator.get("/readyz").json()["clock"]["why"]
        says.write_text(TRACKING.format(leap="Normal"))
        wait_until(lambda: operator.get("/operations/v1/clock").json()["trusted"])
        assert call.sign(site, call.signing_request("SHA-256 " + ":".join(["AB"] * 32))).status == 200
        shifted.shift(30)
        assert call.sign(site, wish).status == 503
        wait_for_event(site, "clock.stepped", 1)
        restored = wait_for_event(site, "clock.restored", 1)
        assert "chrony said synchronised" in restored["details"]["detail"], restored
        assert operator.get("/operations/v1/clock").json()["trusted"]
        says.write_text("506 Cannot talk to daemon\n")
        wait_until(lambda: not operator.get("/operations/v1/clock").json()["trusted"])
    finally:
        assert site.stop() == 0

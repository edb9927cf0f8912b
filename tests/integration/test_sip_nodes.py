"""Two nodes on one store behind the AS: one is killed under calls, and what one node saw or was told holds on the other."""

import time

import pytest

from demo import call, curl, sip, site as demo_site
from support import sip as line
from support.nodes import SecondNode
from support.software_ue import SoftwareUe

CALLS = 40


@pytest.fixture(scope="module")
def second(stopped_site):
    node = SecondNode(stopped_site)
    stopped_site.start()
    node.start()
    yield node
    assert node.stop() == 0, node.log.read_text()[-4000:]
    stopped_site.stop()


@pytest.fixture(scope="module")
def alice(second):
    assert call.subscribe(second.site).status in (200, 201, 204)
    assert call.publish(second.site, call.sample_avatar(20_000)).status == 201
    return SoftwareUe(second.site)


def test_token_of_one_node_is_used_up_on_the_other(second, alice):
    """The same request gets the same access token from either; the UE token is good for nothing else."""
    site = second.site
    identity = call.identity_of(call.sign(site, call.signing_request(alice.fingerprint())))
    token = alice.token()
    form = call.token_form(site, identity, token)
    granted = call.request_token(site, form)
    assert granted.status == 200, granted.text
    again = second.client("xr-as").post("/oauth2/token", form=form)
    assert again.status == 200 and again.json()["access_token"] == granted.json()["access_token"]
    another = call.identity_of(second.client("ims-as").post("/stir/v1/signing", json_body=call.signing_request(alice.fingerprint())))
    refused = second.client("xr-as").post("/oauth2/token", form=call.token_form(site, another, token))
    assert refused.status == 400 and refused.json()["error"] == "invalid_grant", refused.text
    assert refused.json()["error_description"].startswith("ue-token-replayed:"), refused.text


def test_call_that_ended_on_one_node_is_over_on_the_other(second, alice):
    site = second.site
    request = call.signing_request(alice.fingerprint())
    identity = call.identity_of(call.sign(site, request))
    assert call.tell_call_state(site, request["signingRequest"]["origid"], "ended").status == 204
    refused = second.client("xr-as").post("/oauth2/token", form=call.token_form(site, identity, alice.token()))
    assert refused.json()["error_description"].startswith("call-ended:"), refused.text


def test_subscription_revoked_on_one_node(second, alice):
    """The other believes what it read for a second at most."""
    site = second.site
    ims_as = second.client("ims-as")
    assert ims_as.post("/stir/v1/signing", json_body=call.signing_request(alice.fingerprint())).status == 200
    assert call.unsubscribe(site).status == 204
    time.sleep(1)
    refused = ims_as.post("/stir/v1/signing", json_body=call.signing_request(alice.fingerprint()))
    assert refused.status == 403 and "policyException" in refused.json()["requestError"], refused.text
    assert call.subscribe(site).status in (200, 201)
    time.sleep(1)
    assert ims_as.post("/stir/v1/signing", json_body=call.signing_request(alice.fingerprint())).status == 200


def test_node_killed_under_calls(second, alice, directory):
    """Every call comes through with its avatar, signed and verified."""
    site = second.site
    with line.network(site, nodes=(site.url, second.url)) as both:
        callee = sip.UserAgent(directory, "callee", line.accept(), port=both.callee_port, calls=CALLS)
        caller = sip.UserAgent(directory, "caller", [line.offer(alice.fingerprint()), *line.talk(500)], both.originating.port, calls=CALLS,
                               options=["-r", "10"])
        callee.start()
        caller.start()
        assert line.until(lambda: len(callee.received("INVITE")) > CALLS // 3), both.logs()
        site.running["avseald"].kill()
        assert caller.finish() == 0, caller.failure()[:2000] + both.logs()
        assert callee.finish() == 0, callee.failure()[:2000] + both.logs()
        assert both.originating.events() == [] and both.terminating.events() == [], both.logs()
        invites = callee.received("INVITE")
        assert len({sip.header(invite, "Call-ID")[0] for invite in invites}) == CALLS
        assert all(line.has_avatar(invite) for invite in invites)
        signed = {call.claims_of(sip.header(invite, "Identity")[0])["origid"] for invite in invites}
        assert len(signed) == CALLS

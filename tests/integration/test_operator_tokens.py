"""avseal token drain and resume: a drained token gets no work, on every thread, also after a restart; every change has its actor in the ledger."""

from demo import curl, site as demo_site
from support import ledger
from support.load import Load

FIRST, REPLICA = demo_site.TOKENS


def token(site, *arguments, check=True):
    return site.avseal("token", *arguments, *site.operator_options(), check=check)


def tokens(site):
    return {entry["name"]: entry for entry in curl.client_of(site, "operator").get("/operations/v1/tokens").json()["tokens"]}


def workers_used(site, alice, count=40):
    """Instances of the workers that made `count` signatures or more."""
    before = len(ledger.leaves(site.ledger))
    with Load(site, alice) as load:
        load.wait_for(count)
    load.account()
    assert not load.refused and not load.broken
    return {use["worker"] for leaf in ledger.leaves(site.ledger)[before:] for use in leaf.get("keys", [])}


def instances(site, name):
    return {worker["instance"] for worker in tokens(site)[name]["workers"]}


def test_drained_token_gets_no_work_and_stays_so_after_a_restart(site, alice):
    assert {entry["state"] for entry in tokens(site).values()} == {"active"}
    done = token(site, "drain", REPLICA)
    assert done.returncode == 0 and "drained" in done.stdout
    assert tokens(site)[REPLICA]["state"] == "drained"
    assert not workers_used(site, alice) & instances(site, REPLICA)
    assert site.stop() == 0
    site.start()
    assert tokens(site)[REPLICA]["state"] == "drained"
    assert not workers_used(site, alice) & instances(site, REPLICA)
    token(site, "resume", REPLICA)
    assert workers_used(site, alice) & instances(site, REPLICA)
    changes = [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "token.state"]
    assert [(leaf["client"], leaf["details"]) for leaf in changes] == \
           [("operator-1", {"state": state, "token": REPLICA}) for state in ("drained", "active")]


def test_last_replica_is_not_drained(site, alice):
    token(site, "drain", FIRST)
    refused = token(site, "drain", REPLICA, check=False)
    assert refused.returncode != 0 and REPLICA in refused.stderr, refused.stderr
    assert tokens(site)[REPLICA]["state"] == "active"
    assert workers_used(site, alice) <= instances(site, REPLICA)
    token(site, "resume", FIRST)
    last = [leaf for leaf in ledger.leaves(site.ledger) if leaf["event"] == "token.state" and leaf["outcome"] == "discarded"][-1]
    assert last["reason"] == "token-last-replica" and last["client"] == "operator-1"


def test_unknown_token_and_state(site):
    assert token(site, "drain", "hsm-z", check=False).returncode != 0
    operator = curl.client_of(site, "operator")
    assert operator.put("/operations/v1/tokens/hsm-z", json_body={"state": "drained"}).status == 404
    assert operator.put(f"/operations/v1/tokens/{FIRST}", json_body={"state": "asleep"}).status == 400
    assert curl.client_of(site, "auditor").put(f"/operations/v1/tokens/{FIRST}", json_body={"state": "drained"}).status == 403

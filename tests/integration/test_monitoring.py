"""docs/operations/: every metric and label that the alert rules and the dashboard name is there on a site that has seen trouble."""

import json
import pathlib
import re
import signal
import subprocess

import pytest
import yaml

from demo import call, curl, site as demo_site
from support.load import wait_until
from support.software_ue import SoftwareUe

DOCUMENTS = pathlib.Path(__file__).parents[2] / "docs" / "operations"
ALERTS = yaml.safe_load((DOCUMENTS / "alerts.yml").read_text())
DASHBOARD = json.loads((DOCUMENTS / "dashboard.json").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = DASHBOARD["panels"]


def workers(site):
    """Of avseald; they are children of its control thread."""
    found = []
    for task in pathlib.Path(f"/proc/{site.running['avseald'].pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def sign(site, ue):
    return call.sign(site, call.signing_request(ue.fingerprint()))


@pytest.fixture(scope="module")
def metrics(site):
    """Names of metrics, and their labels, after a refusal, a dead worker, an HSM that does not answer, a forged row, altered content
    and a refused reload."""
    alice = SoftwareUe(site)
    assert call.subscribe(site).status == 201
    call.publish(site, call.sample_avatar(100_000))
    identity = call.identity_of(sign(site, alice))
    call.verify(site, call.verification_request(identity, alice.fingerprint()))
    token = call.request_token(site, call.token_form(site, identity, alice.token())).json()["access_token"]
    assert call.fetch(site, "metadata", token).status == 200
    assert curl.client_of(site, "xr-as").post("/stir/v1/signing", json_body={}).status == 403

    dead = workers(site)[0]
    subprocess.run(["kill", "-9", str(dead)], check=True)
    wait_until(lambda: dead not in workers(site) and len(workers(site)) > 1)
    asleep = workers(site)
    for pid in asleep:
        subprocess.run(["kill", "-STOP", str(pid)], check=True)
    assert sign(site, alice).status == 503
    for pid in asleep:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)

    subprocess.run(["sqlite3", site.directory / "store.sqlite", ".timeout 5000", "UPDATE subscription SET avatars = '[]'"], check=True)
    curl.client_of(site, "operator").get(f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}")
    for content in (site.directory / "dac").iterdir():
        if content.is_file() and content.stat().st_size > 100_000:
            content.write_bytes(bytes(content.stat().st_size))
    try:
        call.fetch(site, "content", token)
    except ConnectionError:
        pass  # cut where the altered segment begins

    file = site.directory / "avseald.toml"
    good = file.read_text()
    file.write_text("[server\n")
    site.running["avseald"].send_signal(signal.SIGHUP)
    wait_until(lambda: "event=configuration-refused" in (site.log / "avseald.log").read_text())
    file.write_text(good)

    found = {}
    for line in curl.client_of(site, "auditor").get("/metrics").text.splitlines():
        sample = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line)
        if sample:
            labels = set(re.findall(r'(\w+)="', sample[2] or ""))
            found.setdefault(sample[1], set()).update(labels)
    return found


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    yield from ((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"])


@pytest.mark.parametrize("where, expression", expressions())
def test_metrics_and_labels_exist(metrics, where, expression):
    names = re.findall(r"avseal_\w+", expression)
    assert names or expression == 'up{job="avseald"} == 0', "an expression without a metric of ours"
    for name in names:
        assert name in metrics, f"{where}: {name} is no metric of avseald"
    for name, selector in re.findall(r"(avseal_\w+)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*[=!]~?\s*\"", selector):
            assert label in metrics[name] | {"instance", "job"}, f"{where}: {name} has no label {label}"
    known = set().union(*(metrics[name] for name in names), {"instance", "job"})
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= known, f"{where}: by ({labels})"


def test_every_alert_says_what_to_do(metrics):
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("critical", "warning"), rule
        assert set(rule["annotations"]) == {"summary", "action"}, rule
        labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
        carried = {label.strip() for label in grouped[1].split(",")} if grouped else \
            {"instance", "job"}.union(*(metrics[name] for name in re.findall(r"avseal_\w+", rule["expr"])))
        assert labels <= carried, f"{rule['alert']} shows {labels - carried}, which its expression has not"


def test_dashboard_is_laid_out():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len(set(places)) == len(places)
    assert all(panel["targets"] for panel in PANELS)

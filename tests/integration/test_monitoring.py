"""docs/operations/: every metric and label that the alert rules and the dashboard name is there on a site that has seen trouble, and
every metric that is there is in the operators' guide with its labels."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
import yaml

from demo import call, curl, site as demo_site
from support.faults import Faults
from support.load import wait_until
from support.software_ue import SoftwareUe

SITE_FAULTS = True

DOCUMENTS = pathlib.Path(__file__).parents[2] / "docs" / "operations"
ALERTS = yaml.safe_load((DOCUMENTS / "alerts.yml").read_text())
DASHBOARD = json.loads((DOCUMENTS / "dashboard.json").read_text())
GUIDE = (DOCUMENTS.parent / "operations.md").read_text()
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = DASHBOARD["panels"]


def workers(site, token=""):
    """Processes of avseald's workers, of one token or all; they are children of its control thread."""
    found = []
    for task in pathlib.Path(f"/proc/{site.running['avseald'].pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [pid for pid in found if f"/{token}" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]


def log_of(site):
    return (site.log / "avseald.log").read_text()


def sign(site, ue):
    return call.sign(site, call.signing_request(ue.fingerprint()))


# A witness that does not answer.
WITNESS = """
[[witnesses]]
url = "https://localhost:1"
vkey = "witness.example+d831bcf1+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
cacert = "{cacert}"
"""


@pytest.fixture(scope="module")
def site(stopped_site):
    configuration = stopped_site.directory / "avseald.toml"
    configuration.write_text(configuration.read_text() + WITNESS.format(cacert=stopped_site.pki.pem("tls-ca")))
    stopped_site.start()
    yield stopped_site
    assert stopped_site.stop() == 0


@pytest.fixture(scope="module")
def metrics(site):
    """Names of metrics, and their labels, after a refusal, HSM errors, a dead worker, one that ended for good, an HSM that does not
    answer (not for checkpoints either), a forged row, altered content, a refused reload and a witness that does not answer."""
    alice = SoftwareUe(site)
    assert call.subscribe(site).status == 201
    call.publish(site, call.sample_avatar(100_000))
    identity = call.identity_of(sign(site, alice))
    call.verify(site, call.verification_request(identity, alice.fingerprint()))
    token = call.request_token(site, call.token_form(site, identity, alice.token())).json()["access_token"]
    assert call.fetch(site, "metadata", token).status == 200
    assert curl.client_of(site, "xr-as").post("/stir/v1/signing", json_body={}).status == 403

    with Faults(site.faults).rule(f"return function=C_Sign code=CKR_FUNCTION_FAILED token={demo_site.TOKENS[0]}"):
        wait_until(lambda: sign(site, alice).status == 200 and "avseal_hsm_errors_total" in curl.client_of(site, "auditor").get("/metrics").text)
    worker_config = site.worker_config(demo_site.TOKENS[1])
    good = worker_config.read_text()
    worker_config.write_text("no member = of this file\n")
    os.kill(workers(site, demo_site.TOKENS[1])[0], signal.SIGKILL)
    wait_until(lambda: "avseal_hsm_workers_ended{" in curl.client_of(site, "auditor").get("/metrics").text)
    dead = workers(site)[0]
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: dead not in workers(site) and sign(site, alice).status == 200)
    asleep = workers(site)
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    assert sign(site, alice).status == 503
    wait_until(lambda: "avseal_ledger_checkpoint_failures_total{" in curl.client_of(site, "auditor").get("/metrics").text)
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)

    subprocess.run(["sqlite3", site.directory / "store.sqlite", ".timeout 5000", "UPDATE subscription SET avatars = '[]'"], check=True)
    curl.client_of(site, "operator").get(f"/subscriptions/v1/{call.path_segment(demo_site.ALICE)}")
    for content in (site.directory / "dac").iterdir():
        if content.is_file() and content.stat().st_size > 100_000:
            content.write_bytes(bytes(content.stat().st_size))
    try:
        call.fetch(site, "content", token)
    except ConnectionError:
        pass  # cut where the altered segment begins

    site.running["avseald"].send_signal(signal.SIGHUP)
    wait_until(lambda: "event=configuration-refused" in log_of(site))
    text = curl.client_of(site, "auditor").get("/metrics").text
    worker_config.write_text(good)
    site.running["avseald"].send_signal(signal.SIGHUP)
    wait_until(lambda: "event=configuration-reloaded" in log_of(site))
    assert workers(site, demo_site.TOKENS[1]), "a reload starts again what had ended for good"

    found = {}
    for line in text.splitlines():
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


def test_guide_knows_every_metric(metrics):
    told = {name: set(filter(None, labels.split(","))) for name, labels in re.findall(r"`(avseal_\w+)(?:\{([\w,]*)\})?`", GUIDE)}
    shown = {}
    for name, labels in metrics.items():
        if name.startswith("avseal_"):
            shown.setdefault(re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name), set()).update(labels - {"le"})
    assert {name: told.get(name) for name in shown} == shown


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

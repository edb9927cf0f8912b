"""The turn of the year while a node runs and nobody asks it anything: the old log is closed, witnessed and frozen, and the next goes on."""

import datetime
import stat
import time

import pytest

from demo import call, curl
from support import ledger, notes
from support.load import wait_until
from support.shifted_clock import ShiftedClock
from support.witness import Witness, configure, log_key

YEAR = time.gmtime().tm_year
BEFORE = 20  # seconds of the old year that are left when the node starts


@pytest.fixture(scope="module")
def witness(stopped_site):
    made = Witness(stopped_site, "w1").start(log_key(stopped_site, YEAR).vkey())
    configure(stopped_site, made)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def at_midnight(stopped_site, witness):
    clock = ShiftedClock.of(stopped_site)
    end = datetime.datetime(YEAR + 1, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
    clock.shift(end - BEFORE - time.time())
    return clock


@pytest.fixture(scope="module")
def node(at_midnight, site):
    return site


@pytest.fixture(scope="module")
def turned(node):
    closed = node.ledger / "closed" / str(YEAR)
    wait_until(lambda: (node.ledger / "checkpoint").exists() and f"/{YEAR + 1}\n" in (node.ledger / "checkpoint").read_text(),
               problem=lambda: (node.log / "avseald.log").read_text()[-4000:])
    return closed


def note_of(directory):
    return notes.Note((directory / "checkpoint").read_text())


def test_the_last_checkpoint_of_the_closed_log_is_witnessed(node, turned, witness):
    wait_until(lambda: note_of(turned).signed_by(witness.key))
    assert note_of(turned).signed_by(log_key(node, YEAR)) is True
    wait_until(lambda: note_of(node.ledger).signed_by(witness.key))
    assert note_of(node.ledger).signed_by(log_key(node, YEAR + 1)) is True


def test_the_closed_log_is_read_only_and_read(node, turned, witness):
    wait_until(lambda: not turned.stat().st_mode & 0o222)
    for path in [turned, *turned.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o555 if path.is_dir() else 0o444), path
    auditor = curl.client_of(node, "auditor")
    answer = auditor.get(f"/ledger/v1/closed/{YEAR}/checkpoint")
    assert answer.status == 200 and answer.text == (turned / "checkpoint").read_text()
    out = node.directory / "export"
    node.avseal("ledger", "export", node.ledger, "--log", YEAR, "--vkey", log_key(node, YEAR).vkey(), "--from", 0, "--to", note_of(turned).size,
                "--out", out)
    assert (out / "checkpoint").read_text() == answer.text


def test_the_node_goes_on_in_the_next_log(node, turned):
    assert call.subscribe(node).status in (200, 201, 204)
    leaves = ledger.leaves(node.ledger)
    assert leaves[0]["event"] == "ledger.start" and leaves[0]["details"]["previous"]["size"] == note_of(turned).size
    assert any(leaf["event"] == "subscription.put" for leaf in leaves)

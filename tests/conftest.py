"""Fixtures of the tests that run the built programs: each test file has a demo site of its own, in a short temporary directory."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from demo import call, site as demo_site
from support import ledger
from support.software_ue import SoftwareUe


def pytest_configure():
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")


def remove(path):
    """Also what is read-only: closed logs."""
    subprocess.run(["chmod", "-R", "u+w", path], check=False)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ["AVSEAL_BUILD"])


@pytest.fixture
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    yield path
    remove(path)


@pytest.fixture(scope="module")
def stopped_site(request):
    """A made site, nothing running. A test file may set SITE_TOKENS, or SITE_FAULTS for workers on the fault module."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(path, os.environ["AVSEAL_BUILD"], tokens=getattr(request.module, "SITE_TOKENS", demo_site.TOKENS),
                          faults=getattr(request.module, "SITE_FAULTS", False))
    site.make()
    yield site
    site.stop()
    remove(path)


@pytest.fixture(scope="module")
def site(stopped_site):
    """A running site."""
    stopped_site.start()
    yield stopped_site
    assert stopped_site.stop() == 0, (stopped_site.log / "avseald.log").read_text()[-4000:]
    ledger.verify(stopped_site)  # whatever happened to it: every signature and key is accounted for


@pytest.fixture(scope="module")
def alice(site):
    """Her UE with its key in software, and a subscription."""
    assert call.subscribe(site).status == 201
    return SoftwareUe(site)


@pytest.fixture(scope="module")
def ue(site):
    """Alice's UE, enrolled, with a subscription and a published avatar."""
    alice = call.Ue(site)
    call.import_manifest(site)
    alice.enroll()
    assert call.subscribe(site).status in (200, 201, 204)
    return alice

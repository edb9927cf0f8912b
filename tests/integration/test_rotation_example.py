"""The rotation in docs/operations.md runs as it is written there."""

import pathlib
import re
import subprocess

from demo import call
from support.software_ue import SoftwareUe

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_guides_rotation(site, directory):
    script = re.search(r"^```sh\n(\. run/site\.env\n.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL).group(1)
    (directory / "run").symlink_to(site.directory)
    assert call.subscribe(site).status == 201
    alice = SoftwareUe(site)
    done = subprocess.run(["bash", "-euo", "pipefail", "-s"], input=script, cwd=directory, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "key 'avatar-id-2' is active" in done.stdout and "key 'avatar-id' is retired" in done.stdout
    answer = call.sign(site, call.signing_request(alice.fingerprint()))
    assert answer.status == 200
    verdict = call.verify(site, call.verification_request(call.identity_of(answer), alice.fingerprint()))
    assert "Avatar-Validation-Passed" in verdict.text

"""What stops the start of avseald: each with one clear sentence and an exit code other than 0."""

import pathlib
import shutil
import socket
import subprocess
import os

import pytest

from demo import site as demo_site

SITE_TOKENS = demo_site.TOKENS[:1]
WORKER = f"tokend-{SITE_TOKENS[0]}.toml"


@pytest.fixture(scope="module")
def made(stopped_site):
    return stopped_site


@pytest.fixture
def site(made):
    """The made site with a configuration that a test may spoil."""
    for name in ("avseald.toml", WORKER):
        shutil.copy(made.directory / name, made.directory / f"{name}.good")
    yield made
    for name in ("avseald.toml", WORKER):
        shutil.move(made.directory / f"{name}.good", made.directory / name)


def edit(site, name, old, new):
    path = site.directory / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def start_fails(site, *expected, arguments=()):
    """avseald ends by itself; its last line has every expected piece."""
    for name in ("sockets", "state"):
        (site.directory / name).mkdir(exist_ok=True)
    done = subprocess.run([site.bin / "avseald", "--config", site.directory / "avseald.toml", *arguments], capture_output=True, text=True,
                          timeout=60, env={**os.environ, **site.environment})
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0, done.stderr
    assert "Sanitizer" not in done.stderr, done.stderr
    for piece in expected:
        assert piece in last, f"{piece!r} not in {last!r}"
    return last


def test_unreadable_configuration(site):
    (site.directory / "avseald.toml").write_text("[server\nport = 1\n")
    start_fails(site, f"{site.directory}/avseald.toml:1:")


def test_missing_configuration(site):
    (site.directory / "avseald.toml").unlink()
    start_fails(site, "avseald.toml")


@pytest.mark.parametrize("old, new, expected", [
    ('level = "info"', 'level = "loud"', "level"),
    ("threads = 2", "threads = 0", "threads"),
    ("threads = 2", "thread = 2", "thread: is not a known member"),
    ('kind = "avatar-id"', 'kind = "avatar"', "kind"),
    ('max_attest = "A"', 'max_attest = "D"', "max_attest"),
])
def test_bad_value_with_file_and_line(site, old, new, expected):
    edit(site, "avseald.toml", old, new)
    line = (site.directory / "avseald.toml").read_text().split(new)[0].count("\n") + 1
    start_fails(site, f"avseald.toml:{line}:", expected)


def test_check_only(site):
    done = subprocess.run([site.bin / "avseald", "--check", "--config", site.directory / "avseald.toml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_port_in_use(site):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", site.port))
        taken.listen()
        start_fails(site, str(site.port), "in use")


def test_certificate_of_another_key(site):
    site.pki.issue("other-signer", "stir-ca", "other", ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"])
    edit(site, "avseald.toml", "pki/avatar-id.pem", "pki/other-signer.pem")
    start_fails(site, "avatar-id", "certificate")


def test_one_certificate_for_two_keys(site):
    edit(site, "avseald.toml", "pki/avatar-id.pem", "pki/access-token.pem")
    start_fails(site, "avatar-id", "access-token", "same public key")


def test_expired_certificate(site):
    site.pki.sign_request("expired", site.pki.directory / "avatar-id.csr", "stir-ca", ["keyUsage=critical,digitalSignature"], days=-1)
    edit(site, "avseald.toml", "pki/avatar-id.pem", "pki/expired.pem")
    start_fails(site, "expired.pem", "expired")


def test_missing_token(site):
    edit(site, WORKER, demo_site.token_uri(SITE_TOKENS[0]), "pkcs11:token=nowhere")
    start_fails(site, "nowhere")


def test_two_keys_with_one_label(site, directory):
    """In a token directory of its own: the key is made a second time with pkcs11-tool."""
    shutil.copytree(site.directory / "tokens", directory / "tokens")
    conf = directory / "softhsm2.conf"
    conf.write_text((site.directory / "softhsm2.conf").read_text().replace(str(site.directory / "tokens"), str(directory / "tokens")))
    environment = {**os.environ, "SOFTHSM2_CONF": str(conf), "PIN": site.secret("pin").read_text()}
    subprocess.run(["pkcs11-tool", "--module", site.module, "--token-label", SITE_TOKENS[0], "--login", "--pin", "env:PIN",
                    "--keypairgen", "--key-type", "EC:prime256v1", "--label", "avatar-id"], check=True, capture_output=True, env=environment)
    before = site.environment
    site.environment = {"SOFTHSM2_CONF": str(conf)}
    try:
        start_fails(site, "avatar-id")
    finally:
        site.environment = before


def test_wrong_pin_is_tried_once(site, directory):
    shutil.copytree(site.directory / "tokens", directory / "tokens")
    conf = directory / "softhsm2.conf"
    conf.write_text((site.directory / "softhsm2.conf").read_text().replace(str(site.directory / "tokens"), str(directory / "tokens")))
    (directory / "pin").write_text("0000000000000000")
    edit(site, WORKER, str(site.secret("pin")), str(directory / "pin"))
    before = site.environment
    site.environment = {"SOFTHSM2_CONF": str(conf)}
    try:
        last = start_fails(site, "PIN")
        assert "0000000000000000" not in last
    finally:
        site.environment = before


def test_two_services_on_one_ledger(site):
    site.start_service()
    try:
        edit(site, "avseald.toml", f"port = {site.port}", "port = 0")
        start_fails(site, "ledger")
    finally:
        edit(site, "avseald.toml", "port = 0", f"port = {site.port}")
        assert site.stop() == 0

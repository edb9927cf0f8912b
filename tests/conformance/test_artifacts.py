"""The objects of a played call, checked with tools that are not ours: openssl, tpm2-tools, python3-jwcrypto."""

import base64
import hashlib
import json
import os
import subprocess

import pytest
from jwcrypto import jwk, jws

from demo import processes, quickstart, site as demo_site, tpm
from support import jose, tlog


@pytest.fixture(scope="module")
def artifacts(site):
    """run/artifacts/ of a whole quickstart call."""
    player = quickstart.Quickstart(site)
    try:
        assert player.play() == 0
        player.keep_certificates()
    finally:
        player.parties.stop()
    return site.artifacts


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)


def verified_claims(compact, certificate):
    """Claims of a JWS that jwcrypto verified with the certificate's key."""
    token = jws.JWS()
    token.deserialize(compact.strip(), key=jwk.JWK.from_pem(certificate.read_bytes()), alg="ES256")
    return json.loads(token.payload)


TOKENS = [("signed-avatar-id.txt", "avatar-id.pem"), ("ue-token.jwt", "ue.pem"), ("access-token.jwt", "access-token.pem"),
          ("avatar-metadata.jwt", "avatar-metadata.pem")]


@pytest.mark.parametrize("name, certificate", TOKENS)
def test_jwcrypto_verifies(artifacts, name, certificate):
    compact = (artifacts / name).read_text().split(";")[0]
    assert verified_claims(compact, artifacts / certificate)
    for _, other in TOKENS:
        if other != certificate:
            with pytest.raises(jws.InvalidJWSSignature):
                verified_claims(compact, artifacts / other)


@pytest.mark.parametrize("name, certificate", TOKENS)
def test_openssl_verifies(artifacts, directory, name, certificate):
    """By hand: signing input, r || s as DER, public key of the certificate."""
    compact = (artifacts / name).read_text().strip().split(";")[0]
    signing_input, _, signature = compact.rpartition(".")
    (directory / "input").write_text(signing_input)
    raw = jose.unb64url(signature)
    (directory / "der").write_bytes(jose.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")))
    (directory / "key").write_text(openssl("x509", "-in", artifacts / certificate, "-noout", "-pubkey").stdout)
    done = openssl("dgst", "-sha256", "-verify", directory / "key", "-signature", directory / "der", directory / "input")
    assert done.stdout.strip() == "Verified OK", done.stderr


def test_chains(site, artifacts):
    for leaf, anchors in (("ue.pem", artifacts / "ue-ca.pem"), ("avatar-id.pem", site.pki.pem("stir-ca")),
                          ("avatar-metadata.pem", site.pki.pem("operator-ca")), ("access-token.pem", site.pki.pem("operator-ca"))):
        assert openssl("verify", "-CAfile", anchors, artifacts / leaf).returncode == 0, leaf


def test_the_objects_name_each_other(artifacts):
    signed = verified_claims((artifacts / "signed-avatar-id.txt").read_text().split(";")[0], artifacts / "avatar-id.pem")
    token = verified_claims((artifacts / "ue-token.jwt").read_text(), artifacts / "ue.pem")
    access = verified_claims((artifacts / "access-token.jwt").read_text(), artifacts / "access-token.pem")
    metadata = verified_claims((artifacts / "avatar-metadata.jwt").read_text(), artifacts / "avatar-metadata.pem")
    content = (artifacts / "avatar-content.bin").read_bytes()
    ue = hashlib.sha256(jose.der_of(jose.load_certificate(artifacts / "ue.pem"))).digest()
    assert signed["avatar"]["ue"] == jose.b64url(ue) and {"alg": "sha-256", "dig": ue.hex().upper()} in signed["mky"]
    assert token["sub"] == signed["orig"]["uri"] and token["avatar"] == {"app": signed["avatar"]["app"], "id": signed["avatar"]["id"]}
    assert access["avatar"]["id"] == metadata["avatar"]["id"] == signed["avatar"]["id"]
    assert access["avatar"]["ver"] == metadata["avatar"]["version"]
    assert metadata["avatar"]["content"] == {"digest": "sha-256-" + base64.b64encode(hashlib.sha256(content).digest()).decode(),
                                             "size": len(content), "type": "model/gltf-binary"}


def test_the_receipt_is_of_the_signed_avatar_id(site, artifacts):
    receipt = tlog.Receipt((artifacts / "receipt.tlog-proof").read_text(), [jose.load_certificate(site.pki.pem("ledger")).public_key()])
    signed_input = (artifacts / "signed-avatar-id.txt").read_text().split(";")[0].rpartition(".")[0].encode()
    assert json.loads(receipt.leaf)["keys"][-1]["digest"] == jose.b64url(hashlib.sha256(signed_input).digest())
    assert (artifacts / "ledger.vkey").read_text().startswith(receipt.checkpoint.origin + "+")


def test_the_ue_key_is_in_the_tpm(site, artifacts, directory):
    """tpm2-tools load the UE's key from its public and private parts; its public key is the certificate's, its attributes are fixed."""
    environment = {**os.environ, "TPM2TOOLS_TCTI": tpm.tcti(site.tpm)}
    done = subprocess.run(["tpm2_readpublic", "-c", "0x81000001"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "noda" in done.stdout and "restricted" in done.stdout, done.stdout


def test_avseal_verifies_and_inspects(site, artifacts):
    pem = artifacts
    done = site.avseal("verify", pem / "signed-avatar-id.txt", "--signer-certificate", pem / "avatar-id.pem", "--stir-anchors", site.pki.pem("stir-ca"))
    assert done.returncode == 0, done.stderr
    done = site.avseal("verify", pem / "avatar-metadata.jwt", "--anchors", site.pki.pem("operator-ca"))
    assert done.returncode == 0, done.stderr
    done = site.avseal("verify", pem / "avatar-metadata.jwt", "--anchors", site.pki.pem("stir-ca"), check=False)
    assert done.returncode != 0
    done = site.avseal("inspect", "--key", pem / "access-token.pem", (pem / "access-token.jwt").read_text().strip())
    assert done.returncode == 0 and "ndac-avatar" in done.stdout
    done = site.avseal("inspect", "--key", pem / "avatar-id.pem", (pem / "access-token.jwt").read_text().strip(), check=False)
    assert done.returncode != 0


def test_secrets_are_nowhere(site, artifacts):
    """Neither PIN is in a log, an artifact, a configuration or a command line."""
    for name in ("pin", "so-pin"):
        secret = (site.secrets / name).read_bytes()
        for path in [*site.log.iterdir(), *artifacts.iterdir(), *site.directory.glob("*.toml")]:
            assert secret not in path.read_bytes(), path
    for path in (site.secrets / "pin", site.secrets / "so-pin"):
        assert path.stat().st_mode & 0o777 == 0o600

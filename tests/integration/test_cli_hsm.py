"""`avseal key` and `avseal token` as an operator runs them, on SoftHSM; what they did is looked at with OpenSC and OpenSSL."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from support import terminal
from support.hsm import Hsm, LABEL, TOKEN

KINDS = ("avatar-id", "avatar-metadata", "access-token", "ue-ca", "ledger", "dac-kek")
SIGNING = KINDS[:-1]


@pytest.fixture(scope="module")
def hsm(build):
    """A token with a key of each kind, and one on P-384."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    hsm = Hsm(directory, build)
    hsm.init()
    for kind in KINDS:
        hsm.good(*hsm.key("generate", "--kind", kind, "--label", kind))
    hsm.good(*hsm.key("generate", "--kind", "avatar-id", "--label", "large", "--curve", "P-384", "--id", "c0ffee"))
    yield hsm
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fresh(directory, build):
    """A token directory of its own: wrong PINs and second keys spoil it."""
    hsm = Hsm(directory, build)
    hsm.init()
    return hsm


def openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, input=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


# --- keys ---

@pytest.mark.parametrize("label", [*SIGNING, "large"])
def test_private_key_as_opensc_sees_it(hsm, label):
    key = hsm.objects("privkey")[label]
    assert key["title"].startswith("Private Key Object; EC")
    assert key["Usage"] == "sign"
    assert key["Access"] == "sensitive, always sensitive, never extractable, local"


@pytest.mark.parametrize("label, curve", [*((label, "256") for label in SIGNING), ("large", "384")])
def test_public_key_as_opensc_sees_it(hsm, label, curve):
    key = hsm.objects("pubkey")[label]
    assert curve in key["title"], key
    assert key["Usage"] == "verify"
    assert key["ID"] == hsm.objects("privkey")[label]["ID"]


def test_secret_key_as_opensc_sees_it(hsm):
    keys = hsm.objects("secrkey")
    assert list(keys) == ["dac-kek"]
    assert "AES length 32" in keys["dac-kek"]["title"]
    assert keys["dac-kek"]["Usage"] == "encrypt, decrypt"
    assert keys["dac-kek"]["Access"] == "sensitive, always sensitive, never extractable, local"


def test_nothing_else_is_on_the_token(hsm):
    assert set(hsm.objects("privkey")) == set(hsm.objects("pubkey")) == {*SIGNING, "large"}
    assert not hsm.objects("cert") and not hsm.objects("data")


@pytest.mark.parametrize("kind, label", [("privkey", "avatar-id"), ("secrkey", "dac-kek")])
def test_other_tools_cannot_read_a_key(hsm, directory, kind, label):
    key_id = hsm.objects(kind)[label]["ID"]
    out = directory / "key"
    hsm.pkcs11_tool("--read-object", "--type", kind, "--id", key_id, "--output-file", out, check=False)
    assert not out.exists() or out.read_bytes() == b""


def test_list_for_people(hsm):
    lines = hsm.good(*hsm.key("list")).splitlines()
    assert lines[0].split()[:4] == ["LABEL", "TYPE", "SENSITIVE", "EXTRACTABLE"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert set(rows) == {*KINDS, "large"}
    assert re.search(r"avatar-id +EC P-256 +yes +no +yes +yes +yes +sign ", rows["avatar-id"])
    assert re.search(r"dac-kek +AES-256 +yes +no +yes +yes +yes +encrypt,decrypt ", rows["dac-kek"])


def test_list_for_programs(hsm):
    keys = {key["label"]: key for key in json.loads(hsm.good(*hsm.key("list", "--json")))}
    assert set(keys) == {*KINDS, "large"}
    for key in keys.values():
        assert (key["sensitive"], key["extractable"], key["always_sensitive"], key["never_extractable"], key["local"]) == (True, False, True, True, True)
        assert key["modifiable"] is False
    assert keys["large"]["type"] == "EC P-384" and keys["large"]["id"] == "c0ffee" and keys["large"]["usage"] == ["sign"]
    assert keys["dac-kek"]["usage"] == ["encrypt", "decrypt"] and keys["dac-kek"]["thumbprint"] is None
    assert len({keys[label]["thumbprint"] for label in SIGNING}) == len(SIGNING)


@pytest.mark.parametrize("label, bits", [("avatar-id", 256), ("large", 384)])
def test_public_key_is_that_of_the_token(hsm, directory, label, bits):
    out = directory / "key.pem"
    hsm.good(*hsm.key("public-key", "--label", label, "--out", out))
    assert hsm.good(*hsm.key("public-key", "--label", label)) == out.read_text()
    assert f"Public-Key: ({bits} bit)" in openssl("pkey", "-pubin", "-in", out, "-noout", "-text")
    point = hsm.objects("pubkey")[label]["EC_POINT"]  # an OCTET STRING
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", out, "-outform", "DER"], check=True, capture_output=True).stdout
    assert der.hex().endswith(point[4:]) and len(point[4:]) == 2 * (1 + bits // 4)


@pytest.mark.parametrize("label, digest", [("avatar-id", "ecdsa-with-SHA256"), ("large", "ecdsa-with-SHA384")])
def test_certificate_request_as_openssl_sees_it(hsm, directory, label, digest):
    out = directory / "request.pem"
    hsm.good(*hsm.key("csr", "--label", label, "--subject", "Beispiel GmbH ü", "--san-dns", "a.example", "--san-dns", "b.example",
                      "--san-uri", "urn:uuid:7", "--out", out))
    assert "verify OK" in openssl("req", "-in", out, "-verify", "-noout")
    text = openssl("req", "-in", out, "-noout", "-text", "-nameopt", "utf8,sep_comma_plus_space")
    assert "Subject: CN=Beispiel GmbH ü" in text
    assert "DNS:a.example, DNS:b.example" in text and "URI:urn:uuid:7" in text
    assert f"Signature Algorithm: {digest}" in text
    assert openssl("req", "-in", out, "-noout", "-pubkey") == hsm.good(*hsm.key("public-key", "--label", label))


@pytest.mark.parametrize("changes", [("--subject", ""), ("--subject", "x" * 65), ("--subject", "a", "--san-dns", "a b"), ("--subject", "a", "--san-uri", "")])
def test_certificate_request_that_cannot_be(hsm, changes):
    hsm.bad(*hsm.key("csr", "--label", "avatar-id", *changes))


def test_self_test(hsm):
    lines = hsm.good(*hsm.key("self-test")).splitlines()
    assert {line.split()[0]: re.split(" {2,}|(?:EC P-\\d+|AES-256) +", line)[-1] for line in lines} == {
        **{label: "signs, verifies" for label in (*SIGNING, "large")}, "dac-kek": "wraps, unwraps"}
    assert len(hsm.good(*hsm.key("self-test", "--label", "ledger")).splitlines()) == 1
    assert "nowhere" in hsm.bad(*hsm.key("self-test", "--label", "nowhere"))


def test_self_test_goes_on_after_a_key_that_fails(fresh):
    for label, key_type in (("wraps", "AES:32"), ("other", "GENERIC:32")):
        fresh.pkcs11_tool("--keygen", "--key-type", key_type, "--label", label)
    done = fresh.avseal(*fresh.key("self-test"))
    assert done.returncode == 1 and "1 of 2 keys failed" in done.stderr
    assert re.search(r"wraps +AES-256 +wraps, unwraps", done.stdout), done.stdout
    assert re.search(r"other .*FAILED: .*neither EC P-256, P-384 nor AES", done.stdout), done.stdout


def test_self_test_finds_a_key_that_is_not_its_public_keys(fresh):
    """Another tool put the public key of one pair beside the private key of another."""
    for label in ("one", "two"):
        fresh.good(*fresh.key("generate", "--kind", "avatar-id", "--label", label))
    public = fresh.directory / "two.der"
    fresh.pkcs11_tool("--read-object", "--type", "pubkey", "--label", "two", "--output-file", public)
    one = fresh.objects("privkey")["one"]["ID"]
    fresh.pkcs11_tool("--delete-object", "--type", "pubkey", "--id", one)
    fresh.pkcs11_tool("--write-object", public, "--type", "pubkey", "--id", one, "--label", "one")
    done = fresh.avseal(*fresh.key("self-test"))
    assert done.returncode == 1 and "1 of 2 keys failed" in done.stderr
    assert re.search(r"one +EC P-256 +FAILED: .*", done.stdout) and re.search(r"two +EC P-256 +signs, verifies", done.stdout)
    assert "signature" in fresh.bad(*fresh.key("csr", "--label", "one", "--subject", "one"))


def test_a_label_or_id_that_is_taken(hsm):
    assert "avatar-id" in hsm.bad(*hsm.key("generate", "--kind", "ledger", "--label", "avatar-id"))
    assert "same id" in hsm.bad(*hsm.key("generate", "--kind", "ledger", "--label", "new", "--id", "c0ffee"))
    assert "new" not in hsm.objects("privkey")


@pytest.mark.parametrize("changes, expected", [
    (("--kind", "root-of-all"), "root-of-all"), (("--kind", "ledger", "--label", ""), "label"), (("--kind", "ledger", "--label", "x" * 65), "label"),
    (("--kind", "ledger", "--label", "new", "--id", "xyz"), "hex")])
def test_a_key_that_cannot_be(hsm, changes, expected):
    changes = changes if "--label" in changes else (*changes, "--label", "new")
    assert expected in hsm.bad(*hsm.key("generate", *changes))
    assert set(hsm.objects("privkey")) == {*SIGNING, "large"}


def test_two_keys_with_one_label(fresh):
    fresh.good(*fresh.key("generate", "--kind", "avatar-id", "--label", "twin"))
    fresh.pkcs11_tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", "0042")
    for command in (("csr", "--label", "twin", "--subject", "x"), ("public-key", "--label", "twin")):
        line = fresh.bad(*fresh.key(*command))
        assert "2 keys match" in line and "delete the others" in line
    assert len(json.loads(fresh.good(*fresh.key("list", "--json")))) == 2


@pytest.mark.parametrize("command", [("csr", "--label", "nowhere", "--subject", "x"), ("public-key", "--label", "nowhere")])
def test_no_such_key(hsm, command):
    assert "avseal key list" in hsm.bad(*hsm.key(*command))


def test_output_that_cannot_be_written(hsm):
    assert "/nonexistent/out" in hsm.bad(*hsm.key("public-key", "--label", "avatar-id", "--out", "/nonexistent/out"))


# --- where the token and its PIN come from ---

def test_missing_token(hsm):
    line = hsm.bad(*hsm.key("list", token="pkcs11:token=nowhere"))
    assert "nowhere" in line and LABEL in line


@pytest.mark.parametrize("uri", ["token=x", "pkcs11:token=x;slot-id=0", "pkcs11:token=%zz", "pkcs11:pin-value=1234;token=x", "pkcs11:"])
def test_bad_uri(hsm, uri):
    line = hsm.bad(*hsm.key("list", token=uri))
    assert "1234" not in line.replace(uri, "")


@pytest.mark.parametrize("module", ["/nonexistent.so", "/usr/lib/x86_64-linux-gnu/libz.so.1", "/etc/passwd"])
def test_wrong_module(hsm, module):
    line = hsm.bad("key", "list", "--module", module, "--token", TOKEN, "--pin-file", hsm.pin_file)
    assert module in line and "PKCS#11 module" in line


@pytest.mark.parametrize("mode, expected", [(0o604, "everybody may read it"), (0o666, "everybody may read it")])
def test_pin_file_that_others_can_read(hsm, directory, mode, expected):
    path = directory / "pin"
    path.write_text(hsm.pin)
    path.chmod(mode)
    line = hsm.bad(*hsm.key("list", pin_file=path))
    assert expected in line and "0600" in line and str(path) in line


@pytest.mark.parametrize("text", ["", "\n", "1" * 257])
def test_pin_file_without_a_pin(hsm, directory, text):
    path = directory / "pin"
    path.write_text(text)
    path.chmod(0o600)
    assert "1 to 256 bytes" in hsm.bad(*hsm.key("list", pin_file=path))


def test_pin_file_that_is_no_file(hsm, directory):
    assert "No such file" in hsm.bad(*hsm.key("list", pin_file=directory / "absent"))
    assert "not a regular file" in hsm.bad(*hsm.key("list", pin_file=directory))


def test_pin_file_with_a_line_end(hsm, directory):
    path = directory / "pin"
    path.write_text(hsm.pin + "\n")
    path.chmod(0o600)
    hsm.good(*hsm.key("list", pin_file=path))


def with_credential(hsm):
    return ("key", "list", "--module", hsm.module, "--token", TOKEN, "--pin-credential", "pin")


def test_pin_as_a_systemd_credential(hsm):
    assert "avatar-id" in hsm.good(*with_credential(hsm), environment={"CREDENTIALS_DIRECTORY": str(hsm.directory)})
    assert "LoadCredential" in hsm.bad(*with_credential(hsm))
    assert "credential" in hsm.bad(*with_credential(hsm)[:-1], "../pin", environment={"CREDENTIALS_DIRECTORY": str(hsm.directory / "tokens")})


def test_pin_at_the_terminal(hsm):
    code, shown = terminal.run([hsm.bin / "avseal", "key", "list", "--module", hsm.module, "--token", TOKEN], [(f"user PIN of token {LABEL}: ", hsm.pin)],
                               hsm.environment)
    assert code == 0 and "avatar-id" in shown, shown
    assert hsm.pin not in shown


def test_the_terminal_echoes_again_after_the_prompt(hsm):
    """A shell that runs avseal and then `stty`: echo is on again."""
    script = f"{hsm.bin}/avseal key list --module {hsm.module} --token {TOKEN} > /dev/null; stty -a"
    code, shown = terminal.run(["sh", "-c", script], [(": ", hsm.pin)], hsm.environment)
    assert code == 0 and re.search(r"(?<!-)\becho\b", shown), shown
    assert hsm.pin not in shown


def test_no_pin_and_no_terminal(hsm):
    assert "--pin-file" in hsm.bad("key", "list", "--module", hsm.module, "--token", TOKEN)


def test_no_option_takes_a_pin(hsm):
    for command in (("key", "list"), ("key", "generate"), ("key", "csr"), ("token", "init"), ("token", "login"), ("bench",)):
        help_text = hsm.good(*command, "--help")
        assert not re.search(r"--(so-)?pin[ ,=]", help_text), help_text
    done = hsm.avseal("key", "list", "--module", hsm.module, "--token", TOKEN, "--pin", "1234")
    assert done.returncode not in (0, 1)


def test_help_names_only_commands_that_exist(hsm):
    def walk(*command):
        text = hsm.good(*command, "--help")
        yield command, text
        listed = text.partition("Subcommands:\n")[2].partition("\n\n")[0]
        for name in re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE):
            yield from walk(*command, name)

    pages = dict(walk())
    assert {("key", "generate"), ("key", "destroy"), ("token", "login"), ("clock", "accept"), ("doctor",), ("drill",)} <= set(pages)
    for command, text in pages.items():
        for named in re.findall(r"^  avseal ((?:[a-z-]+ )?[a-z-]+)", text, re.MULTILINE):
            words = tuple(named.split())
            assert words in pages or words[:1] in pages and words[:1] not in {page[:1] for page in pages if len(page) == 2}, (command, named)


def test_two_sources_of_the_pin(hsm):
    done = hsm.avseal(*hsm.key("list", "--pin-credential", "pin"))
    assert done.returncode not in (0, 1) and "--pin-file" in done.stderr


# --- tokens ---

def test_token_init_as_opensc_sees_it(directory, build):
    hsm = Hsm(directory, build)
    said = hsm.init()
    shown = subprocess.run(["pkcs11-tool", "--module", hsm.module, "--list-token-slots"], capture_output=True, text=True,
                           env={**hsm.environment, "PATH": "/usr/bin:/bin"}).stdout
    assert LABEL in shown and "user PIN" not in shown.lower().replace("pin initialized", "").replace("login required", "")
    serial = re.search(r"serial num\s*: (\S+)", shown).group(1)
    assert said == f'token "{LABEL}" is ready, serial {serial}\n'
    assert "PIN initialized" in shown
    assert f'"{LABEL}"' in hsm.bad("token", "init", "--module", hsm.module, "--label", LABEL, "--pin-file", hsm.pin_file, "--so-pin-file", hsm.so_pin_file)


def test_token_init_at_the_terminal(directory, build):
    hsm = Hsm(directory, build)
    code, shown = terminal.run([hsm.bin / "avseal", "token", "init", "--module", hsm.module, "--label", LABEL],
                               [("new security officer PIN: ", hsm.so_pin), ("new user PIN: ", hsm.pin)], hsm.environment)
    assert code == 0 and "is ready" in shown, shown
    assert hsm.pin not in shown and hsm.so_pin not in shown
    hsm.good(*hsm.key("generate", "--kind", "ledger", "--label", "works"))


@pytest.mark.parametrize("label", ["", "x" * 33])
def test_token_with_a_label_that_cannot_be(directory, build, label):
    hsm = Hsm(directory, build)
    hsm.bad("token", "init", "--module", hsm.module, "--label", label, "--pin-file", hsm.pin_file, "--so-pin-file", hsm.so_pin_file)


def log_in_by_hand(hsm, typed, pin_file=None):
    """At a terminal, for the token's label must be typed."""
    return terminal.run([hsm.bin / "avseal", "token", "login", "--once", "--module", hsm.module, "--token", TOKEN, "--pin-file", pin_file or hsm.pin_file],
                        [("Type its label to go on: ", typed)], hsm.environment)


def test_wrong_pin_then_one_login_by_hand(fresh):
    """After one wrong PIN nobody logs in by itself, not even with the right one, until an operator spends an attempt."""
    wrong = fresh.file("wrong", "0" * 16)
    line = fresh.bad(*fresh.key("list", pin_file=wrong))
    assert "CKR_PIN_INCORRECT" in line and "avseal token login --once" in line and "0" * 16 not in line
    assert "avseal token login --once" in fresh.bad(*fresh.key("list"))
    assert "avseal token login --once" in fresh.bad(*fresh.key("generate", "--kind", "ledger", "--label", "new"))
    code, shown = log_in_by_hand(fresh, "another")
    assert code == 1 and "nothing was tried" in shown, shown
    assert "avseal token login --once" in fresh.bad(*fresh.key("list"))
    code, shown = log_in_by_hand(fresh, LABEL)
    assert code == 0 and f'token "{LABEL}" took the PIN' in shown, shown
    assert fresh.pin not in shown
    assert fresh.good(*fresh.key("list", "--json")) == "[]\n"


def test_login_by_hand_needs_a_terminal(hsm):
    assert "terminal" in hsm.bad("token", "login", "--once", "--module", hsm.module, "--token", TOKEN, "--pin-file", hsm.pin_file)


def test_login_needs_once(hsm):
    done = hsm.avseal("token", "login", "--module", hsm.module, "--token", TOKEN, "--pin-file", hsm.pin_file)
    assert done.returncode not in (0, 1) and "--once" in done.stderr

"""Certificates of a demo site, made with the openssl command."""

import pathlib
import subprocess

TN_AUTH_LIST = "1.3.6.1.5.5.7.1.26"
VALID_DAYS = 398  # over the turn of the year, whenever that is


def openssl(*arguments, **options):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


class Pki:
    """A directory of keys and certificates: NAME.key and NAME.pem."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def key(self, name):
        return self.directory / f"{name}.key"

    def pem(self, name):
        return self.directory / f"{name}.pem"

    def make_key(self, name):
        path = self.key(name)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        path.chmod(0o600)
        return path

    def root(self, name, common_name, days=3650):
        """A self-signed CA."""
        self.make_key(name)
        openssl("req", "-x509", "-new", "-key", self.key(name), "-subj", f"/CN={common_name}", "-days", days,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-out", self.pem(name))
        return self.pem(name)

    def sign_request(self, name, request, ca, extensions, days=VALID_DAYS):
        """NAME.pem from a certificate request, signed by `ca`, with the given extension lines."""
        lines = ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid", *extensions]
        section = self.directory / f"{name}.ext"
        section.write_text("\n".join(lines) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.pem(ca), "-CAkey", self.key(ca), "-CAcreateserial",
                "-days", days, "-extfile", section, "-out", self.pem(name))
        section.unlink()
        return self.pem(name)

    def issue(self, name, ca, common_name, extensions, days=VALID_DAYS):
        """A new key NAME.key and its certificate."""
        self.make_key(name)
        request = self.directory / f"{name}.csr"
        openssl("req", "-new", "-key", self.key(name), "-subj", f"/CN={common_name}", "-out", request)
        self.sign_request(name, request, ca, extensions, days)
        request.unlink()
        return self.pem(name)

    def issue_server(self, name, ca, common_name="localhost"):
        return self.issue(name, ca, common_name, [
            "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth",
            "subjectAltName=DNS:localhost,IP:127.0.0.1"])

    def issue_node(self, name, ca, alternative_name):
        """Of a network function that is both client and server, on this machine."""
        return self.issue(name, ca, name, [
            "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth,serverAuth",
            f"subjectAltName={alternative_name},DNS:localhost,IP:127.0.0.1"])

    def issue_client(self, name, ca, alternative_name, days=VALID_DAYS):
        """alternative_name as openssl writes it: DNS:host or URI:urn:uuid:..."""
        return self.issue(name, ca, name, [
            "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth",
            f"subjectAltName={alternative_name}"], days)

    def certificate_file(self, name, *others):
        """Concatenates certificates into NAME.pem."""
        self.pem(name).write_text("".join(self.pem(other).read_text() for other in others))
        return self.pem(name)


SIGNER_EXTENSIONS = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]


def stir_extensions(domains, number_start=None, number_count=0):
    """Of a PASSporT signer: SAN dNSNames and, with a number range, a TNAuthList (RFC 8226)."""
    lines = [*SIGNER_EXTENSIONS, "subjectAltName=" + ",".join(f"DNS:{domain}" for domain in domains)]
    if number_start:
        lines += [f"{TN_AUTH_LIST}=ASN1:SEQUENCE:tn_auth_list", "[tn_auth_list]", "range=EXP:1,SEQUENCE:tn_range",
                  "[tn_range]", f"start=IA5STRING:{number_start}", f"count=INTEGER:{number_count}"]
    return lines

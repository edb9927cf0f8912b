#include "audit/export_readme.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

constexpr std::string_view log_text =
    R"README(A part of the log {origin}: its entries {from} to {last}, and what proves that they are in it.

The log is a Merkle tree (RFC 6962) in the files of C2SP tlog-tiles; `checkpoint` is a C2SP signed note of its head: {size} entries.
`avseal ledger verify --export` checks all of this at once, with --vkey or --policy. Below is how to do it by hand, with a POSIX shell, openssl
and coreutils. The lines with four spaces before them are commands; run them in this directory. The last one of each part says OK.

1. The key of the log

`log.pem` must be the operator's: get the log's verifier key in another way and compare. It ends with the key, whose id is

    openssl pkey -pubin -in log.pem -outform DER | sha256sum | head -c 8; echo
    [ "$(openssl pkey -pubin -in log.pem -outform DER | sha256sum | head -c 8)" = {key_id} ] && echo OK

2. The checkpoint

Its first three lines are signed: the log's name, its size, and the root of its tree.

    work=$(mktemp -d)
    head -n 3 checkpoint > $work/text
    tail -n +{signature_line} checkpoint | head -n 1 | cut -d ' ' -f 3 | base64 -d | tail -c +5 > $work/signature
    openssl dgst -sha256 -verify log.pem -signature $work/signature $work/text && echo OK

)README";

constexpr std::string_view signed_manifest_text = R"README(3. The files

`manifest` is signed by the same key. It has the digest of SHA256SUMS, which has those of all other files.

    head -n 4 manifest > $work/manifest
    tail -n +6 manifest | head -n 1 | cut -d ' ' -f 3 | base64 -d | tail -c +5 > $work/manifest.signature
    openssl dgst -sha256 -verify log.pem -signature $work/manifest.signature $work/manifest && echo OK
    tail -n 1 $work/manifest | sha256sum --quiet -c && sha256sum --quiet -c SHA256SUMS && echo OK

)README";

constexpr std::string_view plain_manifest_text = R"README(3. The files

`manifest` is not signed, for the export was made without the node: the files prove themselves by the checkpoint alone.

    tail -n 1 manifest | sha256sum --quiet -c && sha256sum --quiet -c SHA256SUMS && echo OK

)README";

constexpr std::string_view entry_text = R"README(4. An entry

Entry {from} has {length} bytes in {bundle}:

    tail -c +{offset} {bundle} | head -c {length} > $work/entry
    cat $work/entry; echo

Its hash, and from there to the root of the tree: each line hashes what was found with its neighbour in the tree. `first.tlog-proof` has
the same neighbours; the receipt of any other entry can be made of the tiles here, or asked of the node.

    leaf() {{ {{ printf '\000'; cat "$1"; }} | sha256sum | head -c 64 | tr a-f A-F; }}
    node() {{ {{ printf '\001'; printf %s "$1$2" | basenc --base16 -d; }} | sha256sum | head -c 64 | tr a-f A-F; }}
    h=$(leaf $work/entry)
)README";

constexpr std::string_view root_text =
    R"README(    root=$(head -n 3 checkpoint | tail -n 1 | base64 -d | basenc --base16 -w 0)
    [ "$h" = "$root" ] && echo OK

5. The certificates

)README";

constexpr std::string_view no_keys_text = R"README(No key signed for these entries, and no certificate was added.

)README";

constexpr std::string_view keys_text =
    R"README(Entries name each key that signed by its thumbprint (RFC 7638), as `kid`. Those of these entries, and of the log:

{keys}
)README";

constexpr std::string_view certificates_text =
    R"README(A certificate is of a key if the key in it has that thumbprint, the SHA-256 of its coordinates in JSON (P-256: of 32 bytes each; P-384: 48).

    base64url() {{ basenc --base64url -w 0 | tr -d =; }}
    thumbprint() {{
        openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER | tail -c $((2 * $3)) > $work/point
        x=$(head -c $3 $work/point | base64url)
        y=$(tail -c $3 $work/point | base64url)
        printf '{{"crv":"%s","kty":"EC","x":"%s","y":"%s"}}' $2 $x $y | openssl dgst -sha256 -binary | base64url
    }}
{commands}
Who issued it: with the certificate of a CA that you believe, and at the time of the last entry here,
`openssl verify -attime {last_time} -CAfile CA.pem -untrusted FILE FILE`.

)README";

constexpr std::string_view limits_text = R"README(    rm -r $work

6. What a part of a log cannot show

That nothing is missing before and behind it, and whether numbers of signatures are missing: only the whole log can. `entries.csv` and
`entries.jsonl` are copies for reading; the proof is of the entries in tile/entries/.
)README";

std::string hex(const tlog::Hash& hash) {
  return tokens::hex_encode_upper(hash);
}

// One command for each neighbour, on its side (RFC 9162 section 2.1.3.2).
std::string way_to_root(std::uint64_t index, std::uint64_t size, const std::vector<tlog::Hash>& proof) {
  std::string out;
  auto node = index;
  auto last = size - 1;
  for (const auto& sibling : proof) {
    if ((node & 1U) != 0 || node == last) {
      out += fmt::format("    h=$(node {} $h)\n", hex(sibling));
      while ((node & 1U) == 0 && node != 0) {
        node >>= 1U;
        last >>= 1U;
      }
    } else {
      out += fmt::format("    h=$(node $h {})\n", hex(sibling));
    }
    node >>= 1U;
    last >>= 1U;
  }
  return out;
}

std::string certificates_part(const ExportReadme& with) {
  if (with.keys.empty()) return std::string(no_keys_text);
  std::string keys;
  std::string commands;
  for (const auto& key : with.keys) {
    const bool has_certificate = !key.certificate.empty();
    keys += fmt::format("  {}  {}, {}: {}\n", key.kid, key.name,
                        key.first_use ? fmt::format("first in entry {}", *key.first_use) : "in no entry here",
                        has_certificate ? key.certificate : "its certificate was not at hand");
    if (!has_certificate) continue;
    const bool is_p256 = key.algorithm == tokens::Algorithm::es256;
    commands += fmt::format("    [ \"$(thumbprint {} {})\" = {} ] && echo OK\n", key.certificate,
                            is_p256 ? "P-256 32" : "P-384 48", key.kid);
  }
  auto out = fmt::format(fmt::runtime(keys_text), fmt::arg("keys", keys));
  if (commands.empty()) return out;
  return out + fmt::format(fmt::runtime(certificates_text), fmt::arg("commands", commands),
                           fmt::arg("last_time", with.last_time));
}

}  // namespace

std::string readme_text(const ExportReadme& with) {
  std::string out = fmt::format(
      fmt::runtime(log_text), fmt::arg("origin", with.checkpoint.origin), fmt::arg("from", with.from),
      fmt::arg("last", with.to - 1), fmt::arg("size", with.checkpoint.size),
      fmt::arg("key_id", fmt::format("{:08x}", with.key->key_id())), fmt::arg("signature_line", with.signature_line));
  out += with.is_signed ? signed_manifest_text : plain_manifest_text;
  out += fmt::format(fmt::runtime(entry_text), fmt::arg("from", with.from), fmt::arg("length", with.length),
                     fmt::arg("bundle", with.bundle), fmt::arg("offset", with.offset + 1));
  out += way_to_root(with.from, with.checkpoint.size, with.proof);
  out += root_text;
  out += certificates_part(with);
  out += limits_text;
  if (!with.earlier.empty()) {
    out += fmt::format(
        "\nThe log continues the checkpoints that the exporter held of {} entries, in earlier/: `avseal ledger verify "
        "--export` "
        "proves it from the tiles.\n",
        fmt::join(with.earlier, ", "));
  }
  return out;
}

}  // namespace avseal::audit

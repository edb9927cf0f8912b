#include "tlog/proof.hpp"

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/lines.hpp"
#include "tokens/base64.hpp"

namespace avseal::tlog {

namespace {

constexpr std::string_view header = "c2sp.org/tlog-proof@v1";
constexpr std::size_t max_proof_size = 2 * max_note_size;
constexpr std::size_t max_hashes = 63;

Error malformed(std::string detail) {
  return errors::malformed("proof-malformed", std::move(detail));
}

}  // namespace

std::string Proof::to_string() const {
  std::string text = fmt::format("{}\n", header);
  if (extra) text += fmt::format("extra {}\n", tokens::base64_encode(*extra));
  text += fmt::format("index {}\n", index);
  for (const auto& hash : hashes) text += hash_text(hash) + '\n';
  return text + '\n' + checkpoint.to_string();
}

Result<Proof> Proof::parse(std::string_view text) {
  if (text.size() > max_proof_size) return malformed("expected at most 128 KiB");
  const auto blank = text.find("\n\n");
  if (blank == std::string_view::npos) return malformed("expected an empty line before the checkpoint");
  Lines lines(text.substr(0, blank + 1));
  if (lines.next() != header) return malformed(fmt::format("expected the first line {}", header));
  Proof proof;
  auto line = lines.next();
  if (line && line->starts_with("extra ")) {
    auto extra = tokens::base64_decode(line->substr(6));
    if (!extra) return malformed("expected base64 behind extra");
    proof.extra = std::move(*extra);
    line = lines.next();
  }
  if (!line || !line->starts_with("index ")) return malformed("expected a line with the index");
  const auto index = parse_size(line->substr(6));
  if (!index) return malformed("expected a decimal number behind index");
  proof.index = *index;
  while (const auto text_of_hash = lines.next()) {
    const auto hash = parse_hash(*text_of_hash);
    if (!hash || proof.hashes.size() == max_hashes) return malformed("expected at most 63 hashes in base64");
    proof.hashes.push_back(*hash);
  }
  AVSEAL_TRY(proof.checkpoint, Note::parse(text.substr(blank + 2)));
  return proof;
}

}  // namespace avseal::tlog

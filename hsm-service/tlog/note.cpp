#include "tlog/note.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/lines.hpp"
#include "tlog/utf8.hpp"
#include "tokens/base64.hpp"

namespace avseal::tlog {

namespace {

constexpr std::string_view em_dash = "\xE2\x80\x94 ";
constexpr std::size_t key_id_size = 4;

Error malformed(std::string detail) {
  return errors::malformed("note-malformed", std::move(detail));
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

// Unicode's White_Space beyond ASCII, in UTF-8.
bool has_wide_space(std::string_view text) {
  constexpr std::array<std::string_view, 19> spaces{
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
      "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",
      "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
  return std::any_of(spaces.begin(), spaces.end(),
                     [&](std::string_view space) { return text.find(space) != std::string_view::npos; });
}

}  // namespace

bool is_key_name(std::string_view name) {
  const auto wrong = [](char c) { return is_control(c) || c == ' ' || c == '+'; };
  return !name.empty() && std::none_of(name.begin(), name.end(), wrong) && is_utf8(name) && !has_wide_space(name);
}

std::string NoteSignature::line() const {
  Bytes all;
  for (unsigned shift = 32; shift != 0; shift -= 8) {
    all.push_back(static_cast<std::uint8_t>(key_id >> (shift - 8) & 0xFFU));
  }
  all.insert(all.end(), bytes.begin(), bytes.end());
  return fmt::format("{}{} {}\n", em_dash, name, tokens::base64_encode(all));
}

Result<NoteSignature> NoteSignature::parse(std::string_view line) {
  const auto wrong = [] { return malformed("expected a signature line: an em dash, a key name and base64"); };
  if (!line.starts_with(em_dash)) return wrong();
  line.remove_prefix(em_dash.size());
  const auto space = line.find(' ');
  if (space == std::string_view::npos || !is_key_name(line.substr(0, space))) return wrong();
  const auto bytes = tokens::base64_decode(line.substr(space + 1));
  if (!bytes || bytes->size() <= key_id_size) return wrong();
  NoteSignature signature;
  signature.name = line.substr(0, space);
  for (std::size_t i = 0; i < key_id_size; ++i) signature.key_id = signature.key_id << 8U | (*bytes)[i];
  signature.bytes.assign(bytes->begin() + key_id_size, bytes->end());
  return signature;
}

std::string Note::to_string() const {
  std::string out = text + '\n';
  for (const auto& signature : signatures) out += signature.line();
  return out;
}

Result<Note> Note::parse(std::string_view note) {
  if (note.size() > max_note_size) return malformed("expected at most 64 KiB");
  if (!is_utf8(note)) return malformed("expected UTF-8");
  if (std::any_of(note.begin(), note.end(), [](char c) { return is_control(c) && c != '\n'; })) {
    return malformed("expected no control characters but line feeds, found one (a carriage return?)");
  }
  const auto blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return malformed("expected an empty line before the signatures");
  Note parsed;
  parsed.text = note.substr(0, blank + 1);
  Lines lines(note.substr(blank + 2));
  while (const auto line = lines.next()) {
    if (parsed.signatures.size() == max_note_signatures) return malformed("expected at most 64 signatures");
    AVSEAL_TRY(auto signature, NoteSignature::parse(*line));
    parsed.signatures.push_back(std::move(signature));
  }
  if (parsed.signatures.empty()) return malformed("expected a signature, found none");
  if (!note.ends_with('\n')) return malformed("expected a line feed behind the last signature");
  return parsed;
}

Result<NoteSignature> ecdsa_signature(const VerifierKey& key, ByteView raw_signature) {
  AVSEAL_TRY(Bytes der, tokens::signature_to_der(raw_signature));
  return NoteSignature{key.name(), key.key_id(), std::move(der)};
}

Result<std::vector<std::size_t>> signers(const Note& note, std::span<const VerifierKey> keys) {
  std::vector<std::size_t> good;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    bool signed_by_it = false;
    for (const auto& signature : note.signatures) {
      if (!keys[i].made(signature)) continue;
      AVSEAL_CHECK(keys[i].verify(note.text, signature.bytes));
      signed_by_it = true;
    }
    if (signed_by_it) good.push_back(i);
  }
  if (!good.empty()) return good;
  return errors::wrong("note-signature-missing",
                       fmt::format("expected a signature of {}, found none", keys.empty() ? "a key" : keys[0].text()));
}

std::string cosignature_message(std::string_view text, UnixSeconds time) {
  return fmt::format("cosignature/v1\ntime {}\n{}", time, text);
}

}  // namespace avseal::tlog

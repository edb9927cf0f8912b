#include "examples/mf/expectations.hpp"

#include <charconv>
#include <fstream>
#include <iterator>

#include "tokens/impu.hpp"
#include "tokens/json.hpp"

namespace avseal::mf {

namespace {

Error malformed(std::string detail) {
  return errors::make(Category::invalid, "expectation-malformed", std::move(detail));
}

Result<Expected> checked(std::string_view avatar, std::int64_t version) {
  AVSEAL_TRY(std::string id, tokens::check_avatar_id(avatar));
  if (version < 1) return malformed("versions start at 1");
  return Expected{std::move(id), version};
}

Error unknown(std::string_view session) {
  return errors::make(Category::forbidden, "session-unknown",
                      "the IMS AS announced no media session \"" + std::string(session) + "\" to this MF");
}

}  // namespace

Result<Expectations> Expectations::from_option(std::string_view text) {
  const std::size_t comma = text.rfind(',');
  std::int64_t version = 0;
  if (comma == std::string_view::npos) return malformed("expected AVATAR-ID,MIN-VERSION");
  const std::string_view number = text.substr(comma + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), version);
  if (error != std::errc{} || end != number.data() + number.size()) return malformed("MIN-VERSION is a number");
  Expectations expectations;
  AVSEAL_TRY(expectations.any_, checked(text.substr(0, comma), version));
  return expectations;
}

Expectations Expectations::from_file(std::filesystem::path path) {
  Expectations expectations;
  expectations.file_ = std::move(path);
  return expectations;
}

Result<Expected> Expectations::of(std::string_view session) const {
  if (any_) return *any_;
  std::ifstream in(file_);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in && text.empty()) return unknown(session);
  AVSEAL_TRY(const auto value, tokens::parse_json(text));
  AVSEAL_TRY(auto sessions, tokens::ObjectReader::open(value));
  if (!sessions.has(session)) return unknown(session);
  AVSEAL_TRY(auto entry, sessions.object(session));
  AVSEAL_TRY(const auto avatar, entry.string("avatar"));
  AVSEAL_TRY(const auto version, entry.integer("version"));
  AVSEAL_CHECK(entry.finish());
  return checked(avatar, version);
}

}  // namespace avseal::mf

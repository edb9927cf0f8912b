#include "dac/request_forms.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::dac {
namespace {

constexpr std::string_view digest_prefix = "sha-256-";
constexpr std::size_t members_limit = 4 * 1024;  // so that metadata stays well below the 16 KiB of a JWS

Error malformed_digest(std::string_view found) {
  return errors::make(
      Category::bad_request, "content-digest-malformed",
      fmt::format("expected one sha-256=:<base64 of 32 bytes>: (RFC 9530), found '{}'", found.substr(0, 128)),
      "header Content-Digest");
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Decimal digits without sign, leading zeros or anything else.
std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error malformed_precondition(std::string_view header, std::string_view found) {
  return errors::make(
      Category::bad_request, "precondition-malformed",
      fmt::format("expected If-Match: \"<version>\" of the published avatar, or If-None-Match: * if there is none, "
                  "found '{}'",
                  found.substr(0, 64)),
      fmt::format("header {}", header));
}

// Canonical JSON has integers only, and few readers hold more than 63 bits of them.
bool only_integers(const boost::json::value& value) {
  if (value.is_double() || value.is_uint64()) return false;
  if (const auto* array = value.if_array()) return std::all_of(array->begin(), array->end(), only_integers);
  if (const auto* object = value.if_object())
    return std::all_of(object->begin(), object->end(),
                       [](const auto& member) { return only_integers(member.value()); });
  return true;
}

Result<boost::json::object> read_members(const boost::json::object& members) {
  const auto refuse = [](std::string detail, std::string pointer) {
    return errors::make(Category::invalid, "members-invalid", std::move(detail), std::move(pointer));
  };
  for (const std::string_view taken : {"content", "id", "owner", "version"})
    if (members.contains(taken)) return refuse("this member is the DAC's own", fmt::format("/members/{}", taken));
  if (!only_integers(members)) return refuse("numbers are 64-bit integers; write others as text", "/members");
  if (const auto size = tokens::canonical_json(members).size(); size > members_limit)
    return refuse(fmt::format("{} bytes; at most {} fit into signed metadata", size, members_limit), "/members");
  return members;
}

}  // namespace

Result<tokens::Sha256> parse_content_digest(const http::Request& request) {
  const auto header = request.header("content-digest");
  if (!header)
    return errors::make(Category::bad_request, "content-digest-missing",
                        "expected Content-Digest: sha-256=:<base64>: (RFC 9530) of the content",
                        "header Content-Digest");
  std::optional<Bytes> found;
  for (auto rest = *header; !rest.empty();) {
    const auto comma = rest.find(',');
    const auto member = trim(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const auto equals = member.find('=');
    if (equals == std::string_view::npos) return malformed_digest(*header);
    const auto value = member.substr(equals + 1);
    if (value.size() < 2 || value.front() != ':' || value.back() != ':') return malformed_digest(*header);
    if (member.substr(0, equals) != "sha-256") continue;
    auto bytes = tokens::base64_decode(value.substr(1, value.size() - 2));
    if (found || !bytes || bytes->size() != std::tuple_size_v<tokens::Sha256>) return malformed_digest(*header);
    found = std::move(*bytes);
  }
  if (!found) return malformed_digest(*header);
  tokens::Sha256 digest{};
  std::copy(found->begin(), found->end(), digest.begin());
  return digest;
}

std::string format_content_digest(std::string_view digest) {
  return fmt::format("sha-256=:{}:", digest.substr(digest_prefix.size()));
}

std::string digest_text(const tokens::Sha256& digest) {
  return std::string(digest_prefix) + tokens::base64_encode(digest);
}

std::string media_type(const http::Request& request) {
  const auto header = request.header("content-type").value_or(std::string_view{});
  std::string type(trim(header.substr(0, header.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return type;
}

Result<std::int64_t> parse_precondition(const http::Request& request) {
  const auto match = request.header("if-match");
  const auto none_match = request.header("if-none-match");
  if (!match && !none_match)
    return errors::make(
        Category::precondition_required, "precondition-missing",
        "expected If-Match: \"<version>\" of the published avatar, or If-None-Match: * if there is none",
        "header If-Match");
  if (match && none_match) return malformed_precondition("If-Match", "both headers");
  if (none_match) {
    if (*none_match != "*") return malformed_precondition("If-None-Match", *none_match);
    return std::int64_t{0};
  }
  const bool quoted = match->size() >= 3 && match->front() == '"' && match->back() == '"' && (*match)[1] != '0';
  const auto version = quoted ? decimal(match->substr(1, match->size() - 2)) : std::nullopt;
  if (!version || *version >= std::uint64_t{1} << 62) return malformed_precondition("If-Match", *match);
  return static_cast<std::int64_t>(*version);
}

std::string etag(std::int64_t version) {
  return fmt::format("\"{}\"", version);
}

Result<std::optional<ByteRange>> parse_range(const http::Request& request, std::uint64_t size) {
  const std::optional<ByteRange> whole;
  constexpr std::string_view unit = "bytes=";
  const auto header = request.header("range");
  if (!header || !header->starts_with(unit)) return whole;
  const auto spec = trim(header->substr(unit.size()));
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first_text = spec.substr(0, dash);
  const auto last_text = spec.substr(dash + 1);
  const auto first = decimal(first_text);
  const auto last = decimal(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty()) || (!first && !last)) return whole;
  if (first && last && *last < *first) return whole;

  if (size == 0 || (first && *first >= size) || (!first && *last == 0))
    return errors::make(Category::range_not_satisfiable, "range-not-satisfiable",
                        fmt::format("the content has {} bytes", size), "header Range");
  if (!first) return std::optional(ByteRange{size - std::min(*last, size), size - 1});
  return std::optional(ByteRange{*first, last ? std::min(*last, size - 1) : size - 1});
}

Result<Publication> parse_publication(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto owner_text, reader.string("owner"));
  AVSEAL_TRY(const auto digest, reader.string("contentDigest"));
  AVSEAL_TRY(const auto type, reader.optional_string("contentType"));
  AVSEAL_TRY(const auto members, reader.optional_object("members"));
  AVSEAL_CHECK(reader.finish());

  auto owner = tokens::Impu::parse(owner_text);
  if (!owner) {
    auto error = owner.error();
    error.param = "/owner";
    return error;
  }
  const auto bytes =
      digest.starts_with(digest_prefix) ? tokens::base64_decode(digest.substr(digest_prefix.size())) : Bytes{};
  if (!bytes || bytes->size() != std::tuple_size_v<tokens::Sha256>)
    return errors::make(Category::invalid, "content-digest-malformed",
                        "expected sha-256-<base64 of 32 bytes>, the digest of content that was uploaded before",
                        "/contentDigest");
  Publication out{*owner, std::string(digest), std::nullopt, {}};
  if (type) out.content_type = std::string(*type);
  if (members) {
    AVSEAL_TRY(out.members, read_members(members->raw()));
  }
  return out;
}

}  // namespace avseal::dac

#include "http/target.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::http {

namespace {

constexpr std::size_t max_target = 2048;
constexpr std::size_t max_segments = 16;
constexpr std::size_t max_members = 16;

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "target-malformed", std::move(detail), "target");
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 3986 pchar, '%' included.
bool is_pchar(char c) {
  return is_alnum(c) || std::string_view("-._~!$&'()*+,;=:@%").find(c) != std::string_view::npos;
}

Result<std::string> parse_path(std::string_view raw) {
  if (raw.empty() || raw.front() != '/') return malformed("expected a path that begins with '/' (origin form)");
  if (raw == "/") return std::string("/");
  std::string path;
  path.reserve(raw.size());
  std::size_t count = 0;
  std::string_view rest = raw.substr(1);
  for (bool more = true; more;) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    more = slash != std::string_view::npos;
    if (more) rest.remove_prefix(slash + 1);
    if (++count > max_segments) return malformed(fmt::format("more than {} path segments", max_segments));
    if (!std::all_of(segment.begin(), segment.end(), is_pchar))
      return malformed("a character that no path may contain");
    AVSEAL_TRY(const std::string decoded, percent_decode(segment));
    if (decoded.empty() || decoded == "." || decoded == "..")
      return malformed("empty, '.' and '..' segments are refused");
    if (decoded.find('/') != std::string::npos) return malformed("an escaped '/' in a path segment");
    path += '/';
    path += decoded;
  }
  return path;
}

Result<std::map<std::string, std::string>> parse_query(std::string_view raw) {
  std::map<std::string, std::string> query;
  for (bool more = true; more;) {
    const std::size_t amp = raw.find('&');
    const std::string_view member = raw.substr(0, amp);
    more = amp != std::string_view::npos;
    if (more) raw.remove_prefix(amp + 1);
    const auto allowed = [](char c) { return is_pchar(c) || c == '/' || c == '?'; };
    if (!std::all_of(member.begin(), member.end(), allowed)) return malformed("a character that no query may contain");
    const std::size_t equal = member.find('=');
    AVSEAL_TRY(std::string name, percent_decode(member.substr(0, equal)));
    if (name.empty()) return malformed("a query member without a name");
    AVSEAL_TRY(std::string value,
               percent_decode(equal == std::string_view::npos ? std::string_view{} : member.substr(equal + 1)));
    if (query.size() == max_members) return malformed(fmt::format("more than {} query members", max_members));
    if (!query.emplace(std::move(name), std::move(value)).second) return malformed("a query name appears twice");
  }
  return query;
}

bool well_formed_id(std::string_view id) {
  const auto allowed = [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; };
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), allowed);
}

// Unique across processes by 64 random bits, within one by a counter.
std::string make_request_id() {
  thread_local const std::string prefix = tokens::hex_encode(tokens::random_bytes(8));
  thread_local std::uint64_t counter = 0;
  return fmt::format("{}-{:x}", prefix, ++counter);
}

// Fields whose grammar is a list (RFC 9110 section 5.3) and that may come in several lines.
bool is_list(std::string_view name) {
  constexpr std::array<std::string_view, 15> lists{
      "accept",     "accept-charset", "accept-encoding", "accept-language", "cache-control",
      "connection", "cookie",         "forwarded",       "if-match",        "if-none-match",
      "te",         "tracestate",     "x-forwarded-for", "trailer",         "via"};
  return std::find(lists.begin(), lists.end(), name) != lists.end();
}

Result<void> join_repeated(Headers& headers) {
  for (std::size_t i = 1; i < headers.size();) {
    const auto end = headers.begin() + static_cast<std::ptrdiff_t>(i);
    const auto first = std::find_if(headers.begin(), end, [&](const auto& h) { return h.first == headers[i].first; });
    if (first == end) {
      ++i;
      continue;
    }
    if (!is_list(first->first)) {
      return errors::make(Category::bad_request, "header-repeated", "this header may appear only once",
                          "header " + first->first);
    }
    first->second += first->first == "cookie" ? "; " : ", ";
    first->second += headers[i].second;
    headers.erase(end);
  }
  return {};
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return malformed("'%' must be followed by two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c < 0x20 || c > 0x7e) return malformed("only printable ASCII is accepted");
    out += c;
  }
  return out;
}

Result<Target> parse_target(std::string_view target) {
  if (target.size() > max_target) return malformed(fmt::format("longer than {} bytes", max_target));
  Target out;
  const std::size_t mark = target.find('?');
  AVSEAL_TRY(out.path, parse_path(target.substr(0, mark)));
  if (mark != std::string_view::npos) {
    AVSEAL_TRY(out.query, parse_query(target.substr(mark + 1)));
  }
  return out;
}

Result<void> read_head(Request& request, std::string_view method, std::string_view target) {
  const auto id = request.header("x-request-id");
  request.request_id = id && well_formed_id(*id) ? std::string(*id) : make_request_id();
  AVSEAL_CHECK(join_repeated(request.headers));
  AVSEAL_TRY(Target parsed, parse_target(target));
  request.path = std::move(parsed.path);
  request.query = std::move(parsed.query);
  const auto known = parse_method(method);
  if (!known) {
    return errors::make(Category::method_not_allowed, "method-unknown", "expected GET, HEAD, PUT, POST or DELETE");
  }
  request.method = *known;
  return {};
}

Result<std::optional<std::uint64_t>> content_length(const Request& request) {
  const auto text = request.header("content-length");
  if (!text) return std::optional<std::uint64_t>{};
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (text->empty() || code != std::errc{} || end != text->data() + text->size()) {
    return errors::make(Category::bad_request, "content-length-malformed", "expected a decimal number of bytes",
                        "header content-length");
  }
  return std::optional<std::uint64_t>{value};
}

}  // namespace avseal::http

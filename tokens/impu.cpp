#include "tokens/impu.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace avseal::tokens {
namespace {

constexpr std::size_t max_size = 255;
constexpr std::size_t max_tn_digits = 15;  // E.164

Error invalid(std::string detail) {
  return errors::make(Category::invalid, "impu-invalid", "expected a SIP or tel URI, found " + std::move(detail));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_unreserved(char c) {
  return is_digit(c) || is_alpha(c) || std::string_view("-_.!~*'()").find(c) != std::string_view::npos;
}
bool is_user_unreserved(char c) {
  return std::string_view("&=+$,;?/").find(c) != std::string_view::npos;
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// Calls visit(lower-case name, value) for each ";name[=value]"; false if one is malformed or visit says so.
template <class Visit>
bool for_each_parameter(std::string_view parameters, Visit visit) {
  while (!parameters.empty()) {
    if (parameters.front() != ';') return false;
    parameters.remove_prefix(1);
    const std::string_view one = parameters.substr(0, parameters.find(';'));
    parameters.remove_prefix(one.size());
    const std::size_t equals = one.find('=');
    const std::string name = to_lower(one.substr(0, equals));
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1);
    if (name.empty() || !visit(name, value)) return false;
  }
  return true;
}

// The canonical tel URI of "+<number>[;parameters]". An extension or subaddress names another line than the number
// alone, so it is refused; other parameters do not change who is named.
Result<std::string> canonical_tel(std::string_view text) {
  const std::string_view number = text.substr(0, text.find(';'));
  if (!number.starts_with('+')) return invalid("a local number; write it in international form with '+'");
  auto tn = canonical_tn(number);
  if (!tn) return invalid(tn.error().detail);
  const bool same_line = for_each_parameter(text.substr(number.size()), [](std::string_view name, std::string_view) {
    return name != "ext" && name != "isub" && name != "phone-context";
  });
  if (!same_line) return invalid("a tel URI with an extension, subaddress, context or malformed parameter");
  return "tel:+" + *tn;
}

std::optional<int> hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// RFC 3261 section 19.1.4: escapes of unreserved characters are equivalent to the characters.
Result<std::string> canonical_user(std::string_view user) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < user.size(); ++i) {
    const char c = user[i];
    if (c != '%') {
      if (c == ':') return invalid("a password; leave it out");
      if (!is_unreserved(c) && !is_user_unreserved(c))
        return invalid("a character in the user part that must be escaped");
      out.push_back(c);
      continue;
    }
    const auto high = i + 2 < user.size() ? hex_value(user[i + 1]) : std::nullopt;
    const auto low = i + 2 < user.size() ? hex_value(user[i + 2]) : std::nullopt;
    if (!high || !low) return invalid("an incomplete percent-escape");
    const int value = *high * 16 + *low;
    if (value < 0x20 || value == 0x7F) return invalid("an escaped control character");
    if (value < 0x80 && is_unreserved(static_cast<char>(value))) {
      out.push_back(static_cast<char>(value));
    } else {
      out.push_back('%');
      out.push_back(digits[static_cast<std::size_t>(*high)]);
      out.push_back(digits[static_cast<std::size_t>(*low)]);
    }
    i += 2;
  }
  if (out.empty()) return invalid("no user part");
  return out;
}

Result<std::string> canonical_host(std::string_view host) {
  std::string out = to_lower(host);
  if (out.ends_with('.')) out.pop_back();
  bool label_start = true;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char c = out[i];
    const bool label_end = i + 1 == out.size() || out[i + 1] == '.';
    const bool alphanumeric = is_digit(c) || is_alpha(c);
    if (c == '.' ? label_start : !(alphanumeric || (c == '-' && !label_start && !label_end))) {
      return invalid("a host that is no domain name");
    }
    label_start = c == '.';
  }
  if (out.empty()) return invalid("no host");
  if (out.ends_with('.')) return invalid("a host with an empty label");
  return out;
}

Result<std::string> canonical_port(std::string_view port, std::string_view default_port) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error != std::errc() || end != port.data() + port.size() || value == 0 || value > 65535) {
    return invalid("a port that is not 1 to 65535");
  }
  const std::string text = std::to_string(value);
  return text == default_port ? std::string() : ":" + text;
}

Result<std::string> canonical_sip(const std::string& scheme, std::string_view rest) {
  const std::size_t at = rest.find('@');
  if (at == std::string_view::npos) return invalid("no user part");
  const std::string_view user = rest.substr(0, at);
  std::string_view authority = rest.substr(at + 1);
  if (authority.find('@') != std::string_view::npos) return invalid("more than one '@'");
  authority = authority.substr(0, authority.find('?'));  // headers name nobody
  const std::string_view host_port = authority.substr(0, authority.find(';'));

  bool phone = false;
  const bool parsed =
      for_each_parameter(authority.substr(host_port.size()), [&](std::string_view name, std::string_view value) {
        if (name == "user") phone = to_lower(value) == "phone";
        return true;
      });
  if (!parsed) return invalid("a malformed URI parameter");

  const std::size_t colon = host_port.find(':');
  AVSEAL_TRY(const std::string host, canonical_host(host_port.substr(0, colon)));
  std::string port;
  if (colon != std::string_view::npos) {
    AVSEAL_TRY(port, canonical_port(host_port.substr(colon + 1), scheme == "sip" ? "5060" : "5061"));
  }
  if (phone) return canonical_tel(user);
  AVSEAL_TRY(const std::string name, canonical_user(user));
  return scheme + ":" + name + "@" + host + port;
}

Result<std::string> check_id(std::string_view text, std::string_view reason, const char* what) {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F && std::string_view("\"\\<>").find(c) == std::string_view::npos;
  });
  if (text.empty() || text.size() > max_size || !printable) {
    return errors::make(
        Category::invalid, reason,
        std::string("expected ") + what +
            " of 1 to 255 printable ASCII characters without space, quote, backslash, '<' and '>', found " +
            (text.empty()             ? "an empty text"
             : text.size() > max_size ? "a longer text"
                                      : "another character"));
  }
  return std::string(text);
}

}  // namespace

Result<std::string> canonical_tn(std::string_view text) {
  const auto bad = [](std::string detail) { return errors::make(Category::invalid, "tn-invalid", std::move(detail)); };
  const bool global = text.starts_with('+');
  if (global) text.remove_prefix(1);
  std::string digits;
  for (const char c : text) {
    if (is_digit(c) || (!global && (c == '*' || c == '#'))) {
      digits.push_back(c);
    } else if (std::string_view("-.()").find(c) == std::string_view::npos) {
      return bad("a telephone number with a character that is neither digit nor separator");
    }
  }
  if (digits.empty() || digits.size() > max_tn_digits) return bad("a telephone number that has not 1 to 15 digits");
  return digits;
}

Result<Impu> Impu::parse(std::string_view text) {
  if (text.size() > max_size) return invalid("more than 255 bytes");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; })) {
    return invalid("a character that is not printable ASCII");
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return invalid("no scheme");
  const std::string scheme = to_lower(text.substr(0, colon));
  const std::string_view rest = text.substr(colon + 1);
  if (scheme == "tel") {
    AVSEAL_TRY(std::string canonical, canonical_tel(rest));
    return Impu(std::move(canonical));
  }
  if (scheme != "sip" && scheme != "sips") return invalid("another scheme");
  AVSEAL_TRY(std::string canonical, canonical_sip(scheme, rest));
  return Impu(std::move(canonical));
}

std::string Impu::tn() const {
  return is_tel() ? canonical_.substr(5) : std::string();
}

std::string_view Impu::host() const {
  const std::size_t at = canonical_.find('@');
  if (at == std::string::npos) return {};
  const std::string_view host_port = std::string_view(canonical_).substr(at + 1);
  return host_port.substr(0, host_port.find(':'));
}

Result<std::string> check_avatar_id(std::string_view text) {
  return check_id(text, "avatar-id-invalid", "an Avatar-id");
}

Result<std::string> check_application_id(std::string_view text) {
  return check_id(text, "application-id-invalid", "an application id");
}

}  // namespace avseal::tokens

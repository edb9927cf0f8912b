#include "tokens/identity_header.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace avseal::tokens {
namespace {

constexpr std::size_t max_size = 16 * 1024;

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "identity-header-malformed", std::move(detail), "header Identity");
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 3261 token.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("-.!%*_+`'~").find(c) != std::string_view::npos;
  });
}

// RFC 8224's grammar has base64 with + and /, its tokens are base64url.
bool is_digest(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("+/-_.").find(c) != std::string_view::npos;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return text_.empty(); }

  // SWS of RFC 3261: blanks, and line breaks that fold.
  void skip_space() {
    for (;;) {
      if (text_.starts_with(' ') || text_.starts_with('\t')) {
        text_.remove_prefix(1);
      } else if (text_.starts_with("\r\n ") || text_.starts_with("\r\n\t")) {
        text_.remove_prefix(3);
      } else {
        return;
      }
    }
  }

  bool take(char c) {
    skip_space();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    skip_space();
    return true;
  }

  // Up to the next of ends, or to the end of the text.
  std::string_view until(std::string_view ends) {
    const std::string_view out = text_.substr(0, text_.find_first_of(ends));
    text_.remove_prefix(out.size());
    return out;
  }

  // After the opening quote or angle bracket: up to the closing one, which is taken too.
  std::optional<std::string> enclosed(char close, bool escapes) {
    std::string out;
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == close) {
        text_.remove_prefix(i + 1);
        skip_space();
        return out;
      }
      if (escapes && text_[i] == '\\' && ++i == text_.size()) return std::nullopt;
      if (text_[i] < ' ' || text_[i] == 0x7F) return std::nullopt;
      out.push_back(text_[i]);
    }
    return std::nullopt;
  }

 private:
  std::string_view text_;
};

struct Parameter {
  std::string name;  // lower case
  std::string value;
  char enclosure = 0;  // '<', '"' or none
};

Result<Parameter> read_parameter(Reader& reader) {
  Parameter parameter;
  const std::string_view name = reader.until(" \t\r\n;=");
  if (!is_token(name)) return malformed("expected a parameter name after ';', found another text");
  parameter.name = lower(name);
  if (!reader.take('=')) return parameter;
  for (const auto& [open, close] : {std::pair{'<', '>'}, {'"', '"'}}) {
    if (!reader.take(open)) continue;
    auto value = reader.enclosed(close, open == '"');
    if (!value) return malformed("expected a closing bracket or quote in parameter " + parameter.name);
    parameter.value = std::move(*value);
    parameter.enclosure = open;
    return parameter;
  }
  parameter.value = reader.until(" \t\r\n;");
  if (!is_token(parameter.value)) return malformed("expected a value of parameter " + parameter.name);
  return parameter;
}

Result<void> assign(const Parameter& parameter, IdentityHeader& header) {
  if (parameter.name == "info") {
    if (parameter.enclosure != '<' || parameter.value.empty() || parameter.value.find(' ') != std::string::npos) {
      return malformed("expected info=<URI>, found another form");
    }
    header.info = parameter.value;
  } else if (parameter.name == "alg" || parameter.name == "ppt") {
    if (parameter.enclosure == '<' || !is_token(parameter.value)) {
      return malformed("expected a token as value of " + parameter.name);
    }
    (parameter.name == "alg" ? header.alg : header.ppt) = parameter.value;
  }
  return {};
}

}  // namespace

Result<IdentityHeader> parse_identity_header(std::string_view value) {
  if (value.size() > max_size) return malformed("expected at most 16 KiB, found more");
  Reader reader(value);
  reader.skip_space();
  IdentityHeader header;
  header.passport = reader.until(" \t\r\n;");
  if (!is_digest(header.passport)) return malformed("expected a PASSporT first, found another text");
  if (header.passport.find("..") != std::string::npos) {
    return errors::make(Category::bad_request, "identity-compact-form",
                        "expected the full form of the PASSporT, found the compact form", "header Identity");
  }
  header.alg = "ES256";
  std::vector<std::string> names;
  reader.skip_space();
  while (!reader.at_end()) {
    if (!reader.take(';')) return malformed("expected ';' before the next parameter, found another character");
    AVSEAL_TRY(const Parameter parameter, read_parameter(reader));
    if (std::find(names.begin(), names.end(), parameter.name) != names.end()) {
      return malformed("expected parameter " + parameter.name + " once, found it twice");
    }
    AVSEAL_CHECK(assign(parameter, header));
    names.push_back(parameter.name);
    reader.skip_space();
  }
  if (header.info.empty()) return malformed("expected parameter info, found none");
  return header;
}

std::string format_identity_header(const IdentityHeader& header) {
  std::string out = header.passport + ";info=<" + header.info + ">;alg=" + header.alg;
  if (!header.ppt.empty()) out += ";ppt=\"" + header.ppt + "\"";
  return out;
}

}  // namespace avseal::tokens

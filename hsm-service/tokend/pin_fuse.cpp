#include "tokend/pin_fuse.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <spdlog/spdlog.h>

#include "pkcs11/errors.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokend {

namespace {

constexpr std::string_view first_line = "avseal-pin-fuse-v1";
constexpr unsigned max_forgiven = 3;
constexpr std::string_view digits = "0123456789abcdef";
constexpr std::string_view none = "-";

Error unreadable(std::string_view what) {
  return errors::make(Category::unavailable, "pin-fuse-unreadable",
                      fmt::format("the PIN fuse's file is damaged ({}), so nobody logs in by itself; check the PIN, "
                                  "remove the file pin-* in the state directory, then use `avseal token login --once`",
                                  what));
}

Error burned(std::string_view token) {
  return errors::make(Category::unauthenticated, "pin-burned",
                      fmt::format("token \"{}\" refused this PIN before, or an attempt with it has no known end, so it "
                                  "is not tried again; correct it, then spend one attempt with `avseal token login "
                                  "--once`",
                                  token));
}

FuseState::Tag tag_of(const Secret& pin, const FuseState& state) {
  constexpr std::uint64_t cost = 1U << 14;
  constexpr std::uint64_t block = 8;
  constexpr std::uint64_t memory = 64U << 20;
  std::array<std::uint8_t, 1> out{};
  if (EVP_PBE_scrypt(reinterpret_cast<const char*>(pin.reveal().data()), pin.size(), state.salt.data(),
                     state.salt.size(), cost, block, 1, memory, out.data(), out.size()) != 1) {
    std::abort();  // out of memory
  }
  return out[0] & 0x0f;
}

// A token's serial number as part of a file's name.
std::string file_name(const pkcs11::Token& token) {
  const std::string serial = token.serial().empty() ? token.label() : token.serial();
  std::string name = "pin-";
  for (const char c : serial) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    name += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return name;
}

std::string digit(const std::optional<FuseState::Tag>& tag) {
  return tag ? std::string(1, digits[*tag]) : std::string(none);
}

// Reads "NAME VALUE\n" off the front; nothing if it is not there.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') return std::nullopt;
  line.remove_prefix(name.size() + 1);
  return line;
}

bool read_tag(std::optional<std::string_view> value, std::optional<FuseState::Tag>& tag) {
  if (!value || value->size() != 1) return false;
  if (*value == none) return true;
  const std::size_t found = digits.find(value->front());
  if (found == std::string_view::npos) return false;
  tag = static_cast<FuseState::Tag>(found);
  return true;
}

bool read_hex(std::optional<std::string_view> value, std::span<std::uint8_t> bytes) {
  if (!value || value->size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t high = digits.find((*value)[2 * i]);
    const std::size_t low = digits.find((*value)[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += {digits[byte >> 4], digits[byte & 0x0f]};
  return text;
}

}  // namespace

std::string format_fuse(const FuseState& state) {
  const std::array burned_bytes = {static_cast<std::uint8_t>(state.burned >> 8),
                                   static_cast<std::uint8_t>(state.burned & 0xff)};
  return fmt::format("{}\nsalt {}\ngood {}\nburned {}\nattempt {}\nforgiven {}\n", first_line, hex(state.salt),
                     digit(state.good), hex(burned_bytes), digit(state.attempt), state.forgiven);
}

Result<FuseState> parse_fuse(std::string_view text) {
  FuseState state;
  if (!text.starts_with(first_line) || text.size() <= first_line.size() || text[first_line.size()] != '\n') {
    return unreadable("it is of another version");
  }
  text.remove_prefix(first_line.size() + 1);
  std::array<std::uint8_t, 2> burned_bytes{};
  if (!read_hex(take_line(text, "salt"), state.salt)) return unreadable("salt");
  if (!read_tag(take_line(text, "good"), state.good)) return unreadable("good");
  if (!read_hex(take_line(text, "burned"), burned_bytes)) return unreadable("burned");
  state.burned = static_cast<std::uint16_t>(burned_bytes[0] << 8 | burned_bytes[1]);
  if (!read_tag(take_line(text, "attempt"), state.attempt)) return unreadable("attempt");
  const auto forgiven = take_line(text, "forgiven");
  if (!forgiven || forgiven->size() != 1 || forgiven->front() < '0' ||
      forgiven->front() > static_cast<char>('0' + max_forgiven)) {
    return unreadable("forgiven");
  }
  state.forgiven = static_cast<unsigned>(forgiven->front() - '0');
  if (!text.empty()) return unreadable("more than one state");
  return state;
}

Result<PinFuse> PinFuse::lock(const std::filesystem::path& state_directory, const pkcs11::Token& token) {
  AVSEAL_TRY(StateFile file, StateFile::lock(state_directory, file_name(token)));
  AVSEAL_TRY(const std::optional<std::string> text, file.read());
  if (text) {
    AVSEAL_TRY(const FuseState state, parse_fuse(*text));
    return PinFuse(std::move(file), state);
  }
  FuseState fresh;
  const Bytes salt = tokens::random_bytes(fresh.salt.size());
  std::copy(salt.begin(), salt.end(), fresh.salt.begin());
  return PinFuse(std::move(file), fresh);
}

// Ends an attempt of a process that died in it.
Result<void> PinFuse::settle(std::string_view token) {
  if (!state_.attempt) return {};
  const bool forgive = state_.attempt == state_.good && state_.forgiven < max_forgiven;
  spdlog::warn("event=pin-attempt-without-end token=\"{}\" forgiven={}", token, forgive ? "yes" : "no");
  if (forgive) {
    ++state_.forgiven;
  } else {
    state_.burned = static_cast<std::uint16_t>(state_.burned | 1U << *state_.attempt);
  }
  state_.attempt.reset();
  return write();
}

Result<void> PinFuse::attempt(pkcs11::Session& session, const Secret& pin, FuseState::Tag tag,
                              pkcs11::Session::Guard guard) {
  state_.attempt = tag;
  AVSEAL_CHECK(write());
  const auto login = session.login(pin, guard);
  state_.attempt.reset();
  if (login && *login == pkcs11::Session::Login::accepted) {
    state_.good = tag;
    state_.forgiven = 0;
  }
  if (!login && pkcs11::ckr_of(login.error()) == CKR_PIN_INCORRECT) {
    state_.burned = static_cast<std::uint16_t>(state_.burned | 1U << tag);
  }
  AVSEAL_CHECK(write());
  if (!login) return login.error();
  return {};
}

Result<void> PinFuse::login(pkcs11::Session& session, const Secret& pin) {
  const std::string label = session.token().label();
  AVSEAL_CHECK(settle(label));
  const FuseState::Tag tag = tag_of(pin, state_);
  if ((state_.burned >> tag & 1U) != 0) return burned(label);
  return attempt(session, pin, tag, pkcs11::Session::Guard::refuse_flags);
}

Result<void> PinFuse::spend(pkcs11::Session& session, const Secret& pin) {
  AVSEAL_CHECK(settle(session.token().label()));
  const FuseState::Tag tag = tag_of(pin, state_);
  AVSEAL_CHECK(attempt(session, pin, tag, pkcs11::Session::Guard::spend_one));
  state_.burned = 0;
  return write();
}

}  // namespace avseal::tokend

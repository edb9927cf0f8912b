#include "attestation/policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <tss2/tss2_tpm2_types.h>

#include "attestation/refused.hpp"
#include "configuration/toml_table.hpp"
#include "structures/attest.hpp"
#include "structures/templates.hpp"

namespace avseal::attestation {

namespace {

using configuration::configuration_invalid;
using configuration::Table;

constexpr std::size_t max_list = 64;
constexpr std::size_t max_text = 64;
constexpr std::int64_t hour = 3600;
constexpr std::int64_t day = 24 * hour;
constexpr unsigned pcr_count = 24;

// What no profile may give up, and what it may choose: whether the key is open to dictionary-attack protection.
constexpr TPMA_OBJECT choice = TPMA_OBJECT_NODA;

// TPMs that are programs: swtpm (the second is what it reports itself), and those of virtual machines, whose host has
// their keys: VMware, Google, Amazon. Microsoft's id is that of its chips too.
constexpr std::array<std::string_view, 5> software_vendors{"id:00001014", "id:49424D00", "id:564D5700", "id:474F4F47",
                                                           "id:414D5A4E"};

template <class T>
struct Word {
  std::string_view text;
  T value;
};

constexpr std::array ek_types{Word<EkType>{"rsa-2048", EkType::rsa2048}, Word<EkType>{"p-256", EkType::p256},
                              Word<EkType>{"p-384", EkType::p384}};
constexpr std::array bindings{Word<Binding>{"manifest", Binding::manifest},
                              Word<Binding>{"platform-certificate", Binding::platform_certificate}};
constexpr std::array artifacts{Word<Artifact>{"ek-certificate", Artifact::ek_certificate},
                               Word<Artifact>{"platform-certificate", Artifact::platform_certificate},
                               Word<Artifact>{"keys", Artifact::keys},
                               Word<Artifact>{"certify", Artifact::certify},
                               Word<Artifact>{"quote", Artifact::quote},
                               Word<Artifact>{"request", Artifact::request}};
constexpr std::array modes{Word<Mode>{"enforce", Mode::enforce}, Word<Mode>{"monitor", Mode::monitor}};
constexpr std::array expiries{Word<bool>{"refuse", false}, Word<bool>{"first-only", true}};
constexpr std::array revocations{Word<bool>{"if-known", false}, Word<bool>{"required", true}};

template <class Words>
Error not_among(const Table& table, std::string_view name, const Words& words, std::string_view found) {
  std::string all;
  for (const auto& word : words) all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", word.text);
  return table.error(name, fmt::format("expected one of {}, found \"{}\"", all, found));
}

template <class T, std::size_t size>
Result<T> read_word(Table& table, std::string_view name, const std::array<Word<T>, size>& words,
                    std::string_view fallback) {
  AVSEAL_TRY(const std::string text, table.string_or(name, std::string(fallback)));
  const auto* found = std::find_if(words.begin(), words.end(), [&](const Word<T>& word) { return word.text == text; });
  if (found == words.end()) return not_among(table, name, words, text);
  return Result<T>(boost::system::in_place_value, found->value);
}

// A set of words; all of them if the member is absent and `all`.
template <class T, std::size_t size>
Result<std::vector<T>> read_words(Table& table, std::string_view name, const std::array<Word<T>, size>& words,
                                  bool all) {
  std::vector<T> values;
  if (!table.has(name) && all) {
    for (const Word<T>& word : words) values.push_back(word.value);
    return values;
  }
  AVSEAL_TRY(const std::vector<std::string> texts, table.strings_or_none(name));
  for (const std::string& text : texts) {
    const auto* found =
        std::find_if(words.begin(), words.end(), [&](const Word<T>& word) { return word.text == text; });
    if (found == words.end()) return not_among(table, name, words, text);
    if (std::find(values.begin(), values.end(), found->value) != values.end()) {
      return table.error(name, fmt::format("\"{}\" is there twice", text));
    }
    values.push_back(found->value);
  }
  return values;
}

bool is_vendor(std::string_view text) {
  return text.size() == 11 && text.starts_with("id:") && std::all_of(text.begin() + 3, text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
         });
}

// Four numbers below 65536 with dots: as firmware_text() writes them.
std::optional<std::uint64_t> parse_firmware(std::string_view text) {
  std::uint64_t version = 0;
  for (int part = 0; part < 4; ++part) {
    std::uint16_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    version = version << 16U | number;
    if (part < 3) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  return text.empty() ? std::optional(version) : std::nullopt;
}

// Integers of an array; each once, in the order that sorting gives.
template <class T>
Result<std::vector<T>> read_numbers(Table& table, std::string_view name, std::int64_t most) {
  std::vector<T> numbers;
  const toml::node* node = table.take(name);
  if (node == nullptr) return numbers;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > max_list)
    return table.error(name, "expected an array of at most 64 integers");
  for (const toml::node& element : *array) {
    const auto* number = element.as_integer();
    if (number == nullptr || number->get() < 0 || number->get() > most) {
      return table.error(name, fmt::format("expected integers from 0 to {}", most));
    }
    numbers.push_back(static_cast<T>(number->get()));
  }
  std::sort(numbers.begin(), numbers.end());
  if (std::adjacent_find(numbers.begin(), numbers.end()) != numbers.end()) {
    return table.error(name, "expected each number once");
  }
  return numbers;
}

// Masks that differ from the template's only in what a profile may choose.
Result<std::vector<std::uint32_t>> read_masks(Table& table, std::string_view name, const TPM2B_PUBLIC& wanted) {
  const TPMA_OBJECT normal = wanted.publicArea.objectAttributes;
  AVSEAL_TRY(auto masks, read_numbers<std::uint32_t>(table, name, UINT32_MAX));
  if (!table.has(name)) masks.push_back(normal);
  if (masks.empty()) return table.error(name, "expected at least one attribute mask");
  for (const std::uint32_t mask : masks) {
    if ((mask | choice) == (normal | choice)) continue;
    return table.error(
        name, fmt::format("expected 0x{:X} with or without noDA (0x{:X}), found 0x{:X}", normal, choice, mask));
  }
  return masks;
}

Result<std::vector<std::string>> read_vendors(Table& table, std::string_view name) {
  AVSEAL_TRY(std::vector<std::string> vendors, table.strings_or_none(name));
  if (vendors.size() > max_list) return table.error(name, "expected at most 64 vendors");
  for (const std::string& vendor : vendors) {
    if (!is_vendor(vendor)) return table.error(name, "expected \"id:\" and eight upper-case hex digits: " + vendor);
  }
  return vendors;
}

Result<void> read_ek(Policy& policy, const toml::table& source, const std::filesystem::path& file) {
  Table table(source, file);
  AVSEAL_TRY(policy.ek_types, read_words(table, "types", ek_types, true));
  if (policy.ek_types.empty()) return table.error("types", "expected at least one type of endorsement key");
  AVSEAL_TRY(policy.ek_vendors, read_vendors(table, "vendors"));
  AVSEAL_TRY(policy.expired_once_enrolled, read_word(table, "expired", expiries, "refuse"));
  AVSEAL_TRY(policy.revocation_required, read_word(table, "revocation", revocations, "if-known"));
  return table.finish();
}

Result<void> read_keys_table(Policy& policy, const toml::table& source, const std::filesystem::path& file) {
  Table table(source, file);
  AVSEAL_TRY(policy.ak_attributes, read_masks(table, "ak", tpm::ak_template({})));
  AVSEAL_TRY(policy.key_attributes, read_masks(table, "ue", tpm::ue_key_template()));
  AVSEAL_TRY(policy.parent_attributes, read_masks(table, "parent", tpm::srk_template()));
  return table.finish();
}

Result<void> read_quote(Policy& policy, const toml::table& source, const std::filesystem::path& file) {
  Table table(source, file);
  AVSEAL_TRY(policy.quote_required, table.boolean_or("required", true));
  AVSEAL_TRY(policy.pcrs, read_numbers<unsigned>(table, "pcrs", pcr_count - 1));
  if (policy.pcrs.empty()) return table.error("pcrs", "expected the PCRs of the SHA-256 bank to quote");
  return table.finish();
}

Result<Denial> read_denial(const toml::table& source, const std::filesystem::path& file) {
  Table table(source, file);
  Denial denial;
  AVSEAL_TRY(denial.vendor, table.string_or("vendor", ""));
  AVSEAL_TRY(denial.model, table.string_or("model", ""));
  AVSEAL_TRY(denial.firmware_below, table.string_or("firmware_below", ""));
  if (denial.vendor.empty() && denial.model.empty()) return table.error("vendor", "expected a vendor or a model");
  if (!denial.vendor.empty() && !is_vendor(denial.vendor)) {
    return table.error("vendor", "expected \"id:\" and eight upper-case hex digits");
  }
  if (denial.model.size() > max_text) return table.error("model", "expected at most 64 bytes");
  if (!denial.firmware_below.empty() && !parse_firmware(denial.firmware_below)) {
    return table.error("firmware_below", "expected four numbers with dots, as 7.85.4555.0");
  }
  AVSEAL_CHECK(table.finish());
  return denial;
}

Result<void> read_denials(Policy& policy, Table& root, const std::filesystem::path& file) {
  const toml::node* node = root.take("deny");
  if (node == nullptr) return {};
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > max_list) return root.error("deny", "expected at most 64 tables [[deny]]");
  for (const toml::node& element : *array) {
    if (!element.is_table()) return root.error("deny", "expected tables [[deny]]");
    AVSEAL_TRY(Denial denial, read_denial(*element.as_table(), file));
    policy.denials.push_back(std::move(denial));
  }
  return {};
}

Result<Policy> read_policy(const toml::table& source, const std::filesystem::path& file) {
  const toml::table nothing;
  Table root(source, file);
  Policy policy;
  AVSEAL_TRY(policy.name, root.string("name"));
  if (policy.name.empty() || policy.name.size() > max_text) return root.error("name", "expected 1 to 64 bytes");
  AVSEAL_TRY(policy.test, root.boolean_or("test", false));
  AVSEAL_TRY(policy.mode, read_word(root, "mode", modes, "enforce"));
  AVSEAL_TRY(policy.binding, read_words(root, "binding", bindings, false));
  if (policy.binding.empty()) {
    return root.error("binding",
                      "expected \"manifest\", \"platform-certificate\" or both: a genuine TPM may be anybody's");
  }
  AVSEAL_TRY(policy.certificate_lifetime, root.integer_or("certificate_lifetime", day, hour, 90 * day));
  AVSEAL_TRY(policy.ak_max_age, root.integer_or("ak_max_age", 365 * day, day, 3650 * day));
  AVSEAL_TRY(policy.archive, read_words(root, "archive", artifacts, true));
  AVSEAL_TRY(const toml::table* const ek, root.table_or_none("ek"));
  AVSEAL_CHECK(read_ek(policy, ek == nullptr ? nothing : *ek, file));
  AVSEAL_TRY(const toml::table* const keys, root.table_or_none("keys"));
  AVSEAL_CHECK(read_keys_table(policy, keys == nullptr ? nothing : *keys, file));
  AVSEAL_TRY(const toml::table* const quote, root.table_or_none("quote"));
  if (quote != nullptr) {
    AVSEAL_CHECK(read_quote(policy, *quote, file));
  }
  AVSEAL_CHECK(read_denials(policy, root, file));
  AVSEAL_CHECK(root.finish());
  return policy;
}

bool matches(const std::string& wanted, const std::string& found) {
  return wanted.empty() || wanted == found;
}

}  // namespace

std::string_view to_string(EkType type) {
  const auto* found =
      std::find_if(ek_types.begin(), ek_types.end(), [&](const Word<EkType>& word) { return word.value == type; });
  return found->text;
}

Result<Policy> Policy::parse(std::string_view text, const std::filesystem::path& file) {
  try {
    const toml::table table = toml::parse(text, file.string());
    return read_policy(table, file);
  } catch (const toml::parse_error& error) {
    return configuration_invalid(file, error.source().begin.line, error.description());
  }
}

Result<Policy> Policy::load(const std::filesystem::path& file) {
  AVSEAL_TRY(const std::string text, configuration::read_text(file));
  return parse(text, file);
}

bool Policy::archives(Artifact artifact) const {
  return std::find(archive.begin(), archive.end(), artifact) != archive.end();
}

Result<void> Policy::check_vendor(const TpmIdentity& tpm) const {
  const bool software =
      std::find(software_vendors.begin(), software_vendors.end(), tpm.vendor) != software_vendors.end();
  if (software && !test) {
    return refused("ek-vendor-refused", tpm.vendor + " makes software TPMs, which only a test profile admits");
  }
  const bool listed =
      ek_vendors.empty() || std::find(ek_vendors.begin(), ek_vendors.end(), tpm.vendor) != ek_vendors.end();
  if (!listed)
    return refused("ek-vendor-refused", "the profile \"" + name + "\" does not list the vendor " + tpm.vendor);
  return {};
}

Result<void> Policy::check_denials(const TpmIdentity& tpm) const {
  for (const Denial& denial : denials) {
    if (!denial.firmware_below.empty() || !matches(denial.vendor, tpm.vendor) || !matches(denial.model, tpm.model)) {
      continue;
    }
    if (denial.model.empty()) return refused("ek-vendor-refused", "the profile denies the TPM vendor " + tpm.vendor);
    return refused("device-model-refused",
                   fmt::format("the profile denies the TPM model {} {}", tpm.vendor, tpm.model));
  }
  return {};
}

Result<void> Policy::check_firmware(const TpmIdentity& tpm, std::uint64_t firmware) const {
  for (const Denial& denial : denials) {
    if (denial.firmware_below.empty() || !matches(denial.vendor, tpm.vendor) || !matches(denial.model, tpm.model)) {
      continue;
    }
    if (firmware >= parse_firmware(denial.firmware_below)) continue;
    return refused("device-firmware-refused",
                   fmt::format("expected firmware {} or later of TPM {} {}, found {}; update the TPM's firmware",
                               denial.firmware_below, tpm.vendor, tpm.model, tpm::firmware_text(firmware)));
  }
  return {};
}

Result<void> Findings::judge(Result<void> check) {
  if (check) return {};
  if (mode_ == Mode::enforce) return check;
  all_.push_back(check.error());
  return {};
}

}  // namespace avseal::attestation

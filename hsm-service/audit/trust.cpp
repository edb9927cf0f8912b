#include "audit/trust.hpp"

#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

std::string_view parent_of(std::string_view origin) {
  return origin.substr(0, origin.rfind('/'));
}

bool is_period(std::string_view origin) {
  const auto slash = origin.rfind('/');
  return slash != std::string_view::npos && origin.size() - slash == 5 &&
         origin.find_first_not_of("0123456789", slash + 1) == std::string_view::npos;
}

// The key itself, behind name, id and type.
Bytes material_of(const tlog::VerifierKey& key) {
  const auto text = key.text();
  const auto typed = tokens::base64_decode(std::string_view(text).substr(text.find('+', text.find('+') + 1) + 1));
  return typed ? Bytes(typed->begin() + 1, typed->end()) : Bytes();
}

// The key under another name; empty where it is of no such kind.
std::optional<tlog::VerifierKey> renamed(const tlog::VerifierKey& key, const std::string& name) {
  if (key.type() == tlog::KeyType::ed25519) {
    auto made = tlog::VerifierKey::of_ed25519(name, key.type(), material_of(key));
    return made ? std::optional(*made) : std::nullopt;
  }
  const auto public_key = public_key_of(key);
  if (!public_key) return std::nullopt;
  auto made = tlog::VerifierKey::of(name, *public_key);
  return made ? std::optional(*made) : std::nullopt;
}

// The policy with the keys of the periods of one log for the one that is asked for.
tlog::Policy for_origin(const tlog::Policy& policy, const std::string& origin) {
  tlog::Policy out = policy;
  out.logs.clear();
  for (const auto& log : policy.logs) {
    const auto& name = log.key.name();
    if (name == origin) {
      out.logs.push_back(log);
    } else if (is_period(origin) && is_period(name) && parent_of(origin) == parent_of(name)) {
      if (auto key = renamed(log.key, origin)) out.logs.push_back({std::move(*key), log.url});
    }
  }
  return out;
}

}  // namespace

Trust Trust::of_keys(std::vector<tlog::VerifierKey> keys) {
  tlog::Policy policy;
  for (auto& key : keys) policy.logs.push_back({std::move(key), {}});
  return Trust(std::move(policy));
}

Trust Trust::of_policy(tlog::Policy policy) {
  return Trust(std::move(policy));
}

Result<tlog::Checkpoint> Trust::check(const tlog::Note& note) const {
  AVSEAL_TRY(auto checkpoint, tlog::Checkpoint::parse(note.text));
  const auto policy = for_origin(policy_, checkpoint.origin);
  if (policy.logs.empty()) {
    return errors::make(Category::invalid, "note-signature-missing",
                        "no key that you trust is of the log " + checkpoint.origin);
  }
  AVSEAL_CHECK(policy.check(note));
  return checkpoint;
}

std::vector<tlog::VerifierKey> Trust::keys_of(const std::string& origin) const {
  std::vector<tlog::VerifierKey> keys;
  for (auto& log : for_origin(policy_, origin).logs) keys.push_back(std::move(log.key));
  return keys;
}

Result<tokens::PublicKey> public_key_of(const tlog::VerifierKey& key) {
  if (key.type() == tlog::KeyType::ecdsa) return tokens::PublicKey::from_spki(material_of(key));
  return errors::make(Category::invalid, "vkey-malformed", "expected an ECDSA key, found one of another kind");
}

Result<tlog::Checkpoint> Trust::check(std::string_view note) const {
  AVSEAL_TRY(const auto parsed, tlog::Note::parse(note));
  return check(parsed);
}

}  // namespace avseal::audit

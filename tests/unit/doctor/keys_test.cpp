// What the doctor says of a key, by its attributes. The key is a good one on SoftHSM; the attributes are as a module
// might tell them.
#include <algorithm>

#include "../pkcs11/fixture.hpp"
#include "cli/doctor/checks.hpp"

namespace avseal::doctor {
namespace {

using pkcs11::KeyDescription;
using pkcs11::KeyKind;

using Ids = std::vector<std::string>;

class KeyChecks : public pkcs11::TokenTest {
 protected:
  void SetUp() override {
    TokenTest::SetUp();
    worker.name = "hsm";
    worker.login = logged_in();
    add(KeyKind::avatar_id, "signer");
    add(KeyKind::dac_kek, "kek");
  }
  void add(KeyKind kind, const std::string& name) {
    pkcs11::NewKey key;
    key.kind = kind;
    key.label = name;
    worker.keys.emplace(name, pkcs11::generate_key(*worker.login, key).value());
    tokend::KeyConfig config;
    config.name = name;
    config.kind = kind;
    worker.config.keys.push_back(config);
  }
  // Ids of all that is not ok, after a change to the description of a key.
  template <class Change>
  Ids with(const std::string& name, Change change) {
    auto changed = worker.keys.at(name);
    change(changed);
    std::swap(changed, worker.keys.at(name));
    Findings findings;
    check_keys(worker, findings);
    std::swap(changed, worker.keys.at(name));
    Ids out;
    for (const auto& finding : findings.all()) {
      if (finding.severity == Severity::ok) continue;
      EXPECT_EQ(finding.subject, "hsm/" + name);
      EXPECT_FALSE(finding.action.empty());
      out.push_back(finding.id);
    }
    return out;
  }

  Worker worker;
};

TEST_F(KeyChecks, OfGoodKeysAreFine) {
  EXPECT_EQ(with("signer", [](KeyDescription&) {}), Ids{});
  Findings findings;
  check_keys(worker, findings);
  EXPECT_EQ(findings.count(Severity::ok), 8U);  // type, attributes, usage and test of two keys
  EXPECT_EQ(findings.all().size(), 8U);
}

TEST_F(KeyChecks, TellWhoCouldHaveTheKey) {
  const auto tell = [this](auto change) { return with("signer", change); };
  EXPECT_EQ(tell([](auto& k) { k.sensitive = false; }), Ids{"key-not-sensitive"});
  EXPECT_EQ(tell([](auto& k) { k.extractable = true; }), Ids{"key-extractable"});
  EXPECT_EQ(tell([](auto& k) { k.always_sensitive = false; }), Ids{"key-was-readable"});
  EXPECT_EQ(tell([](auto& k) { k.never_extractable = false; }), Ids{"key-was-extractable"});
  EXPECT_EQ(tell([](auto& k) { k.local = false; }), Ids{"key-imported"});
  EXPECT_EQ(tell([](auto& k) { k.sensitive = false, k.always_sensitive = false; }), Ids{"key-not-sensitive"});
  EXPECT_EQ(tell([](auto& k) { k.extractable = true, k.never_extractable = false; }), Ids{"key-extractable"});
}

TEST_F(KeyChecks, TellWhatTheModuleDoesNotSay) {
  EXPECT_EQ(with("signer", [](auto& k) { k.local.reset(); }), Ids{"key-attribute-untold"});
  EXPECT_EQ(with("kek", [](auto& k) { k.sensitive.reset(), k.extractable = true; }),
            (Ids{"key-extractable", "key-attribute-untold"}));
}

TEST_F(KeyChecks, WantTheLeastUsage) {
  EXPECT_EQ(with("signer", [](auto& k) { k.usage = {"sign", "derive"}; }), Ids{"key-usage-wide"});
  EXPECT_EQ(with("signer", [](auto& k) { k.usage = {"derive"}; }), Ids{"key-usage-missing"});
  EXPECT_EQ(with("signer", [](auto& k) { k.usage.clear(); }), Ids{"key-usage-missing"});
  EXPECT_EQ(with("kek", [](auto& k) { k.usage = {"encrypt"}; }), Ids{"key-usage-missing"});
  EXPECT_EQ(with("kek", [](auto& k) { k.usage = {"wrap", "unwrap"}; }), Ids{});
  EXPECT_EQ(with("kek", [](auto& k) { k.usage = {"decrypt", "encrypt", "sign"}; }), Ids{"key-usage-wide"});
}

TEST_F(KeyChecks, TryEachKey) {
  const auto other = worker.keys.at("kek").handle;
  EXPECT_EQ(with("signer", [other](auto& k) { k.handle = other; }), Ids{"key-test-failed"});
  EXPECT_EQ(with("kek", [](auto& k) { k.handle = 0xdead; }), Ids{"key-test-failed"});
  EXPECT_EQ(with("kek", [](auto& k) { k.type = "AES-128"; }), Ids{"key-type"});
}

}  // namespace
}  // namespace avseal::doctor

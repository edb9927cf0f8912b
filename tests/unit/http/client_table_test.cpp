#include "http/client_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pki.hpp"

namespace avseal::http {
namespace {

using ::testing::HasSubstr;
using namespace avseal::http::testing;

ClientEntry entry(const std::string& id, const std::string& uri, const std::string& dns = {},
                  const std::string& digest = {}) {
  ClientEntry out;
  out.client.id = id;
  out.san_uri = uri;
  out.san_dns = dns;
  out.sha256_hex = digest;
  return out;
}

struct Table : ::testing::Test {
  TempDir directory;
  Ca ca{directory.path(), "ca"};
  tokens::Certificate certificate(const std::string& san) {
    return *tokens::Certificate::from_native(ca.issue("leaf", {san}).certificate.get());
  }
  static std::string refuse(std::vector<ClientEntry> entries) {
    const auto table = ClientTable::create(std::move(entries));
    return table ? "accepted" : table.error().detail;
  }
};

TEST_F(Table, FindsByEachOfTheThreeNames) {
  const auto a = certificate("URI:urn:a");
  const auto b = certificate("DNS:B.example");
  const auto c = certificate("");
  std::string digest = c.sha256_hex();
  std::transform(digest.begin(), digest.end(), digest.begin(),
                 [](char x) { return static_cast<char>(std::toupper(x)); });
  const auto table =
      ClientTable::create({entry("a", "urn:a"), entry("b", {}, "b.EXAMPLE"), entry("c", {}, {}, digest)});
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->find(a)->id, "a");
  EXPECT_EQ((*table)->find(b)->id, "b");
  EXPECT_EQ((*table)->find(c)->id, "c");
  EXPECT_EQ((*table)->find(certificate("URI:urn:A")), nullptr) << "URIs are compared exactly";
  EXPECT_EQ((*table)->find(certificate("DNS:a.b.example")), nullptr);
}

TEST_F(Table, AllowsNobodyByDefault) {
  EXPECT_EQ((*ClientTable::create({}))->find(certificate("URI:urn:a")), nullptr);
}

TEST_F(Table, FindsNobodyForACertificateOfTwoClients) {
  const auto table = ClientTable::create({entry("a", "urn:a"), entry("b", {}, "b.example")});
  EXPECT_EQ((*table)->find(certificate("URI:urn:a,DNS:b.example")), nullptr);
  EXPECT_EQ((*table)->find(certificate("URI:urn:a,URI:urn:other"))->id, "a");
}

TEST_F(Table, RefusesEntriesThatAreNotClear) {
  EXPECT_THAT(refuse({entry("a", "")}), HasSubstr("0 were given"));
  EXPECT_THAT(refuse({entry("a", "urn:a", "b.example")}), HasSubstr("2 were given"));
  EXPECT_THAT(refuse({entry("", "urn:a")}), HasSubstr("an id is needed"));
  EXPECT_THAT(refuse({entry("a", "urn:a"), entry("a", "urn:b")}), HasSubstr("used twice"));
  EXPECT_THAT(refuse({entry("a", "urn:a"), entry("b", "urn:a")}), HasSubstr("as client 'a'"));
  EXPECT_THAT(refuse({entry("a", {}, "x.example"), entry("b", {}, "X.example")}), HasSubstr("as client 'a'"));
  EXPECT_THAT(refuse({entry("a", {}, {}, "abc")}), HasSubstr("64 hexadecimal digits"));
  ClientEntry numbers = entry("a", "urn:a");
  numbers.client.numbers = {{"100", "99"}};
  EXPECT_THAT(refuse({numbers}), HasSubstr("100..99"));
  numbers.client.numbers = {{"200", "100"}};
  EXPECT_THAT(refuse({numbers}), HasSubstr("200..100"));
}

TEST_F(Table, ReadsRoles) {
  for (const std::string name : {"ims-as", "xr-as", "feeder", "operator", "auditor"})
    EXPECT_EQ(to_string(*parse_client_role(name)), name);
  EXPECT_EQ(parse_client_role("Operator").error().reason, "client-role-unknown");
}

TEST_F(Table, ScopesCoverDomainsAndNumbers) {
  Client client;
  client.domains = {"a.example"};
  client.numbers = {{"4930100", "4930199"}};
  client.owner_domains = {"b.example"};
  const auto impu = [](const std::string& text) { return *tokens::Impu::parse(text); };
  EXPECT_TRUE(client.covers(impu("sip:alice@A.example")));
  EXPECT_FALSE(client.covers(impu("sip:alice@sub.a.example")));
  EXPECT_FALSE(client.covers(impu("sip:alice@b.example")));
  EXPECT_TRUE(client.covers(impu("tel:+4930100")));
  EXPECT_TRUE(client.covers(impu("tel:+4930199")));
  EXPECT_FALSE(client.covers(impu("tel:+4930200")));
  EXPECT_FALSE(client.covers(impu("tel:+49301001")));
  EXPECT_TRUE(client.covers_owner(impu("sip:bob@b.example")));
  EXPECT_FALSE(client.covers_owner(impu("sip:bob@a.example")));
  EXPECT_TRUE(client.covers_owner(impu("tel:+4930150")));
  EXPECT_FALSE(Client{}.covers(impu("sip:alice@a.example"))) << "empty lists allow nothing";
}

}  // namespace
}  // namespace avseal::http

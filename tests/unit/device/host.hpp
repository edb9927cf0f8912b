// The operator's side of enrollments, without its transport and its store: it judges what the device proves by the
// same code as the enrollment role, and certifies with a CA in memory.
#pragma once

#include <optional>
#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "attestation/credential.hpp"
#include "attestation/device_keys.hpp"
#include "attestation/evidence.hpp"
#include "device/enrollment.hpp"
#include "tests/unit/mf/software_pki.hpp"
#include "tokens/base64.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/json.hpp"

namespace avseal::test {

class Host {
 public:
  explicit Host(std::string server) : server_(std::move(server)) {
    policy_.mode = attestation::Mode::monitor;
    policy_.ak_attributes = {0x50472};
    policy_.key_attributes = {0x40472};
    policy_.parent_attributes = {0x30472};
  }

  void want_pcrs(std::vector<unsigned> pcrs) {
    policy_.pcrs = std::move(pcrs);
    policy_.quote_required = true;
  }

  // The answer to the first leg.
  std::string challenge(const device::Leg& leg) {
    EXPECT_EQ(leg.path, "/enrollment/v1/challenges");
    request_ = boost::json::parse(leg.body).as_object();
    keys_ = attestation::read_keys(bytes("ak"), bytes("key"), bytes("parent"), policy_).value();
    nonce_ = tokens::random_bytes(32);
    boost::json::object answer{{"id", tokens::base64url_encode(Bytes(16, 7))},
                               {"nonce", tokens::base64url_encode(nonce_)},
                               {"server", server_},
                               {"expires", 4'000'000'000}};
    if (request_.contains("ek")) {
      EXPECT_FALSE(request_.contains("device"));
      const auto ek = attestation::EkCertificate::read(bytes(request_.at("ek"), "certificate"));
      EXPECT_TRUE(ek) << ek.error().detail;
      device_ = ek->device_id();
      type_ = ek->key().type;
      tpm_ = ek->tpm();
      ak_name_ = keys_->ak_name;
      secret_ = tokens::random_bytes(32);
      const auto credential = attestation::make_credential(ek->key(), keys_->ak_name, secret_).value();
      answer["credential"] = boost::json::object{{"blob", tokens::base64url_encode(credential.blob)},
                                                 {"secret", tokens::base64url_encode(credential.secret)}};
    } else {
      EXPECT_EQ(text("device"), device_);
      EXPECT_EQ(keys_->ak_name, ak_name_) << "the attestation key of the enrollment";
      EXPECT_FALSE(request_.contains("code") || request_.contains("serial"));
    }
    if (!policy_.pcrs.empty()) answer["pcrs"] = boost::json::value_from(policy_.pcrs);
    return boost::json::serialize(answer);
  }

  // The answer to the second leg; empty if the evidence is refused.
  std::string certificate(const device::Leg& leg, long seconds = 3600) {
    EXPECT_EQ(leg.path, "/enrollment/v1/challenges/" + tokens::base64url_encode(Bytes(16, 7)) + "/certificate");
    const auto body = boost::json::parse(leg.body).as_object();
    if (request_.contains("ek")) {
      EXPECT_EQ(bytes(body, "secret"), secret_) << "activated";
    } else {
      EXPECT_FALSE(body.contains("secret"));
    }
    attestation::Evidence evidence;
    evidence.request = bytes(body, "csr");
    evidence.certify = attest(body.at("certify"));
    if (body.contains("quote")) {
      pcrs_.clear();
      for (const auto& [pcr, value] : body.at("quote").at("pcrs").as_object()) {
        const Bytes digest = tokens::hex_decode(value.as_string()).value();
        std::copy_n(digest.begin(), 32, pcrs_[static_cast<unsigned>(std::stoul(std::string(pcr)))].begin());
      }
      evidence.quote = attestation::QuoteEvidence{attest(body.at("quote")), pcrs_};
    }
    const auto impu = tokens::Impu::parse(text("impu")).value();
    const auto verdict = attestation::judge(evidence, *keys_, tpm_, {nonce_, impu, server_}, {}, policy_);
    EXPECT_TRUE(verdict) << verdict.error().reason << ": " << verdict.error().detail;
    if (!verdict) return {};
    return issued(verdict->request.key, impu, seconds);
  }

  std::string issued(const tokens::PublicKey& key, const tokens::Impu& impu, long seconds = 3600) {
    const UnixSeconds now = to_unix(std::chrono::system_clock::now());
    Bytes serial = tokens::random_bytes(16);
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3FU) | 0x40U);
    const Bytes tbs =
        tokens::build_ue_tbs(
            {.key = key, .impu = impu, .serial = serial, .not_before = now - 60, .not_after = now + seconds},
            ca_.certificate)
            .value();
    const auto leaf = tokens::assemble_certificate(tbs, ca_.certificate, ca_.key.sign(tbs)).value();
    return boost::json::serialize(boost::json::object{
        {"certificates",
         boost::json::array{boost::json::string(leaf.pem()), boost::json::string(ca_.certificate.pem())}},
        {"device", device_},
        {"renewAfter", now + seconds / 2}});
  }

  [[nodiscard]] const boost::json::object& request() const { return request_; }
  [[nodiscard]] const std::string& device() const { return device_; }
  [[nodiscard]] attestation::EkType type() const { return type_; }
  [[nodiscard]] const attestation::PcrValues& pcrs() const { return pcrs_; }
  [[nodiscard]] const Bytes& secret() const { return secret_; }

 private:
  static Bytes bytes(const boost::json::value& object, std::string_view name) {
    return tokens::base64url_decode(object.as_object().at(name).as_string()).value();
  }
  [[nodiscard]] Bytes bytes(std::string_view name) const { return bytes(request_, name); }
  [[nodiscard]] std::string text(std::string_view name) const { return std::string(request_.at(name).as_string()); }
  static attestation::SignedAttest attest(const boost::json::value& object) {
    return {bytes(object, "attest"), bytes(object, "signature")};
  }

  std::string server_;
  SoftwareCa ca_{"UE CA"};
  attestation::Policy policy_;
  boost::json::object request_;
  std::optional<attestation::DeviceKeys> keys_;
  attestation::TpmIdentity tpm_;
  attestation::EkType type_{};
  std::string device_;
  Bytes ak_name_;
  Bytes nonce_;
  Bytes secret_;
  attestation::PcrValues pcrs_;
};

}  // namespace avseal::test

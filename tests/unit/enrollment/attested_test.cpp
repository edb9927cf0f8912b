#include "enrollment/attested.hpp"

#include <prometheus/text_serializer.h>

#include "attested_site.hpp"

namespace avseal::enrollment {
namespace {

using test::reason_of;
using test::TestDevice;

class AttestedEnrolment : public ::testing::Test, protected test::AttestedSite {
 protected:
  std::string fresh_code(const std::string& impu = alice) { return code(impu, false); }
  bool metric_is(const std::string& line) {
    const auto text = prometheus::TextSerializer{}.Serialize(node.metrics.Collect());
    return text.find("\n" + line + "\n") != std::string::npos;
  }
  // A device that is enrolled for alice.
  TestDevice enrolled(const std::string& serial = "SN-1") {
    TestDevice device(vendor, serial);
    list(device);
    const auto response = enrol(device, fresh_code());
    EXPECT_EQ(response.status, 201U) << response.body;
    return device;
  }
};

TEST_F(AttestedEnrolment, AGenuineDeviceWithACodeGetsItsCertificate) {
  const TestDevice device(vendor, "SN-1");
  list(device);
  const auto with = fresh_code();
  const auto response = enrol(device, with);
  ASSERT_EQ(response.status, 201U) << response.body;
  const auto body = boost::json::parse(response.body);
  EXPECT_EQ(body.at("device").as_string(), device.id());
  const auto issued = leaf(response);
  EXPECT_EQ(issued.san_uris(), std::vector{alice});
  EXPECT_EQ(issued.public_key(), tpm::public_key_of(device.tpm.key_area).value());
  EXPECT_EQ(issued.not_after() - issued.not_before(), 86'400) << "the profile's lifetime";
  EXPECT_EQ(body.at("renewAfter").as_int64(), issued.not_before() + 57'600);

  const auto row = known(device);
  EXPECT_EQ(row.state, store::DeviceState::active);
  EXPECT_EQ(row.maker + " " + row.model + " " + row.batch, "ExampleMaker XR-UE-1 b1");
  EXPECT_EQ(row.tpm, "id:53544D20 id:00010102 ST33");
  EXPECT_EQ(row.firmware, "1.2.3.4");
  EXPECT_EQ(row.life.reset_count, 3);
  auto standing = node.store->ue_certificates().standing(issued.fingerprint().to_x5t());
  EXPECT_EQ(test::run(node.context, std::move(standing)).value()->device, store::DeviceState::active);
  EXPECT_EQ(enrol(device, with).status, 201U) << "a device that did not hear its answer comes again";
  const TestDevice other(vendor, "SN-2");
  list(other);
  EXPECT_EQ(reason_of(enrol(other, with)), "enrolment-code-invalid") << "the code is spent";
}

TEST_F(AttestedEnrolment, EvidenceIsArchivedSealedAndSerialNumbersAreNowhereElse) {
  const auto device = enrolled("SN-SECRET-1");
  const auto serial = leaf(renew(device)).serial_hex();
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(config.attestation->evidence_directory)) {
    files.push_back(entry.path());
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(text.find("SN-SECRET-1"), std::string::npos);
    EXPECT_EQ(text.find("alice"), std::string::npos);
  }
  ASSERT_EQ(files.size(), 2U);
  const auto renewed = get("evidence/" + serial);
  EXPECT_EQ(renewed.at("device").as_string(), device.id());
  EXPECT_TRUE(renewed.as_object().contains("certify"));
  EXPECT_FALSE(renewed.as_object().contains("serial"));
  const auto other = std::find_if(files.begin(), files.end(), [&](const auto& f) { return f.stem() != serial; });
  const auto first = get("evidence/" + other->stem().string());
  EXPECT_EQ(first.at("serial").as_string(), "SN-SECRET-1");
  EXPECT_EQ(first.at("ek_certificate").as_string(),
            tokens::base64url_encode(test::att::der_of(device.certificate.get())));
  for (const auto& leaf : node.leaves()) {
    const auto text = boost::json::serialize(leaf);
    EXPECT_EQ(text.find("SN-SECRET-1"), std::string::npos);
    EXPECT_EQ(text.find("alice"), std::string::npos);
  }
  std::ifstream store(node.dir.path() / "store.sqlite", std::ios::binary);
  const std::string rows{std::istreambuf_iterator<char>(store), {}};
  EXPECT_EQ(rows.find("SN-SECRET-1"), std::string::npos);
}

TEST_F(AttestedEnrolment, AnAlteredArchiveIsNotRead) {
  enrolled();
  const auto file = std::filesystem::directory_iterator(config.attestation->evidence_directory)->path();
  const auto serial = file.stem().string();
  std::filesystem::copy(file, file.parent_path() / "00ff.evidence");
  EXPECT_EQ(get("evidence/00ff").at("reason").as_string(), "hsm-refused") << "the key is bound to the name";
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(-20, std::ios::end);
  out.put('\x55');
  out.close();
  EXPECT_EQ(get("evidence/" + serial).at("reason").as_string(), "evidence-altered");
  EXPECT_EQ(get("evidence/0000").at("reason").as_string(), "evidence-unknown");
  EXPECT_EQ(get("evidence/..%2fx").at("reason").as_string(), "evidence-unknown");
}

TEST_F(AttestedEnrolment, RenewsByTheSameAttestationKeyAlone) {
  auto device = enrolled();
  device.life.clock += 1000;
  const auto response = renew(device);
  ASSERT_EQ(response.status, 201U) << response.body;
  const auto challenged = challenge(device.renewal(alice));
  EXPECT_FALSE(boost::json::parse(challenged.body).as_object().contains("credential"));
  EXPECT_EQ(reason_of(challenge(device.renewal("sip:bob@a.example"))), "device-impu-unbound");
  TestDevice stranger(vendor, "SN-2");
  EXPECT_EQ(reason_of(renew(stranger)), "device-ak-unknown");
  device.tpm = test::att::SoftwareTpm();
  EXPECT_EQ(reason_of(renew(device)), "device-ak-unknown");
  EXPECT_TRUE(metric_is("avseal_enrolments_total{kind=\"renewal\"} 1"));
}

TEST_F(AttestedEnrolment, AnOldAttestationKeyIsProvedAnewWithoutACode) {
  auto device = enrolled();
  use_profile("ak_max_age = 86400\n");
  node.now += 86'401;
  EXPECT_EQ(reason_of(renew(device)), "device-ak-expired");
  device.tpm = test::att::SoftwareTpm();
  EXPECT_EQ(reason_of(enrol(device, "")), "ek-certificate-expired");
  node.now -= 86'401;
  const auto response = enrol(device, "");
  EXPECT_EQ(response.status, 201U) << response.body;
  EXPECT_EQ(reason_of(enrol(device, "", "sip:bob@a.example")), "device-impu-unbound");
}

TEST_F(AttestedEnrolment, AChallengeIsAnsweredOnceByItsOwnTpm) {
  const TestDevice device(vendor, "SN-1");
  list(device);
  const auto challenged = boost::json::parse(challenge(device.first_leg(alice, fresh_code())).body);
  auto body = device.second_leg(alice, challenged);
  body["secret"] = tokens::base64url_encode(Bytes(32, 7));
  EXPECT_EQ(reason_of(answer(challenged, body)), "credential-mismatch");
  EXPECT_EQ(reason_of(answer(challenged, device.second_leg(alice, challenged))), "challenge-used");
  EXPECT_EQ(reason_of(answer({{"id", "AAAAAAAAAAAAAAAAAAAAAA"}}, body)), "challenge-unknown");
  const auto again = boost::json::parse(challenge(device.first_leg(alice, fresh_code())).body);
  body = device.second_leg(alice, again);
  body.erase("secret");
  EXPECT_EQ(reason_of(answer(again, body)), "credential-mismatch");
  EXPECT_EQ(node.keyring->signatures, 0);
}

TEST_F(AttestedEnrolment, EvidenceOfAnotherChallengeIsRefusedAndTheCodeStaysGood) {
  const TestDevice device(vendor, "SN-1");
  list(device);
  const auto with = fresh_code();
  const auto first = boost::json::parse(challenge(device.first_leg(alice, with)).body);
  const auto second = boost::json::parse(challenge(device.first_leg(alice, with)).body);
  auto replayed = device.second_leg(alice, first);
  replayed["secret"] = device.second_leg(alice, second).at("secret");
  EXPECT_EQ(reason_of(answer(second, replayed)), "attest-binding");
  EXPECT_EQ(answer(first, device.second_leg(alice, first)).status, 201U);
}

TEST_F(AttestedEnrolment, TheIdentityComesFromTheOperatorAlone) {
  const TestDevice device(vendor, "SN-1");
  list(device);
  const auto for_bob = fresh_code("sip:bob@a.example");
  EXPECT_EQ(reason_of(enrol(device, for_bob)), "enrolment-code-identity");
  EXPECT_EQ(reason_of(enrol(device, "")), "device-impu-unbound");
  EXPECT_EQ(reason_of(enrol(device, std::string(32, '0'))), "enrolment-code-invalid");
  const auto challenged = boost::json::parse(challenge(device.first_leg("sip:bob@a.example", for_bob)).body);
  EXPECT_EQ(reason_of(answer(challenged, device.second_leg(alice, challenged))), "attest-binding");
}

TEST_F(AttestedEnrolment, AStrangersGenuineTpmIsNotOurDevice) {
  const TestDevice device(vendor, "SN-1");
  EXPECT_EQ(reason_of(enrol(device, fresh_code())), "device-not-in-manifest");
  list(device);
  TestDevice liar(vendor, "SN-1");
  liar.ek = test::att::share(device.ek);
  liar.certificate = vendor.issue(liar.ek.get(), test::att::ek_fields("rsa-2048"));
  liar.serial = "SN-2";
  EXPECT_EQ(reason_of(enrol(liar, fresh_code())), "device-serial-mismatch");
  const auto other = test::att::Authority::root("another vendor");
  const TestDevice unknown(other, "SN-3");
  list(unknown);
  EXPECT_EQ(reason_of(enrol(unknown, fresh_code())), "ek-certificate-untrusted");
}

TEST_F(AttestedEnrolment, MonitoringLetsPolicyFindingsThroughAndCountsThem) {
  use_profile("mode = \"monitor\"\n");
  const TestDevice device(vendor, "SN-1");
  const auto response = enrol(device, fresh_code());
  ASSERT_EQ(response.status, 201U) << response.body;
  EXPECT_TRUE(metric_is("avseal_enrolment_findings_total{reason=\"device-not-in-manifest\"} 1"));
  const auto other = test::att::Authority::root("another vendor");
  EXPECT_EQ(reason_of(enrol(TestDevice(other, "SN-3"), fresh_code())), "ek-certificate-untrusted");
  const auto all = node.leaves();
  const auto issued = std::find_if(
      all.begin(), all.end(), [](const auto& one) { return one.at("event").as_string() == "issue.ue-certificate"; });
  ASSERT_NE(issued, all.end());
  EXPECT_NE(boost::json::serialize(*issued).find("device-not-in-manifest"), std::string::npos);
}

TEST_F(AttestedEnrolment, AnotherDeviceForAnIdentityWaitsForAnOperator) {
  enrolled();
  const TestDevice second(vendor, "SN-2");
  list(second);
  const auto with = fresh_code();
  EXPECT_EQ(reason_of(enrol(second, with)), "device-approval-pending");
  EXPECT_EQ(known(second).state, store::DeviceState::pending);
  EXPECT_EQ(reason_of(enrol(second, with)), "device-approval-pending");
  EXPECT_EQ(get("devices?state=pending").at("devices").at(0).at("id").as_string(), second.id());
  EXPECT_EQ(act("devices/" + second.id() + "/approve", {{"reason", "his second phone"}}).status, 204U);
  const auto response = enrol(second, with);
  EXPECT_EQ(response.status, 201U) << response.body;
}

TEST_F(AttestedEnrolment, ARevokedDeviceGetsNothingMore) {
  const auto device = enrolled();
  EXPECT_EQ(act("devices/" + device.id() + "/revoke", {{"reason", "stolen"}}).status, 200U);
  EXPECT_EQ(reason_of(renew(device)), "device-revoked");
  EXPECT_EQ(reason_of(enrol(device, fresh_code())), "device-revoked");
  EXPECT_EQ(reason_of(act("devices/" + std::string(64, '0') + "/revoke", {{"reason", "x"}})), "device-unknown");
  EXPECT_EQ(reason_of(act("devices/" + device.id() + "/revoke", {{"reason", "of +49 89"}})), "reason-invalid");
}

TEST_F(AttestedEnrolment, ARevokedBatchIsRefusedAlsoBetweenTheLegs) {
  const auto device = enrolled();
  const auto challenged = boost::json::parse(challenge(device.renewal(alice)).body);
  const auto revoked = act("device-revocations", {{"batch", "b1"}, {"scope", "ExampleMaker"}, {"reason", "leak"}});
  EXPECT_EQ(revoked.status, 201U) << revoked.body;
  EXPECT_EQ(boost::json::parse(revoked.body).at("certificates").as_int64(), 1);
  EXPECT_EQ(reason_of(answer(challenged, device.second_leg(alice, challenged))), "device-batch-revoked");
  EXPECT_EQ(reason_of(renew(device)), "device-batch-revoked");
  const TestDevice next(vendor, "SN-2");
  list(next);
  EXPECT_EQ(reason_of(enrol(next, fresh_code("sip:bob@a.example"), "sip:bob@a.example")), "device-batch-revoked");
  EXPECT_EQ(reason_of(act("device-revocations", {{"batch", "b1"}, {"model", "m"}, {"reason", "x"}})),
            "revocation-invalid");
}

TEST_F(AttestedEnrolment, ARevokedFirmwareIsSeenInTheAttestation) {
  const TestDevice device(vendor, "SN-1");
  list(device);
  EXPECT_EQ(act("device-revocations", {{"firmware", "1.2.3.4"}, {"scope", "id:53544D20"}, {"reason", "CVE"}}).status,
            201U);
  const auto with = fresh_code();
  const auto response = enrol(device, with);
  EXPECT_EQ(reason_of(response), "device-firmware-refused");
  EXPECT_NE(response.body.find("the enrolment code can be used again"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(config.attestation->evidence_directory));
}

TEST_F(AttestedEnrolment, ARolledBackTpmIsRefusedAndACopyIsFoundOut) {
  auto device = enrolled();
  device.life = {1000, 5, 0, TPM2_YES};
  ASSERT_EQ(renew(device).status, 201U);
  auto copy = device.life;
  copy.resetCount = 4;
  std::swap(device.life, copy);
  EXPECT_EQ(reason_of(renew(device)), "device-rolled-back");
  EXPECT_EQ(known(device).state, store::DeviceState::active);
  std::swap(device.life, copy);
  device.life.resetCount = 6;
  EXPECT_EQ(reason_of(renew(device)), "device-cloned");
  EXPECT_EQ(known(device).state, store::DeviceState::pending);
  EXPECT_EQ(reason_of(renew(device)), "device-cloned");
  EXPECT_TRUE(metric_is("avseal_device_alarms_total{kind=\"device-cloned\"} 1"));
  EXPECT_TRUE(metric_is("avseal_device_alarms_total{kind=\"device-rolled-back\"} 1"));
  EXPECT_EQ(act("devices/" + device.id() + "/approve", {{"reason", "copy destroyed"}}).status, 204U);
  EXPECT_EQ(renew(device).status, 201U);
}

TEST_F(AttestedEnrolment, ACodeIsGivenBackWhenNothingWasReleased) {
  const TestDevice device(vendor, "SN-1");
  list(device);
  const auto with = fresh_code();
  const auto challenged = boost::json::parse(challenge(device.first_leg(alice, with)).body);
  node.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "no worker");
  const auto refused = answer(challenged, device.second_leg(alice, challenged));
  EXPECT_EQ(refused.status, 503U);
  EXPECT_NE(refused.body.find("the enrolment code can be used again"), std::string::npos);
  node.keyring->failure.reset();
  EXPECT_EQ(enrol(device, with).status, 201U);
}

TEST_F(AttestedEnrolment, AttemptsAreLimitedPerAddressBeforeAnythingElse) {
  config.burst = 2;
  node.forget_routes();
  start();
  EXPECT_EQ(challenge({}).status, 400U);
  EXPECT_EQ(challenge({}).status, 400U);
  EXPECT_EQ(reason_of(challenge({})), "enrolment-rate-limited");
}

TEST_F(AttestedEnrolment, BodiesAreStrict) {
  const TestDevice device(vendor, "SN-1");
  auto body = device.first_leg(alice, "x");
  body["ak"] = "not base64url!";
  EXPECT_EQ(reason_of(challenge(body)), "base64-invalid");
  body = device.first_leg(alice, "x");
  body["device"] = device.id();
  EXPECT_EQ(reason_of(challenge(body)), "member-unknown");
  body = device.renewal(alice);
  body["device"] = "abc";
  EXPECT_EQ(reason_of(challenge(body)), "device-id-invalid");
  body = device.first_leg(alice, "x");
  body["serial"] = "\n";
  EXPECT_EQ(reason_of(challenge(body)), "serial-invalid");
  EXPECT_EQ(
      reason_of(answer({{"id", "x"}},
                       {{"csr", "AA"},
                        {"quote", {{"attest", "AA"}, {"signature", "AA"}, {"pcrs", {{"24", std::string(64, '0')}}}}}})),
      "quote-malformed");
}

TEST_F(AttestedEnrolment, ManifestsAreSignedByTheirMakerAndRise) {
  const TestDevice device(vendor, "SN-1");
  const auto text = manifest(5, {&device});
  EXPECT_EQ(reason_of(import(manifest_request(documents.get(), text))), "document-signature");
  EXPECT_EQ(reason_of(import(manifest_request(maker.get(), manifest(5, {&device}, "b1", "Another")))),
            "manifest-maker-unknown");
  EXPECT_EQ(reason_of(import(manifest_request(maker.get(), "x"))), "manifest-malformed");
  EXPECT_EQ(import(manifest_request(maker.get(), text)).status, 201U);
  EXPECT_EQ(reason_of(import(manifest_request(maker.get(), manifest(4, {&device})))), "document-rolled-back");
  EXPECT_EQ(get("manifests").at("manifests").at(0).at("version").as_int64(), 5);
}

TEST_F(AttestedEnrolment, OnlyOperatorsLookAtDevices) {
  for (const char* path : {"devices", "device-revocations", "manifests", "evidence/00"}) {
    auto request = node.request(http::Method::get, std::string("/enrollment/v1/") + path, nullptr);
    EXPECT_EQ(node.call(request).status, 401U) << path;
    auto other = node.request(http::Method::get, std::string("/enrollment/v1/") + path, &ims_as);
    EXPECT_EQ(node.call(other).status, 403U) << path;
  }
  const auto device = enrolled();
  const auto shown = get("devices/" + device.id());
  EXPECT_EQ(shown.at("impus").at(0).as_string(), alice);
  EXPECT_EQ(shown.at("certificates").as_array().size(), 1U);
  EXPECT_EQ(shown.at("state").as_string(), "active");
}

TEST_F(AttestedEnrolment, TrustedDocumentsNeverGoBack) {
  auto& versions = node.store->document_versions();
  const auto rules = shared->rules->current();
  auto accept = accept_documents(versions, rules);
  EXPECT_TRUE(test::run(node.context, std::move(accept)));
  auto newer = std::make_shared<Rules>(*rules);
  newer->documents[0].version = 9;
  auto rise = accept_documents(versions, newer);
  EXPECT_TRUE(test::run(node.context, std::move(rise)));
  auto back = accept_documents(versions, rules);
  EXPECT_EQ(test::run(node.context, std::move(back)).error().reason, "document-rolled-back");
  node.dir.write("ek-anchors.json", "{}");
  EXPECT_EQ(shared->rules->reread().error().reason, "document-signature");
  EXPECT_EQ(shared->rules->current(), rules);
}

// Not a promise; printed so that a change shows.
TEST_F(AttestedEnrolment, ManyDevicesEnrolOneAfterTheOther) {
  constexpr int count = 40;
  std::vector<std::unique_ptr<TestDevice>> devices;
  std::vector<const TestDevice*> listed;
  for (int i = 0; i < count; ++i) {
    devices.push_back(std::make_unique<TestDevice>(vendor, "SN-" + std::to_string(i)));
    listed.push_back(devices.back().get());
  }
  ASSERT_EQ(import(manifest_request(maker.get(), manifest(++manifest_version, listed))).status, 201U);
  std::set<std::string> serials;
  for (int i = 0; i < count; ++i) {
    const auto impu = "sip:ue" + std::to_string(i) + "@a.example";
    serials.insert(leaf(enrol(*devices[static_cast<std::size_t>(i)], fresh_code(impu), impu)).serial_hex());
  }
  EXPECT_EQ(serials.size(), static_cast<std::size_t>(count));
}

}  // namespace
}  // namespace avseal::enrollment

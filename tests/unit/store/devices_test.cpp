#include "support.hpp"

namespace avseal::store::test {
namespace {

constexpr UnixSeconds day = 86'400;

class DevicesTest : public Fixture {
 protected:
  void SetUp() override { store = open(); }

  static Device device(std::string id, std::string batch = "b1") {
    Device out;
    out.id = std::move(id);
    out.serial_sha256 = "5e";
    out.maker = "acme";
    out.model = "phone";
    out.batch = std::move(batch);
    out.tpm = "id:53544D20 ST33";
    out.firmware = "0001000200030004";
    out.ak_name = "000b";
    out.ak_since = 10;
    out.life = {5, 1, 1000};
    out.first_seen = 10;
    out.last_seen = 10;
    return out;
  }
  [[nodiscard]] UeCertificate certificate(const std::string& x5t, const std::string& device_id) const {
    return {x5t, alice, "0a" + x5t, now->load() + 30 * day, device_id};
  }
  Result<void> enrol(Device what, const std::string& x5t) {
    const auto id = what.id;
    return run(store->devices().enrol({std::move(what), certificate(x5t, id), now->load() + 600}));
  }
  Device found(const std::string& id) { return run(store->devices().find(id)).value().value(); }
  UeCertificate found_certificate(const std::string& x5t) {
    return run(store->ue_certificates().find(x5t)).value().value();
  }
  std::vector<std::string> on_crl() {
    std::vector<std::string> out;
    for (const auto& one : run(store->ue_certificates().revoked(now->load(), 100)).value()) {
      out.push_back(one.certificate_x5t);
    }
    return out;
  }

  const tokens::Impu alice = impu("sip:alice@a.example");
  std::shared_ptr<Store> store;
};

TEST_F(DevicesTest, KeepEveryMemberThroughARestart) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  store->close();
  store = open();
  const auto got = found("d1");
  EXPECT_EQ(got.serial_sha256 + got.maker + got.model + got.batch + got.tpm + got.firmware + got.ak_name,
            "5eacmephoneb1id:53544D20 ST330001000200030004000b");
  EXPECT_EQ(got.ak_since, 10);
  EXPECT_EQ(got.state, DeviceState::active);
  EXPECT_EQ(got.life.reset_count, 5);
  EXPECT_EQ(got.life.restart_count, 1);
  EXPECT_EQ(got.life.clock, 1000);
  EXPECT_EQ(got.revision, 1);
  EXPECT_EQ(run(store->devices().identities("d1")).value(), std::vector{alice});
  EXPECT_EQ(found_certificate("x1").device, "d1");
  EXPECT_FALSE(*run(store->devices().find("d2")));
}

TEST_F(DevicesTest, OfTwoThatReadTheSameRowOneWrites) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  EXPECT_EQ(enrol(device("d1"), "x2").error().reason, "device-changed");
  EXPECT_FALSE(*run(store->ue_certificates().find("x2"))) << "and nothing of the other is there";
  ASSERT_TRUE(enrol(found("d1"), "x2"));
  auto stale = device("d1");
  stale.revision = 1;
  EXPECT_EQ(run(store->devices().put(stale, {})).error().reason, "device-changed");
}

TEST_F(DevicesTest, ANewerCertificateEndsTheEarlierOneAfterAWhile) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  ASSERT_TRUE(enrol(found("d1"), "x2"));
  const auto first = found_certificate("x1");
  EXPECT_EQ(first.cause, RevocationCause::superseded);
  EXPECT_FALSE(first.revoked(*now + 599));
  EXPECT_TRUE(first.revoked(*now + 600));
  EXPECT_FALSE(found_certificate("x2").revoked(*now + day));
  *now += day;
  EXPECT_TRUE(on_crl().empty()) << "a superseded one is no longer used, not distrusted";
}

TEST_F(DevicesTest, RevokingOneEndsAllItsCertificatesAndApprovalBringsNoneBack) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  ASSERT_TRUE(enrol(found("d1"), "x2"));
  ASSERT_TRUE(enrol(device("d2"), "y1"));
  EXPECT_EQ(run(store->devices().revoke("d1", "stolen", *now)).value(), 2);
  EXPECT_EQ(found("d1").state, DeviceState::revoked);
  EXPECT_EQ(found("d1").why, "stolen");
  EXPECT_EQ(on_crl(), (std::vector<std::string>{"x1", "x2"}));
  EXPECT_EQ(run(store->ue_certificates().standing("x2")).value()->device, DeviceState::revoked);
  EXPECT_TRUE(*run(store->devices().approve("d1")));
  EXPECT_EQ(found("d1").state, DeviceState::active);
  EXPECT_EQ(found("d1").life.reset_count, -1);
  EXPECT_EQ(found_certificate("x2").cause, RevocationCause::device);
  EXPECT_TRUE(found_certificate("x2").revoked(*now));
  EXPECT_FALSE(*run(store->devices().revoke("d9", "", *now)));
  EXPECT_FALSE(*run(store->devices().approve("d9")));
}

TEST_F(DevicesTest, ARevokedBatchEndsItsCertificatesAndRefusesLaterDevices) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  ASSERT_TRUE(enrol(device("d2", "b2"), "x2"));
  const DeviceRevocation batch{RevocationCause::batch, "b1", "acme", "leaked keys", "operator-1", *now};
  EXPECT_EQ(run(store->devices().revoke_all(batch)).value(), 1);
  EXPECT_EQ(on_crl(), std::vector<std::string>{"x1"});
  EXPECT_EQ(found_certificate("x1").cause, RevocationCause::batch);
  EXPECT_EQ(enrol(device("d3"), "x3").error().reason, "device-batch-revoked");
  EXPECT_EQ(run(store->devices().refusal(device("d3"))).error().category, Category::forbidden);
  EXPECT_TRUE(run(store->devices().refusal(device("d3", "b2"))));
  auto elsewhere = device("d3");
  elsewhere.maker = "other";
  EXPECT_TRUE(run(store->devices().refusal(elsewhere))) << "the batch of another maker";
  const auto standing = run(store->devices().revocations()).value();
  ASSERT_EQ(standing.size(), 1U);
  EXPECT_EQ(standing[0].reason + standing[0].actor, "leaked keysoperator-1");
}

TEST_F(DevicesTest, ModelsAndFirmwaresAreRevokedForTheirOwnReasons) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  EXPECT_EQ(run(store->devices().revoke_all({RevocationCause::firmware, "0001000200030004", "id:494E5443", "", "", 1}))
                .value(),
            0)
      << "the firmware of another vendor";
  EXPECT_TRUE(run(store->devices().refusal(device("d2"))));
  EXPECT_EQ(
      run(store->devices().revoke_all({RevocationCause::firmware, "0001000200030004", "id:53544D20", "", "", *now}))
          .value(),
      1);
  EXPECT_EQ(run(store->devices().refusal(device("d2"))).error().reason, "device-firmware-refused");
  EXPECT_EQ(run(store->devices().revoke_all({RevocationCause::model, "phone", "", "", "", *now})).value(), 0);
  auto other_firmware = device("d2");
  other_firmware.firmware = "0001000200030005";
  EXPECT_EQ(run(store->devices().refusal(other_firmware)).error().reason, "device-model-refused");
}

TEST_F(DevicesTest, AreListedInPagesByStateBatchAndModel) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(enrol(device("d" + std::to_string(i), i % 2 == 0 ? "even" : "odd"), "x" + std::to_string(i)));
  }
  ASSERT_TRUE(run(store->devices().revoke("d3", "", *now)));
  const auto ids = [&](DeviceQuery query) {
    std::string out;
    for (const auto& one : run(store->devices().list(std::move(query))).value()) out += one.id;
    return out;
  };
  EXPECT_EQ(ids({.state = {}, .batch = {}, .model = {}, .after = {}, .limit = 3}), "d0d1d2");
  EXPECT_EQ(ids({.state = {}, .batch = {}, .model = {}, .after = "d2", .limit = 3}), "d3d4");
  EXPECT_EQ(ids({.state = {}, .batch = "even", .model = "phone", .after = "d0"}), "d2d4");
  EXPECT_EQ(ids({.state = DeviceState::revoked, .batch = {}, .model = {}, .after = {}}), "d3");
  EXPECT_EQ(ids({.state = {}, .batch = {}, .model = "tablet", .after = {}}), "");
}

TEST_F(DevicesTest, AnIdentityKnowsItsActiveDevices) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  EXPECT_FALSE(*run(store->devices().another_active(alice, "d1")));
  EXPECT_TRUE(*run(store->devices().another_active(alice, "d2")));
  EXPECT_FALSE(*run(store->devices().another_active(impu("sip:bob@a.example"), "d2")));
  ASSERT_TRUE(run(store->devices().revoke("d1", "", *now)));
  EXPECT_FALSE(*run(store->devices().another_active(alice, "d2")));
}

TEST_F(DevicesTest, CertificatesAreAddedOnceAndRevoked) {
  auto& certificates = store->ue_certificates();
  ASSERT_TRUE(run(certificates.add(certificate("x1", ""))));
  EXPECT_EQ(run(certificates.add(certificate("x1", ""))).error().reason, "ue-certificate-exists");
  EXPECT_FALSE(found_certificate("x1").revoked(*now));
  EXPECT_TRUE(*run(certificates.revoke("x1", *now)));
  EXPECT_TRUE(found_certificate("x1").revoked(*now));
  EXPECT_TRUE(*run(certificates.revoke("x1", *now + 5)));
  EXPECT_EQ(found_certificate("x1").revoked_at, *now) << "once is enough";
  EXPECT_EQ(on_crl(), std::vector<std::string>{"x1"});
  EXPECT_FALSE(*run(certificates.revoke("x2", *now)));
  *now += 31 * day;
  EXPECT_TRUE(on_crl().empty()) << "an expired certificate needs no CRL";
}

TEST_F(DevicesTest, CertificatesOfSchemaFourKeepTheirStanding) {
  ASSERT_TRUE(run(store->ue_certificates().add(certificate("good", ""))));
  auto revoked = certificate("bad", "");
  revoked.revoked_at = 1;  // as schema 4 had it
  ASSERT_TRUE(run(store->ue_certificates().add(revoked)));
  ASSERT_TRUE(run(store->enrolment_codes().add({"hash-1", alice, *now + 1000})));
  store->close();
  Intruder(file).run(to_schema_four);
  store = open();
  EXPECT_FALSE(found_certificate("good").revoked(*now));
  EXPECT_TRUE(found_certificate("bad").revoked(*now));
  EXPECT_EQ(found_certificate("bad").cause, RevocationCause::certificate);
  EXPECT_EQ(on_crl(), std::vector<std::string>{"bad"});
  EXPECT_FALSE(run(store->enrolment_codes().spend("hash-1", *now))->simple);
}

TEST_F(DevicesTest, ManifestsRiseAndKeepToTheirMaker) {
  auto& manifests = store->manifests();
  const ManifestDevice one{"e1", "5e", "acme", "phone", "b1"};
  ASSERT_TRUE(run(manifests.import({"acme", 2, "digest", 1, *now, "operator-1"}, {one})));
  EXPECT_TRUE(run(manifests.import({"acme", 2, "digest", 1, *now, "operator-1"}, {one}))) << "handed in again";
  EXPECT_EQ(run(manifests.import({"acme", 2, "other", 1, *now, "operator-1"}, {one})).error().reason,
            "document-rolled-back");
  EXPECT_EQ(run(manifests.import({"other", 1, "digest", 1, *now, "operator-1"}, {{"e1", "5e", "other", "p", "b"}}))
                .error()
                .reason,
            "manifest-other-maker");
  ASSERT_TRUE(
      run(manifests.import({"acme", 3, "digest-3", 1, *now, "operator-2"}, {{"e2", "5f", "acme", "p2", "b2"}})));
  const auto kept = run(manifests.find("e1")).value().value();
  EXPECT_EQ(kept.serial_sha256 + kept.maker + kept.model + kept.batch, "5eacmephoneb1");
  EXPECT_TRUE(*run(manifests.find("e2")));
  EXPECT_FALSE(*run(manifests.find("e3")));
  const auto all = run(manifests.all()).value();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].version, 3);
  EXPECT_EQ(all[0].actor, "operator-2");
}

TEST_F(DevicesTest, DocumentVersionsOnlyRise) {
  auto& versions = store->document_versions();
  ASSERT_TRUE(run(versions.accept("ek-anchors", 5, "a")));
  EXPECT_TRUE(run(versions.accept("ek-anchors", 5, "a")));
  EXPECT_EQ(run(versions.accept("ek-anchors", 5, "b")).error().reason, "document-rolled-back");
  EXPECT_EQ(run(versions.accept("ek-anchors", 4, "a")).error().reason, "document-rolled-back");
  EXPECT_TRUE(run(versions.accept("pcr-sets", 1, "a")));
  EXPECT_EQ(run(versions.next("crl", 100)).value(), 100);
  EXPECT_EQ(run(versions.next("crl", 50)).value(), 101);
}

struct Edit {
  const char* table;
  const char* change;
};
struct EditedDevice : DevicesTest, ::testing::WithParamInterface<Edit> {};

TEST_P(EditedDevice, IsRefusedAndReported) {
  ASSERT_TRUE(enrol(device("d1"), "x1"));
  ASSERT_TRUE(run(store->devices().revoke_all({RevocationCause::batch, "b9", "acme", "why", "who", 1})));
  ASSERT_TRUE(run(store->manifests().import({"acme", 2, "digest", 1, 1, "who"}, {{"e1", "5e", "acme", "m", "b"}})));
  ASSERT_TRUE(run(store->document_versions().accept("kind", 5, "a")));
  const std::string table = GetParam().table;
  ASSERT_EQ(Intruder(file).run("UPDATE " + table + " SET " + GetParam().change), 1);
  if (table == "device") {
    EXPECT_EQ(run(store->ue_certificates().standing("x1")).error().reason, "store-row-forged");
  } else if (table == "ue_certificate") {
    EXPECT_EQ(run(store->ue_certificates().standing("x1")).error().reason, "store-row-forged");
  } else if (table == "device_identity") {
    EXPECT_TRUE(run(store->devices().identities("d1"))->empty());
  } else if (table == "device_revocation") {
    EXPECT_EQ(run(store->devices().refusal(device("d2"))).error().reason, "store-row-forged");
  } else if (table == "manifest") {
    EXPECT_EQ(run(store->manifests().all()).error().reason, "store-row-forged");
  } else if (table == "manifest_device") {
    EXPECT_FALSE(*run(store->manifests().find("e1")));
  } else {
    EXPECT_EQ(run(store->document_versions().accept("kind", 6, "a")).error().reason, "store-row-forged");
  }
  EXPECT_EQ(forged(table), "1");
}

INSTANTIATE_TEST_SUITE_P(
    EachColumn, EditedDevice,
    ::testing::Values(
        Edit{"device", "serial_sha256 = ''"}, Edit{"device", "maker = ''"}, Edit{"device", "model = ''"},
        Edit{"device", "batch = 'b2'"}, Edit{"device", "tpm = ''"}, Edit{"device", "firmware = ''"},
        Edit{"device", "ak_name = '00'"}, Edit{"device", "ak_since = 0"}, Edit{"device", "state = 'revoked'"},
        Edit{"device", "state = 'unheard-of'"}, Edit{"device", "why = 'x'"}, Edit{"device", "reset_count = 0"},
        Edit{"device", "restart_count = 0"}, Edit{"device", "clock = 0"}, Edit{"device", "first_seen = 0"},
        Edit{"device", "last_seen = 0"}, Edit{"device", "revision = 9"}, Edit{"device", "seal = x''"},
        Edit{"ue_certificate", "device = ''"}, Edit{"ue_certificate", "revoked_at = 1"},
        Edit{"ue_certificate", "cause = 'superseded'"}, Edit{"device_identity", "impu = 'sip:mallory@a.example'"},
        Edit{"device_revocation", "kind = 'model'"}, Edit{"device_revocation", "value = 'b8'"},
        Edit{"device_revocation", "scope = 'other'"}, Edit{"device_revocation", "reason = 'other'"},
        Edit{"device_revocation", "actor = 'other'"}, Edit{"device_revocation", "since = 2"},
        Edit{"manifest", "maker = 'x'"}, Edit{"manifest", "version = 1"}, Edit{"manifest", "digest = 'x'"},
        Edit{"manifest", "devices = 2"}, Edit{"manifest", "imported_at = 2"}, Edit{"manifest", "actor = 'x'"},
        Edit{"manifest_device", "serial_sha256 = 'x'"}, Edit{"manifest_device", "maker = 'x'"},
        Edit{"manifest_device", "model = 'x'"}, Edit{"manifest_device", "batch = 'x'"},
        Edit{"document_version", "version = 1"}, Edit{"document_version", "digest = 'b'"}));

}  // namespace
}  // namespace avseal::store::test

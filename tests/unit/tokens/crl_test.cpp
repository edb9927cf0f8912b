#include <gtest/gtest.h>

#include "crl_maker.hpp"
#include "support.hpp"
#include "tokens/base64.hpp"
#include "tokens/der.hpp"

namespace avseal::tokens {
namespace {

using testing::Authority;
using testing::CrlFields;
using testing::day;
using testing::now;

class Crl : public ::testing::Test {
 protected:
  Authority issuer = Authority::root("UE CA");
  CrlFields fields{now, now + 7 * day, {0x12}, {Bytes(16, 0x44), Bytes(16, 0x55)}};

  Bytes tbs(const std::function<void(X509_CRL*)>& change = {}) const {
    return testing::make_crl_tbs(issuer.certificate, fields, change);
  }
  std::string verdict(ByteView bytes) const {
    const auto checked = check_crl_tbs(bytes, issuer.certificate, now);
    if (checked) return "ok";
    EXPECT_EQ(checked.error().reason, "tbs-refused");
    return checked.error().detail;
  }
  // `from` and `to` in hexadecimal.
  static Bytes replaced(const Bytes& bytes, std::string_view from, std::string_view to) {
    return hex_decode(testing::replaced(hex_encode(bytes), from, to)).value();
  }
};

constexpr std::string_view found = "expected a CRL of this issuer, found ";
std::string refused_for(std::string_view what) {
  return std::string(found) + std::string(what);
}

TEST_F(Crl, of_the_issuer_is_accepted_with_its_number) {
  const auto number = check_crl_tbs(tbs(), issuer.certificate, now);
  ASSERT_TRUE(number) << number.error().detail;
  CrlNumber expected{};
  expected.back() = 0x12;
  EXPECT_EQ(*number, expected);
  fields.serials.clear();
  EXPECT_EQ(verdict(tbs()), "ok");
  issuer = Authority::root("large UE CA", Algorithm::es384);
  EXPECT_EQ(verdict(tbs()), "ok");
}

TEST_F(Crl, numbers_are_compared_as_numbers) {
  CrlNumber last{};
  for (const Bytes& number : {Bytes{1}, Bytes{0x7f}, Bytes{0x80}, Bytes{0xff}, Bytes{1, 0}, Bytes{0x80, 0, 1}, [] {
                                Bytes b(20, 0xff);
                                b[0] = 0x7f;
                                return b;
                              }()}) {
    fields.number = number;
    const auto read = check_crl_tbs(tbs(), issuer.certificate, now);
    ASSERT_TRUE(read) << hex_encode(number) << read.error().detail;
    EXPECT_GT(*read, last);
    last = *read;
  }
}

TEST_F(Crl, reasons_of_entries_are_accepted) {
  for (const long reason : {0L, 1L, 6L, 9L, 10L}) {
    EXPECT_EQ(verdict(tbs([reason](X509_CRL* crl) {
                testing::add_entry(crl, Bytes(8, 0x66), now - day, [reason](X509_REVOKED* entry) {
                  ASN1_ENUMERATED* value = ASN1_ENUMERATED_new();
                  ASN1_ENUMERATED_set(value, reason);
                  X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, value, 0, 0);
                  ASN1_ENUMERATED_free(value);
                });
              })),
              "ok")
        << reason;
  }
}

TEST_F(Crl, other_bytes_are_refused) {
  Bytes bytes = tbs();
  bytes.push_back(0);
  EXPECT_NE(verdict(bytes), "ok");
  bytes.resize(bytes.size() - 2);
  EXPECT_NE(verdict(bytes), "ok");
  EXPECT_EQ(verdict({}), refused_for("no sequence"));
  EXPECT_EQ(verdict(as_bytes("eyJhbGciOiJFUzI1NiJ9.e30")), refused_for("no sequence"));
  EXPECT_EQ(verdict(Bytes(121 * 1024, 0x30)), refused_for("more than 120 KiB"));
}

TEST_F(Crl, every_shortened_form_is_refused) {
  const Bytes good = tbs();
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_NE(verdict(ByteView(good).first(size)), "ok") << size;
}

TEST_F(Crl, another_issuer_is_refused) {
  const auto other = Authority::root("other CA");
  EXPECT_EQ(verdict(testing::make_crl_tbs(other.certificate, fields)),
            refused_for("another version than 2, another signature algorithm or another issuer name"));
  const auto namesake = Authority::root("UE CA");
  EXPECT_EQ(verdict(testing::make_crl_tbs(namesake.certificate, fields)),
            refused_for("another authority key identifier than the issuer's"));
}

TEST_F(Crl, another_version_or_algorithm_is_refused) {
  const std::string head = refused_for("another version than 2, another signature algorithm or another issuer name");
  EXPECT_EQ(verdict(replaced(tbs(), "020101", "020100")), head);
  EXPECT_EQ(verdict(replaced(tbs(), "2a8648ce3d040302", "2a8648ce3d040303")), head);
}

TEST_F(Crl, times_are_bounded) {
  const auto with = [this](UnixSeconds from, UnixSeconds to) {
    fields.this_update = from;
    fields.next_update = to;
    return verdict(tbs());
  };
  const std::string far = refused_for("a thisUpdate more than an hour from now");
  const std::string next = refused_for("a nextUpdate that is not within 31 days");
  EXPECT_EQ(with(now + 3600, now + day), "ok");
  EXPECT_EQ(with(now + 3601, now + day), far);
  EXPECT_EQ(with(now - 3600, now + day), "ok");
  EXPECT_EQ(with(now - 3601, now + day), far);
  EXPECT_EQ(with(now, now), next);
  EXPECT_EQ(with(now, now - 1), next);
  EXPECT_EQ(with(now, now + 31 * day + 1), next);
  EXPECT_EQ(with(now, now + 31 * day), refused_for("times outside the issuer's validity"));  // which is 30 days
}

TEST_F(Crl, times_lie_in_the_issuers_validity) {
  const UnixSeconds start = issuer.certificate.not_before();
  const auto at = [&](UnixSeconds from) {
    fields.this_update = from;
    const auto checked = check_crl_tbs(tbs(), issuer.certificate, start);
    return checked ? std::string("ok") : checked.error().detail;
  };
  fields.next_update = start + day;
  EXPECT_EQ(at(start), "ok");
  EXPECT_EQ(at(start - 1), refused_for("times outside the issuer's validity"));
}

TEST_F(Crl, times_have_the_one_form_of_RFC_5280) {
  const std::string form = refused_for("no thisUpdate or no nextUpdate in the form of RFC 5280");
  EXPECT_EQ(verdict(tbs([](X509_CRL* crl) {
              ASN1_TIME* time = ASN1_GENERALIZEDTIME_set(nullptr, now);
              X509_CRL_set1_lastUpdate(crl, time);
              ASN1_TIME_free(time);
            })),
            form);
  // Without a nextUpdate: its 15 bytes go.
  const std::string hex = hex_encode(tbs());
  const std::size_t next = hex.find("170d", hex.find("170d") + 4);
  const Bytes without =
      hex_decode(hex.substr(6, next - 6) + hex.substr(next + 30)).value();  // 6: the list's own header
  EXPECT_EQ(verdict(der::element(der::sequence, without)), form);
}

// One thing altered in an otherwise good list.
struct Alteration {
  const char* what;
  const char* refusal;
  void (*change)(X509_CRL*);
};
void PrintTo(const Alteration& alteration, std::ostream* out) {
  *out << alteration.what;
}

void drop_extension(X509_CRL* crl, int nid) {
  X509_EXTENSION_free(X509_CRL_delete_ext(crl, X509_CRL_get_ext_by_NID(crl, nid, -1)));
}

void put_extension(X509_CRL* crl, int nid, const Bytes& value, bool critical = false) {
  ASN1_OCTET_STRING* octets = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(octets, value.data(), static_cast<int>(value.size()));
  X509_EXTENSION* extension = X509_EXTENSION_create_by_NID(nullptr, nid, critical ? 1 : 0, octets);
  X509_CRL_add_ext(crl, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(octets);
}

void replace_extension(X509_CRL* crl, int nid, const Bytes& value, bool critical = false) {
  drop_extension(crl, nid);
  put_extension(crl, nid, value, critical);
}

void add_entry_with(X509_CRL* crl, int nid, const Bytes& value, bool critical = false) {
  testing::add_entry(crl, Bytes(8, 0x66), now, [&](X509_REVOKED* entry) {
    ASN1_OCTET_STRING* octets = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(octets, value.data(), static_cast<int>(value.size()));
    X509_EXTENSION* extension = X509_EXTENSION_create_by_NID(nullptr, nid, critical ? 1 : 0, octets);
    X509_REVOKED_add_ext(entry, extension, -1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
  });
}

Bytes long_number() {
  Bytes value(23, 0x11);
  value[0] = 0x02;
  value[1] = 21;
  return value;
}

class AlteredCrl : public Crl, public ::testing::WithParamInterface<Alteration> {};
TEST_P(AlteredCrl, is_refused) {
  EXPECT_EQ(verdict(tbs(GetParam().change)), refused_for(GetParam().refusal));
}

constexpr const char* bad_number = "a CRL number that is no positive number of at most 20 octets";
constexpr const char* bad_serial = "an entry without a positive serial of at most 20 octets";
constexpr const char* bad_entry = "an entry with another extension than a reason";
constexpr const char* bad_count = "another number of extensions than two";
INSTANTIATE_TEST_SUITE_P(
    table, AlteredCrl,
    ::testing::Values(
        Alteration{"no number", bad_count, [](X509_CRL* c) { drop_extension(c, NID_crl_number); }},
        Alteration{"no AKI", bad_count, [](X509_CRL* c) { drop_extension(c, NID_authority_key_identifier); }},
        Alteration{"delta", bad_count,
                   [](X509_CRL* c) {
                     put_extension(c, NID_delta_crl, {2, 1, 1}, true);
                   }},
        Alteration{"delta instead of AKI", "no extension authorityKeyIdentifier",
                   [](X509_CRL* c) {
                     drop_extension(c, NID_authority_key_identifier);
                     put_extension(c, NID_delta_crl, {2, 1, 1}, true);
                   }},
        Alteration{"indirect", bad_count,
                   [](X509_CRL* c) {
                     put_extension(c, NID_issuing_distribution_point, {0x30, 3, 0x84, 1, 0xff}, true);
                   }},
        Alteration{"number twice", bad_count,
                   [](X509_CRL* c) {
                     put_extension(c, NID_crl_number, {2, 1, 9});
                   }},
        Alteration{"number twice, no AKI", "no extension authorityKeyIdentifier",
                   [](X509_CRL* c) {
                     drop_extension(c, NID_authority_key_identifier);
                     put_extension(c, NID_crl_number, {2, 1, 9});
                   }},
        Alteration{"critical number", "a critical crlNumber",
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {2, 1, 1}, true);
                   }},
        Alteration{"number 0", "a CRL number 0 or with needless zeros",
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {2, 1, 0});
                   }},
        Alteration{"number with needless zero", "a CRL number 0 or with needless zeros",
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {2, 2, 0, 1});
                   }},
        Alteration{"negative number", bad_number,
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {2, 1, 0x80});
                   }},
        Alteration{"number of 21 octets", bad_number,
                   [](X509_CRL* c) { replace_extension(c, NID_crl_number, long_number()); }},
        Alteration{"number with bytes behind", bad_number,
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {2, 1, 1, 0});
                   }},
        Alteration{"empty number", bad_number, [](X509_CRL* c) { replace_extension(c, NID_crl_number, {}); }},
        Alteration{"number of no octets", bad_number,
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {2, 0});
                   }},
        Alteration{"number that is an octet string", bad_number,
                   [](X509_CRL* c) {
                     replace_extension(c, NID_crl_number, {4, 1, 1});
                   }},
        Alteration{"empty AKI", "another authority key identifier than the issuer's",
                   [](X509_CRL* c) { replace_extension(c, NID_authority_key_identifier, {}); }},
        Alteration{"serial 0", bad_serial, [](X509_CRL* c) { testing::add_entry(c, Bytes{}, now); }},
        Alteration{"serial of 21 octets", bad_serial, [](X509_CRL* c) { testing::add_entry(c, Bytes(21, 0x11), now); }},
        Alteration{"negative serial", bad_serial,
                   [](X509_CRL* c) {
                     testing::add_entry(c, Bytes{1}, now, [](X509_REVOKED* entry) {
                       const ssl::BigNum number(BN_new());
                       BN_set_word(number.get(), 5);
                       BN_set_negative(number.get(), 1);
                       X509_REVOKED_set_serialNumber(entry,
                                                     ssl::Integer(BN_to_ASN1_INTEGER(number.get(), nullptr)).get());
                     });
                   }},
        Alteration{"serial twice", "a serial twice",
                   [](X509_CRL* c) { testing::add_entry(c, Bytes(16, 0x44), now - 1); }},
        Alteration{"revoked in the future", "an entry without a revocation date up to thisUpdate",
                   [](X509_CRL* c) { testing::add_entry(c, Bytes{1}, now + 1); }},
        Alteration{"removeFromCRL", bad_entry,
                   [](X509_CRL* c) {
                     add_entry_with(c, NID_crl_reason, {0x0a, 1, 8});
                   }},
        Alteration{"reason 7", bad_entry,
                   [](X509_CRL* c) {
                     add_entry_with(c, NID_crl_reason, {0x0a, 1, 7});
                   }},
        Alteration{"reason 11", bad_entry,
                   [](X509_CRL* c) {
                     add_entry_with(c, NID_crl_reason, {0x0a, 1, 11});
                   }},
        Alteration{"empty reason", bad_entry, [](X509_CRL* c) { add_entry_with(c, NID_crl_reason, {}); }},
        Alteration{"reason with a byte behind", bad_entry,
                   [](X509_CRL* c) {
                     add_entry_with(c, NID_crl_reason, {0x0a, 1, 1, 0});
                   }},
        Alteration{"reason that is an integer", bad_entry,
                   [](X509_CRL* c) { add_entry_with(c, NID_crl_reason, {0x02, 1, 1}); }},
        Alteration{"reason of another length", bad_entry,
                   [](X509_CRL* c) { add_entry_with(c, NID_crl_reason, {0x0a, 2, 1}); }},
        Alteration{"invalidity date", bad_entry,
                   [](X509_CRL* c) { add_entry_with(c, NID_invalidity_date, {0x0a, 1, 1}); }},
        Alteration{"critical reason", bad_entry,
                   [](X509_CRL* c) { add_entry_with(c, NID_crl_reason, {0x0a, 1, 1}, true); }},
        Alteration{"certificate issuer", bad_entry, [](X509_CRL* c) {
                     add_entry_with(c, NID_certificate_issuer, {0x30, 3, 0x82, 1, 'x'}, true);
                   }}));

TEST_F(Crl, another_encoding_is_refused) {
  Bytes bytes = tbs();
  ASSERT_EQ(bytes[1], 0x81);  // a length of one byte, which two can say too
  bytes[1] = 0x82;
  bytes.insert(bytes.begin() + 2, 0);
  EXPECT_EQ(verdict(bytes), refused_for("another encoding than DER"));
}

TEST_F(Crl, an_empty_list_of_entries_is_refused) {
  fields.serials.clear();
  const std::string hex = hex_encode(tbs());
  const std::size_t behind_times = hex.find("170d", hex.find("170d") + 4) + 30;
  const Bytes content = hex_decode(hex.substr(4, behind_times - 4) + "3000" + hex.substr(behind_times)).value();
  EXPECT_EQ(verdict(der::element(der::sequence, content)),
            refused_for("an empty list of entries, which is left out instead"));
}

TEST_F(Crl, an_issuer_without_key_identifier_is_refused) {
  const Bytes good = tbs();
  const ssl::X509Ptr bare(X509_dup(issuer.certificate.native()));
  X509_EXTENSION_free(X509_delete_ext(bare.get(), X509_get_ext_by_NID(bare.get(), NID_subject_key_identifier, -1)));
  X509_sign(bare.get(), issuer.key.native(), EVP_sha256());
  issuer.certificate = Certificate::from_der(ssl::to_der<const X509>(i2d_X509, bare.get())).value();
  EXPECT_EQ(verdict(good), refused_for("that the issuer has no subject key identifier"));
}

TEST_F(Crl, nothing_stays_on_the_error_queue) {
  verdict(Bytes{0x30, 0x03, 0x02, 0x01, 0x01});
  verdict(Bytes(5000, 0x30));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

struct Built : Crl {
  avseal::tokens::CrlFields made{
      1'763'930'000,
      now,
      now + 2 * day,
      {{Bytes(16, 0x44), now - 5, CrlReason::key_compromise}, {Bytes(20, 0x45), 1, CrlReason::unspecified}}};
};

TEST_F(Built, lists_are_what_the_worker_agrees_to_sign) {
  for (const auto algorithm : {Algorithm::es256, Algorithm::es384}) {
    issuer = Authority::root("UE CA", algorithm);
    const auto built = build_crl_tbs(made, issuer.certificate);
    ASSERT_TRUE(built) << built.error().detail;
    EXPECT_EQ(verdict(*built), "ok");
    const auto number = check_crl_tbs(*built, issuer.certificate, now).value();
    EXPECT_EQ(hex_encode(number).substr(24), "0000000069236f90");
  }
  made.entries.clear();
  EXPECT_EQ(verdict(build_crl_tbs(made, issuer.certificate).value()), "ok");
}

TEST_F(Built, lists_that_no_worker_signs_are_refused) {
  for (std::uint8_t i = 0; i < 250; ++i) {
    for (std::uint8_t j = 1; j < 20; ++j)
      made.entries.push_back({{0x40, i, j, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 1, {}});
  }
  EXPECT_EQ(build_crl_tbs(made, issuer.certificate).error().reason, "crl-too-large");
}

}  // namespace
}  // namespace avseal::tokens

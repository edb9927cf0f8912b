#include "tokens/passport.hpp"

#include <algorithm>
#include <tuple>

#include "tokens/base64.hpp"
#include "tokens/claims.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_x5u_size = 1024;

Error malformed(std::string detail, std::string param = {}) {
  return errors::make(Category::bad_request, "passport-malformed", std::move(detail), std::move(param));
}

Error malformed(const Error& error) {
  return claims::within("passport-malformed", error);
}

Error invalid(std::string detail, std::string param) {
  return errors::make(Category::invalid, "passport-invalid", std::move(detail), std::move(param));
}

Error in_place(Error error, std::string param) {
  error.param = std::move(param);
  return error;
}

// The known extensions and what each must carry.
struct Extension {
  std::string_view ppt;
  bool attested;  // attest and origid (RFC 8588)
  bool diverted;  // div (RFC 8946)
  bool avatar;    // avatar and mky; nothing unknown
};
constexpr Extension extensions[] = {{"", false, false, false},
                                    {"shaken", true, false, false},
                                    {"div", false, true, false},
                                    {"avatar", true, false, true}};

const Extension* find_extension(std::string_view ppt) {
  const auto* const end = std::end(extensions);
  const auto* const found = std::find_if(std::begin(extensions), end, [&](const auto& e) { return e.ppt == ppt; });
  return found == end ? nullptr : found;
}

Result<void> check_x5u(std::string_view x5u) {
  const bool plain = std::all_of(x5u.begin(), x5u.end(), [](char c) {
    return c > ' ' && c < 0x7F && std::string_view("\"\\<>").find(c) == std::string_view::npos;
  });
  if (!x5u.starts_with("https://") || x5u.size() > max_x5u_size || !plain) {
    return errors::make(Category::invalid, "x5u-invalid",
                        "expected an https URI of at most 1024 characters, found another text", "/x5u");
  }
  return {};
}

Result<std::string> check_origid(std::string_view text) {
  if (!is_uuid(text)) {
    return errors::make(Category::invalid, "origid-invalid", "expected a UUID, found another text", "/origid");
  }
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

// Parsed and built objects alike: what the members mean together.
Result<void> check_meaning(const Passport& passport, const Extension& extension) {
  AVSEAL_CHECK(check_x5u(passport.x5u));
  if (passport.dest.empty()) return invalid("expected at least one destination, found none", "/dest");
  if (!claims::is_time(passport.iat)) return invalid("expected seconds since 1970 before the year 10000", "/iat");
  if (!extension.avatar) return {};
  AVSEAL_CHECK(check_avatar_id(passport.avatar->id));
  AVSEAL_CHECK(check_application_id(passport.avatar->app));
  auto ue = Fingerprint::from_x5t(passport.avatar->ue);
  if (!ue) return in_place(ue.error(), "/avatar/ue");
  if (std::find(passport.mky.begin(), passport.mky.end(), *ue) == passport.mky.end()) {
    return errors::make(Category::invalid, "avatar-ue-not-in-mky",
                        "expected the UE certificate's fingerprint among those in mky, found others only",
                        "/avatar/ue");
  }
  return {};
}

bool fingerprint_less(const Fingerprint& a, const Fingerprint& b) {
  return std::tie(a.algorithm(), a.bytes()) < std::tie(b.algorithm(), b.bytes());
}

// RFC 8225 sections 5.2.1 and 5.2.2: numbers before URIs, everything sorted, nothing twice.
void put_in_order(Passport& passport) {
  std::sort(passport.dest.begin(), passport.dest.end(), [](const Identity& a, const Identity& b) {
    return std::tuple(!a.is_tn, std::string_view(a.value)) < std::tuple(!b.is_tn, std::string_view(b.value));
  });
  passport.dest.erase(std::unique(passport.dest.begin(), passport.dest.end()), passport.dest.end());
  std::sort(passport.mky.begin(), passport.mky.end(), fingerprint_less);
  passport.mky.erase(std::unique(passport.mky.begin(), passport.mky.end()), passport.mky.end());
}

Result<Identity> identity_of(bool is_tn, std::string_view text, std::string param) {
  auto identity = is_tn ? Identity::from_tn(text) : Identity::from_uri(text);
  if (!identity) return in_place(identity.error(), std::move(param));
  return identity;
}

// {"tn": ".."} or {"uri": ".."}; div has "hi" (a History-Info index) beside it.
Result<Identity> read_identity(ObjectReader reader, bool with_history) {
  auto tn = reader.optional_string("tn");
  if (!tn) return malformed(tn.error());
  auto uri = reader.optional_string("uri");
  if (!uri) return malformed(uri.error());
  if (tn->has_value() == uri->has_value()) return malformed("expected either tn or uri", reader.pointer_to("tn"));
  if (with_history) {
    const auto hi = reader.optional_string("hi");
    if (!hi) return malformed(hi.error());
  }
  if (const auto done = reader.finish(); !done) return malformed(done.error());
  const bool is_tn = tn->has_value();
  return identity_of(is_tn, is_tn ? **tn : **uri, reader.pointer_to(is_tn ? "tn" : "uri"));
}

Result<std::vector<Identity>> read_destinations(ObjectReader reader) {
  std::vector<Identity> out;
  for (const char* name : {"tn", "uri"}) {
    const auto texts = reader.optional_strings(name);
    if (!texts) return malformed(texts.error());
    if (!*texts) continue;
    for (const std::string& text : **texts) {
      AVSEAL_TRY(auto identity, identity_of(name == std::string_view("tn"), text, reader.pointer_to(name)));
      out.push_back(std::move(identity));
    }
  }
  if (const auto done = reader.finish(); !done) return malformed(done.error());
  return out;
}

Result<std::vector<Fingerprint>> read_mky(const json::array& array) {
  std::vector<Fingerprint> out;
  for (const json::value& element : array) {
    auto reader = ObjectReader::open(element, "/mky/" + std::to_string(out.size()));
    if (!reader) return malformed(reader.error());
    const auto alg = reader->string("alg");
    if (!alg) return malformed(alg.error());
    const auto dig = reader->string("dig");
    if (!dig) return malformed(dig.error());
    if (const auto done = reader->finish(); !done) return malformed(done.error());
    auto fingerprint = Fingerprint::from_mky(*alg, *dig);
    if (!fingerprint) return in_place(fingerprint.error(), reader->pointer_to("dig"));
    out.push_back(std::move(*fingerprint));
  }
  if (out.empty()) return malformed("expected at least one fingerprint in mky, found none", "/mky");
  return out;
}

Result<AvatarClaim> read_avatar(ObjectReader reader) {
  AvatarClaim avatar;
  for (const auto& [name, member] : {std::pair{"app", &avatar.app}, {"id", &avatar.id}, {"ue", &avatar.ue}}) {
    const auto text = reader.string(name);
    if (!text) return malformed(text.error());
    *member = *text;
  }
  if (const auto done = reader.finish(); !done) return malformed(done.error());
  return avatar;
}

Result<void> read_attestation(ObjectReader& reader, Passport& passport) {
  const auto attest = reader.string("attest");
  if (!attest) return malformed(attest.error());
  auto parsed = parse_attest(*attest);
  if (!parsed) return in_place(parsed.error(), "/attest");
  passport.attest = *parsed;
  const auto origid = reader.string("origid");
  if (!origid) return malformed(origid.error());
  AVSEAL_TRY(passport.origid, check_origid(*origid));
  return {};
}

Result<void> read_claims(const json::value& payload, const Extension& extension, Passport& passport) {
  auto opened = ObjectReader::open(payload);
  if (!opened) return malformed(opened.error());
  ObjectReader& reader = *opened;

  const auto iat = claims::time(reader, "iat");
  if (!iat) return malformed(iat.error());
  passport.iat = *iat;
  auto orig = reader.object("orig");
  if (!orig) return malformed(orig.error());
  AVSEAL_TRY(passport.orig, read_identity(std::move(*orig), false));
  auto dest = reader.object("dest");
  if (!dest) return malformed(dest.error());
  AVSEAL_TRY(passport.dest, read_destinations(std::move(*dest)));
  if (extension.avatar || reader.has("mky")) {
    const auto mky = reader.array("mky");
    if (!mky) return malformed(mky.error());
    AVSEAL_TRY(passport.mky, read_mky(**mky));
  }
  if (extension.attested) {
    AVSEAL_CHECK(read_attestation(reader, passport));
  }
  if (extension.diverted) {
    if (reader.has("opt")) return malformed("expected no member opt in ppt div, found one", "/opt");
    auto div = reader.object("div");
    if (!div) return malformed(div.error());
    AVSEAL_TRY(passport.div, read_identity(std::move(*div), true));
  }
  if (extension.avatar) {
    auto avatar = reader.object("avatar");
    if (!avatar) return malformed(avatar.error());
    AVSEAL_TRY(passport.avatar, read_avatar(std::move(*avatar)));
    // Ours alone, so complete; other extensions may carry claims of others (RFC 8225 section 8).
    if (const auto done = reader.finish(); !done) return malformed(done.error());
  }
  return {};
}

json::object to_json(const Identity& identity) {
  return {{identity.is_tn ? "tn" : "uri", identity.value}};
}

json::object dest_to_json(const std::vector<Identity>& dest) {
  json::object out;
  for (const Identity& identity : dest) {
    auto& list = out[identity.is_tn ? "tn" : "uri"];
    if (!list.is_array()) list.emplace_array();
    list.get_array().emplace_back(identity.value);
  }
  return out;
}

json::object to_claims(const Passport& passport) {
  json::object out{{"dest", dest_to_json(passport.dest)}, {"iat", passport.iat}, {"orig", to_json(passport.orig)}};
  if (passport.attest) {
    out["attest"] = std::string(1, static_cast<char>(*passport.attest));
    out["origid"] = passport.origid;
  }
  if (!passport.mky.empty()) {
    json::array mky;
    for (const Fingerprint& one : passport.mky) {
      mky.push_back(json::object{{"alg", one.algorithm()}, {"dig", one.to_mky_dig()}});
    }
    out["mky"] = std::move(mky);
  }
  if (passport.avatar) {
    out["avatar"] =
        json::object{{"app", passport.avatar->app}, {"id", passport.avatar->id}, {"ue", passport.avatar->ue}};
  }
  if (passport.div) out["div"] = to_json(*passport.div);
  return out;
}

Result<void> check_canonical(const Identity& identity, const char* param) {
  AVSEAL_TRY(const Identity again, identity_of(identity.is_tn, identity.value, param));
  if (again != identity) return invalid("expected a canonical number or URI, found another form of it", param);
  return {};
}

// Has the passport exactly the members of its extension?
Result<void> check_members(const Passport& passport, const Extension& extension) {
  if (passport.attest.has_value() != extension.attested || passport.origid.empty() == extension.attested) {
    return invalid("expected attest and origid with ppt avatar and shaken, and with no other", "/attest");
  }
  if (passport.avatar.has_value() != extension.avatar)
    return invalid("expected avatar with ppt avatar only", "/avatar");
  if (passport.div.has_value() != extension.diverted) return invalid("expected div with ppt div only", "/div");
  if (extension.avatar && passport.mky.empty()) return invalid("expected at least one fingerprint, found none", "/mky");
  return {};
}

}  // namespace

Result<Attest> parse_attest(std::string_view text) {
  if (text == "A") return Attest::a;
  if (text == "B") return Attest::b;
  if (text == "C") return Attest::c;
  return errors::make(Category::invalid, "attest-invalid", "expected attest A, B or C, found another value");
}

Result<Identity> Identity::from_tn(std::string_view tn) {
  AVSEAL_TRY(auto digits, canonical_tn(tn));
  if (digits.find_first_of("*#") != std::string::npos) {
    return errors::make(Category::invalid, "tn-invalid", "expected a number of digits only, found * or #");
  }
  return Identity{true, std::move(digits)};
}

Result<Identity> Identity::from_uri(std::string_view uri) {
  AVSEAL_TRY(const auto impu, Impu::parse(uri));
  return of(impu);
}

Identity Identity::of(const Impu& impu) {
  return impu.is_tel() ? Identity{true, impu.tn()} : Identity{false, impu.canonical()};
}

Impu Identity::impu() const {
  return Impu::parse(is_tn ? "tel:+" + value : value).value();
}

Result<std::string> build_passport(const Passport& passport, Algorithm algorithm) {
  const Extension* extension = find_extension(passport.ppt);
  if (extension == nullptr) return invalid("expected ppt avatar, shaken, div or none, found another", "/ppt");
  AVSEAL_CHECK(check_members(passport, *extension));
  if (extension->attested) {
    AVSEAL_CHECK(parse_attest(std::string_view(reinterpret_cast<const char*>(&*passport.attest), 1)));
    AVSEAL_TRY(const auto origid, check_origid(passport.origid));
    if (origid != passport.origid) return invalid("expected a UUID in lower case, found capitals", "/origid");
  }
  AVSEAL_CHECK(check_canonical(passport.orig, "/orig"));
  for (const Identity& dest : passport.dest) {
    AVSEAL_CHECK(check_canonical(dest, "/dest"));
  }
  if (passport.div) {
    AVSEAL_CHECK(check_canonical(*passport.div, "/div"));
  }
  AVSEAL_CHECK(check_meaning(passport, *extension));
  Passport ordered = passport;
  put_in_order(ordered);
  json::object header{{"alg", to_string(algorithm)}, {"typ", "passport"}, {"x5u", passport.x5u}};
  if (!passport.ppt.empty()) header["ppt"] = passport.ppt;
  return jws_signing_input(header, to_claims(ordered));
}

Result<ParsedPassport> parse_passport(std::string_view compact) {
  auto jws = parse_jws(compact);
  if (!jws) return malformed(jws.error());
  const json::value header_value(jws->header);
  auto header = ObjectReader::open(header_value);
  const auto typ = header->optional_string("typ");
  if (!typ || *typ != "passport") {
    return errors::make(Category::invalid, "passport-type", "expected typ passport, found another or none", "/typ");
  }
  const auto ppt = header->optional_string("ppt");
  if (!ppt) return malformed(ppt.error());
  const Extension* extension = find_extension(ppt->value_or(""));
  if (extension == nullptr || (*ppt && (*ppt)->empty())) {
    return errors::make(Category::invalid, "ppt-unsupported", "expected ppt avatar, shaken, div or none, found another",
                        "/ppt");
  }
  const auto x5u = header->string("x5u");
  if (!x5u) return malformed(x5u.error());
  Passport passport;
  passport.ppt = extension->ppt;
  passport.x5u = *x5u;
  AVSEAL_CHECK(read_claims(jws->payload, *extension, passport));
  AVSEAL_CHECK(check_meaning(passport, *extension));
  put_in_order(passport);
  return ParsedPassport{std::move(passport), std::move(*jws)};
}

}  // namespace avseal::tokens

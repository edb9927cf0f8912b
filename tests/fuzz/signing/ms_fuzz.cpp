// The bodies that IMS ASs and HSSs send: Ms requests of both dialects and subscription documents.
#include <cstdlib>

#include "signing/ms_messages.hpp"
#include "signing/subscription_source.hpp"
#include "tokens/passport.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace avseal;
  const std::string_view body = as_text({data, size});
  if (auto passport = signing::parse_signing_request(body)) {
    passport->x5u = "https://sign.a.example/certs/1.pem";
    // What a request may ask for can be built, and read back as the same.
    const auto input = tokens::build_passport(*passport, tokens::Algorithm::es256);
    if (!input) return 0;
    const auto parsed = tokens::parse_passport(*input + "." + std::string(86, 'A'));
    if (!parsed || parsed->passport.origid != passport->origid || parsed->passport.orig != passport->orig ||
        parsed->passport.div != passport->div) {
      std::abort();
    }
  }
  for (const auto dialect : {http::MsDialect::ts24229, http::MsDialect::atis1000082}) {
    static_cast<void>(signing::parse_verification_request(dialect, body));
  }
  static const auto impu = tokens::Impu::parse("sip:alice@a.example").value();
  if (const auto subscription = signing::parse_subscription(body, impu)) {
    const auto again =
        signing::parse_subscription(boost::json::serialize(signing::format_subscription(*subscription)), impu);
    if (!again || again->avatars.size() != subscription->avatars.size()) std::abort();
  }
  return 0;
}

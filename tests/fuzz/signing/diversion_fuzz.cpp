// Identity headers of a diverted call: whatever they say, the chain that comes out leads from the original's dest to
// the callee, each step from where the one before it led, nobody twice.
#include <algorithm>
#include <cstdlib>

#include "signing/diversion.hpp"
#include "tokens/base64.hpp"

namespace {

using namespace avseal;

// The fuzzer's text says who diverts to whom; headers are made of it, since it cannot guess base64url. A line "!.." is
// taken as a header itself.
std::string header_of(std::string_view claims) {
  const auto b64 = [](std::string_view text) { return tokens::base64url_encode(as_bytes(text)); };
  return b64(R"({"alg":"ES256","ppt":"div","typ":"passport","x5u":"https://b.example/1"})") + "." + b64(claims) + "." +
         std::string(86, 'A') + ";info=<https://b.example/1>;alg=ES256;ppt=div";
}

std::string line_to_header(std::string_view line) {
  if (line.starts_with('!')) return std::string(line.substr(1));
  if (line.starts_with('{')) return header_of(line);
  const auto party = [](char c) { return "sip:" + std::string(1, static_cast<char>('a' + (c & 7))) + "@b.example"; };
  if (line.size() < 3) return {};
  const std::string iat = line[2] == '0' ? "2" : "1";
  return header_of(R"({"dest":{"uri":[")" + party(line[1]) + R"("]},"div":{"uri":")" + party(line[0]) + R"("},"iat":)" +
                   iat + R"(,"orig":{"uri":"sip:alice@a.example"}})");
}

bool contains(const std::vector<tokens::Identity>& all, const tokens::Identity& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = as_text({data, size});
  std::vector<std::string> headers;
  while (!rest.empty() && headers.size() < 7) {
    const auto end = std::min(rest.find('\n'), rest.size());
    headers.push_back(line_to_header(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  tokens::Passport original;
  original.ppt = "avatar";
  original.orig = tokens::Identity::from_uri("sip:alice@a.example").value();
  original.dest = {tokens::Identity::from_uri("sip:a@b.example").value()};
  original.iat = 1;
  original.avatar.emplace();
  const std::vector<tokens::Identity> targets{tokens::Identity::from_uri("sip:d@b.example").value()};
  const auto chain = signing::link_diversions(original, targets, headers);
  if (!chain) return 0;
  if (chain->empty() || chain->size() > 5) std::abort();
  std::vector<tokens::Identity> at = original.dest;
  std::vector<tokens::Identity> parties;
  for (const auto& step : *chain) {
    const auto& passport = step.parsed.passport;
    if (!passport.div || !contains(at, *passport.div) || contains(parties, *passport.div)) std::abort();
    if (passport.orig != original.orig || passport.iat != original.iat) std::abort();
    parties.push_back(*passport.div);
    at = passport.dest;
  }
  if (!contains(at, targets.front())) std::abort();
  return 0;
}

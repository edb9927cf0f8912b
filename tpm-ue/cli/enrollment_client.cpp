#include "tpm-ue/cli/enrollment_client.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "device/state.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"
#include "tpm-ue/cli/https.hpp"

namespace avseal::ue {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr std::string_view operator_file = "operator.json";
constexpr std::string_view anchors_file = "operator-ca.pem";
constexpr int most_rounds = 4;

bool is_one_of(std::string_view reason, std::initializer_list<std::string_view> reasons) {
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

// The challenge is of no use any more; another one may be.
bool challenge_is_over(const Error& error) {
  return is_one_of(error.reason, {"challenge-expired", "challenge-used", "challenge-unknown"});
}

bool no_answer(const Error& error) {
  return error.reason == "https-failed";
}

class Client {
 public:
  Client(const Operator& place, const Patience& patience) : place_(place), patience_(patience) {}

  // Repeats what the operator puts off, as long as the patience lasts; with `insist`, also what got no answer.
  Result<std::string> send(const device::Leg& leg, bool insist) {
    milliseconds pause(500);
    while (true) {
      auto answer = attempt(leg);
      if (answer) return answer;
      const Error& error = answer.error();
      const bool later = error.retry_after.count() > 0 || (insist && no_answer(error));
      if (!later || !rest(std::max(pause, milliseconds(error.retry_after)), error)) return error;
      pause *= 2;
    }
  }

  bool rest(milliseconds pause, const Error& because) {
    pause += pause * tokens::random_bytes(1).front() / 1024;  // so that a fleet does not come back as one
    if (waited_ + pause > patience_.limit) return false;
    waited_ += pause;
    patience_.on_wait(pause, because);
    std::this_thread::sleep_for(pause);
    return true;
  }

 private:
  Result<std::string> attempt(const device::Leg& leg) {
    const std::string url = place_.url + leg.path;
    AVSEAL_TRY(auto answer, post({.url = url, .anchors = place_.anchors, .body = leg.body}));
    if (answer.status != 201) return refusal(url, answer);
    return std::move(answer.body);
  }

  const Operator& place_;
  const Patience& patience_;
  milliseconds waited_{0};
};

using Begin = std::function<Result<std::unique_ptr<device::Enrollment>>()>;

enum class Lost { no, challenge, answer };  // what made a round fail that may be tried again

Result<tokens::Certificate> one_round(Client& client, const Begin& begin, Lost& lost) {
  lost = Lost::no;
  AVSEAL_TRY(const auto enrollment, begin());
  AVSEAL_TRY(const std::string challenge, client.send(enrollment->first(), true));
  AVSEAL_TRY(const device::Leg second, enrollment->answer(challenge));
  const auto issued = client.send(second, false);
  if (issued) return enrollment->finish(*issued);
  if (challenge_is_over(issued.error())) lost = Lost::challenge;
  if (no_answer(issued.error())) lost = Lost::answer;
  return issued.error();
}

Result<tokens::Certificate> rounds(Client& client, const std::function<Begin(Lost)>& next) {
  Lost lost = Lost::no;
  for (int round = 1;; ++round) {
    auto certificate = one_round(client, next(lost), lost);
    if (certificate || lost == Lost::no || round == most_rounds) return certificate;
    if (!client.rest(milliseconds(500), certificate.error())) return certificate;
  }
}

}  // namespace

Result<Operator> read_operator(const std::filesystem::path& state) {
  AVSEAL_TRY(const auto directory, device::StateDirectory::open(state));
  if (!directory.has(operator_file)) {
    return errors::make(Category::not_found, "operator-unknown",
                        "where this device enrolled is not recorded: give --url and --cacert");
  }
  AVSEAL_TRY(const Bytes text, directory.read(operator_file, 4096));
  AVSEAL_TRY(const json::value value, tokens::parse_json(as_text(text), {.size = 4096, .depth = 2}));
  AVSEAL_TRY(auto reader, tokens::ObjectReader::open(value));
  AVSEAL_TRY(const auto version, reader.integer("version"));
  AVSEAL_TRY(const auto url, reader.string("url"));
  AVSEAL_CHECK(reader.finish());
  if (version != 1) {
    return errors::make(Category::invalid, "state-malformed", fmt::format("{} has an unknown version", operator_file));
  }
  return Operator{std::string(url), directory.path() / anchors_file};
}

Result<void> keep_operator(const std::filesystem::path& state, const Operator& place) {
  AVSEAL_TRY(const auto directory, device::StateDirectory::open(state));
  AVSEAL_TRY(const Bytes anchors, device::read_file(place.anchors, 1024 * 1024, false));
  AVSEAL_CHECK(directory.write(anchors_file, anchors));
  const std::string text = tokens::canonical_json(json::object{{"url", place.url}, {"version", 1}}) + "\n";
  return directory.write(operator_file, as_bytes(text));
}

Result<tokens::Certificate> enroll(device::Device& device, const Operator& place,
                                   const device::EnrollmentRequest& request, const Patience& patience) {
  Client client(place, patience);
  const Begin with_code = [&] { return device.enroll(request); };
  auto without = request;
  without.code.clear();
  bool answer_was_lost = false;
  auto result = rounds(client, [&](Lost lost) -> Begin {
    answer_was_lost = answer_was_lost || lost == Lost::answer;
    if (!answer_was_lost) return with_code;
    return [&] { return device.enroll(without); };
  });
  // The lost answer was none: the operator does not know this device, the code is unspent.
  const bool unknown = !result && answer_was_lost && !no_answer(result.error());
  if (!unknown || request.code.empty()) return result;
  return rounds(client, [&](Lost) { return with_code; });
}

Result<tokens::Certificate> renew(device::Device& device, const Operator& place, const Patience& patience) {
  Client client(place, patience);
  auto result = rounds(client, [&](Lost) -> Begin { return [&] { return device.renew(); }; });
  if (result || !is_one_of(result.error().reason, {"device-ak-expired", "device-ak-unknown"})) return result;
  const auto before = device.enrolled();
  if (!before) return result;
  AVSEAL_TRY(const auto impu, tokens::Impu::parse(before->impu));
  return enroll(device, place, {.impu = impu, .server = before->server}, patience);
}

}  // namespace avseal::ue

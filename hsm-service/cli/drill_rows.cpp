#include "cli/drill_rows.hpp"

#include <array>
#include <sstream>

namespace avseal::cli {

namespace {

constexpr std::string_view crash = "crash function=C_Sign times=1\n";
constexpr auto fresh = DrillRow::Kind::fresh;

constexpr std::array rows = {
    DrillRow{"sessions", "every session is invalid", "invalidate-sessions"},
    DrillRow{"session-closed", "CKR_SESSION_CLOSED, three times",
             "return function=C_SignInit code=CKR_SESSION_CLOSED times=3"},
    DrillRow{"logout", "everybody is logged out", "logout"},
    DrillRow{"handles-gone", "object handles mean nothing", "renumber-objects"},
    DrillRow{"handles-swapped", "object handles mean other keys", "swap-objects"},
    DrillRow{"device-error", "CKR_DEVICE_ERROR for a second",
             "return function=C_SignInit,C_Sign code=CKR_DEVICE_ERROR"},
    DrillRow{"removed", "the device is removed for a second", "removed"},
    DrillRow{"not-present", "the token is not present for a second", "removed code=CKR_TOKEN_NOT_PRESENT"},
    DrillRow{"busy", "CKR_FUNCTION_FAILED at every third call, for a second",
             "return function=C_Sign code=CKR_FUNCTION_FAILED probability=0.33 seed=1"},
    DrillRow{"general-error", "CKR_GENERAL_ERROR, three times",
             "return function=C_SignInit code=CKR_GENERAL_ERROR times=3"},
    DrillRow{"reply-lost", "signed, and CKR_DEVICE_ERROR all the same",
             "return function=C_Sign code=CKR_DEVICE_ERROR forwarded=yes times=1"},
    DrillRow{"slow", "three signatures take 600 ms", "delay function=C_Sign ms=600 times=3"},
    DrillRow{"hang", "C_Sign does not return", "hang function=C_Sign times=1", DrillRow::Kind::lasting},
    DrillRow{"crash", "the module crashes", "crash function=C_Sign times=1"},
    DrillRow{"short-signature", "a signature of 63 bytes", "signature form=short times=2"},
    DrillRow{"der-signature", "a signature in DER", "signature form=der times=2"},
    DrillRow{"wrong-signature", "a wrong signature", "signature form=flipped times=2"},
    DrillRow{"other-key", "another key's signature", "signature form=other-key times=2"},
    DrillRow{"idle", "sessions end after 200 ms without use, for a second", "idle-timeout ms=200"},
    DrillRow{"network", "the HSM takes 20 ms for a signature, one at a time, for a second",
             "latency function=C_Sign ms=20 parallel=1"},
    DrillRow{"start-slots", "a fresh worker: slot numbers changed", "slots shift=1000", fresh},
    DrillRow{"start-logged-in", "a fresh worker: CKR_USER_ALREADY_LOGGED_IN",
             "return function=C_Login code=CKR_USER_ALREADY_LOGGED_IN forwarded=yes", fresh},
    DrillRow{"start-login", "a fresh worker: CKR_GENERAL_ERROR at the login, twice",
             "return function=C_Login code=CKR_GENERAL_ERROR times=2", fresh},
    DrillRow{"start-sessions", "a fresh worker: two sessions and no more", "session-limit max=2", fresh},
    DrillRow{"start-read-write", "a fresh worker: read-only sessions refused", "read-only-refused", fresh},
    DrillRow{"start-point", "a fresh worker: raw EC points", "ec-point form=raw", fresh},
    DrillRow{"start-hashing", "a fresh worker: CKM_ECDSA missing, CKM_ECDSA_SHA256 there",
             "no-mechanism mechanism=CKM_ECDSA\nhashing-ecdsa", fresh},
};

}  // namespace

std::span<const DrillRow> drill_rows() {
  return rows;
}

std::vector<std::string> rules_of(const DrillRow& row) {
  std::istringstream lines((row.kind == fresh ? std::string(crash) : std::string()).append(row.rules));
  std::vector<std::string> rules;
  for (std::string rule; std::getline(lines, rule);) rules.push_back(rule);
  return rules;
}

void judge(DrillOutcome& outcome, bool replicas) {
  const auto status = [&outcome](unsigned code) {
    const auto found = outcome.load.statuses.find(code);
    return found == outcome.load.statuses.end() ? 0 : found->second;
  };
  outcome.answered = status(200);
  outcome.failed = outcome.load.sent - outcome.answered;
  if (!outcome.struck) {
    outcome.why_not = "the fault did not happen";
  } else if (!outcome.recovered) {
    outcome.why_not = "the token does not sign again";
  } else if (outcome.answered == 0) {
    outcome.why_not = "nothing was signed";
  } else if (replicas && outcome.failed != 0) {
    outcome.why_not = "requests failed although a replica was there";
  } else if (outcome.failed != status(503)) {
    outcome.why_not = "requests failed otherwise than by a 503";
  }
  outcome.passed = outcome.why_not.empty();
}

}  // namespace avseal::cli

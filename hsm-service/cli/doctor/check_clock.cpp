// The clock: iat and exp are security properties.
#include "cli/doctor/checks.hpp"
#include "clock/chrony.hpp"
#include "clock/kernel.hpp"

namespace avseal::doctor {

void check_clock(const Site& site, Findings& findings) {
  if (!site.config) return;
  const auto& config = site.config->clock;
  const bool trusted = config.source == clock::Source::trusted;
  const auto synchronised =
      config.source == clock::Source::chrony ? clock::ask_chrony(config.chronyc) : clock::ask_kernel();
  if (trusted) {
    findings.warning("clock-trusted", "clock",
                     "source = \"trusted\": signing goes on whatever the state of the machine's clock",
                     "a clock that somebody keeps right, or no signing",
                     "run chrony and set [clock] source = \"chrony\" or \"kernel\" in avseald.toml");
  }
  constexpr const char* expected = "a synchronised clock: others refuse what is 60 s off";
  if (synchronised) {
    findings.ok("clock-synchronised", "clock",
                "synchronised, says " + std::string(to_string(trusted ? clock::Source::kernel : config.source)));
  } else if (trusted) {
    findings.warning("clock-unsynchronised", "clock", synchronised.error().detail, expected,
                     "run chrony or another NTP client");
  } else {
    findings.error("clock-unsynchronised", "clock", synchronised.error().detail,
                   std::string(expected) + "; as it is, nothing is signed",
                   "see that chronyd runs and reaches its servers");
  }
}

}  // namespace avseal::doctor

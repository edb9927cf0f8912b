#include "enrollment/dependencies.hpp"

namespace avseal::enrollment {

Result<std::unique_ptr<Shared>> Shared::create(const Config& config) {
  auto shared = std::make_unique<Shared>(config);
  if (config.attestation) {
    AVSEAL_TRY(shared->rules, RuleBook::create(*config.attestation));
  }
  return shared;
}

}  // namespace avseal::enrollment

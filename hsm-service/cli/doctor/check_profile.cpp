// The vendor profile of a worker's module.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/doctor/checks.hpp"
#include "tokend/profile.hpp"

namespace avseal::doctor {
namespace {

// Vendors keep the name of their module; the directory differs between systems.
bool is_of(const tokend::Profile& profile, const std::filesystem::path& module) {
  return std::any_of(profile.modules.begin(), profile.modules.end(),
                     [&](const auto& path) { return path.filename() == module.filename(); });
}

// The name of the profile that would fit; empty if there is none.
std::string fitting_profile(const tokend::Config& config) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(config.profile_directory, failed)) {
    if (entry.path().extension() != ".toml") continue;
    const auto profile = tokend::load_profile(config.profile_directory, entry.path().stem().string());
    if (profile && is_of(*profile, config.module)) return profile->name;
  }
  return {};
}

}  // namespace

void check_profile(const Worker& worker, Findings& findings) {
  const auto& config = worker.config;
  if (config.profile.empty()) {
    const auto fitting = fitting_profile(config);
    findings.note(
        "profile-none", worker.name, "the module is taken to keep to the standard",
        fitting.empty() ? std::string() : fmt::format("set profile = \"{}\" in {}", fitting, worker.file.string()));
    return;
  }
  const auto profile = tokend::load_profile(config.profile_directory, config.profile);
  if (!profile) return;  // load_config() took it a moment ago
  findings.note("profile", worker.name, fmt::format("{}: {}, {}", profile->name, profile->title, profile->status),
                fmt::format("{}", fmt::join(profile->guidance, " ")));
  if (!profile->modules.empty() && !is_of(*profile, config.module)) {
    findings.warning(
        "profile-module", worker.name,
        fmt::format("the module is {}, which is none of profile {}", config.module.string(), profile->name),
        "the profile of this HSM's module, for its quirks are applied",
        fmt::format("correct `profile` or `module` in {}", worker.file.string()));
  }
}

}  // namespace avseal::doctor

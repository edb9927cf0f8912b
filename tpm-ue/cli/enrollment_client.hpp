// Carries an enrollment or renewal to the operator, with patience where the operator asks for it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>

#include "device/device.hpp"

namespace avseal::ue {

// Where a device enrolled, for its renewals: operator.json and operator-ca.pem of the state directory.
struct Operator {
  std::string url;                // https://host[:port]
  std::filesystem::path anchors;  // PEM
};
Result<Operator> read_operator(const std::filesystem::path& state);
Result<void> keep_operator(const std::filesystem::path& state, const Operator& place);

struct Patience {
  std::chrono::seconds limit{120};  // in all that a command waits
  std::function<void(std::chrono::milliseconds, const Error&)> on_wait = [](std::chrono::milliseconds, const Error&) {};
};

// The two legs, again from the start where a challenge ran out or an answer was lost on the way: a lost answer may have
// spent the code, and then the device is known without it. Reasons of the device, of post() and of the enrollment role.
Result<tokens::Certificate> enroll(device::Device& device, const Operator& place,
                                   const device::EnrollmentRequest& request, const Patience& patience);
// By the attestation key; where the operator does not accept that one any more, by the endorsement key as at
// enrollment.
Result<tokens::Certificate> renew(device::Device& device, const Operator& place, const Patience& patience);

}  // namespace avseal::ue

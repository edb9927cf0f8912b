#pragma once

#include <boost/json.hpp>

#include "enrollment/challenges.hpp"

namespace avseal::enrollment {

// What the archive keeps of one enrolment: facts, and of the evidence as much as the profile says.
boost::json::object evidence_record(const Challenge& challenge, const CertificateAnswer& answer,
                                    const attestation::Verdict& verdict, const attestation::Policy& policy,
                                    const std::string& server, UnixSeconds now);

boost::json::array reasons_of(const std::vector<Error>& findings);

}  // namespace avseal::enrollment

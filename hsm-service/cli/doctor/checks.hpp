// The checks, a file for each group. Each appends what it found.
#pragma once

#include "cli/doctor/site.hpp"
#include "cli/operator_client.hpp"

namespace avseal::doctor {

// Module, token, mechanisms, PIN, sessions; logs in as a worker does, and describes the keys. A module that does not
// answer in time is a finding, and false is given: the process then has a thread that must not be waited for.
bool survey_tokens(Site& site, Findings& findings);

void survey_token(Worker& worker, bool running, Findings& findings);

// Whether the worker's profile is of its module, and what it advises.
void check_profile(const Worker& worker, Findings& findings);

// Each key of a worker whose token was surveyed: attributes, usage, a test signature that goes nowhere.
void check_keys(Worker& worker, Findings& findings);

// That a key is the same on all its tokens, and the one of its certificate.
void check_replicas(Site& site, Findings& findings);

// Certificates of the signing keys: validity, usage, chain.
void check_certificates(const Site& site, Findings& findings);

// What the certificates speak for, against what the clients may ask for.
void check_names(const Site& site, Findings& findings);

// The listener's certificate and key.
void check_tls(const Site& site, Findings& findings);

// Of a running node: its certificates as others fetch them and, with an operator's certificate, its readiness.
void check_running(const Site& site, const cli::OperatorClient& node, Findings& findings);

// What a running node says of itself at /readyz, where every key signs for it.
void check_ready(const cli::OperatorClient& node, Findings& findings);

void check_clock(const Site& site, Findings& findings);

// Who may read and write what is secret or trusted.
void check_files(const Site& site, Findings& findings);

// The machine: separation of processes, resource limits, room for the ledger.
void check_host(const Site& site, Findings& findings);

}  // namespace avseal::doctor

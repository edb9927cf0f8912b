#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "attestation/documents.hpp"
#include "attestation/policy.hpp"
#include "attestation/trust.hpp"
#include "enrollment/config.hpp"
#include "store/interfaces.hpp"

namespace avseal::enrollment {

// Policy profile, trusted documents and makers' signers as they were read at one time.
struct Rules {
  struct Document {
    std::string kind;
    std::int64_t version = 0;
    std::string digest;  // hex SHA-256
  };
  attestation::Policy policy;
  attestation::Trust trust;
  std::map<std::string, attestation::DocumentSigner, std::less<>> makers;
  std::vector<Document> documents;
};

// The rules in force, for all io threads.
class RuleBook {
 public:
  // Errors name the file. Reason "evidence-directory-missing" for a profile that archives without a directory.
  static Result<std::shared_ptr<RuleBook>> create(AttestationConfig config);

  [[nodiscard]] std::shared_ptr<const Rules> current() const;

  // Reads the files again; on an error nothing changes. use() puts what was read in force.
  [[nodiscard]] Result<std::shared_ptr<const Rules>> reread() const;
  void use(std::shared_ptr<const Rules> rules);

 private:
  explicit RuleBook(AttestationConfig config) : config_(std::move(config)) {}

  const AttestationConfig config_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Rules> rules_;
};

// Whether no document is older than one that this store saw. Reason "document-rolled-back".
boost::asio::awaitable<Result<void>> accept_documents(store::DocumentVersions& versions,
                                                      std::shared_ptr<const Rules> rules);

}  // namespace avseal::enrollment

#include "enrollment/rule_book.hpp"

#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::enrollment {
namespace {

Result<std::string> digest_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad()) {
    return errors::make(Category::internal, "document-unreadable", fmt::format("{} cannot be read", file.string()));
  }
  return tokens::hex_encode(tokens::sha256(as_bytes(text)));
}

Result<void> note(std::vector<Rules::Document>& documents, std::string kind, const std::filesystem::path& file,
                  std::int64_t version) {
  AVSEAL_TRY(auto digest, digest_of(file));
  documents.push_back({std::move(kind), version, std::move(digest)});
  return {};
}

}  // namespace

Result<std::shared_ptr<RuleBook>> RuleBook::create(AttestationConfig config) {
  std::shared_ptr<RuleBook> book(new RuleBook(std::move(config)));
  AVSEAL_TRY(auto rules, book->reread());
  book->use(std::move(rules));
  return book;
}

std::shared_ptr<const Rules> RuleBook::current() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

void RuleBook::use(std::shared_ptr<const Rules> rules) {
  const std::lock_guard lock(mutex_);
  rules_ = std::move(rules);
}

Result<std::shared_ptr<const Rules>> RuleBook::reread() const {
  AVSEAL_TRY(auto policy, attestation::Policy::load(config_.profile));
  if (!policy.archive.empty() && config_.evidence_directory.empty()) {
    return errors::make(Category::internal, "evidence-directory-missing",
                        fmt::format("the profile {} archives evidence; expected enrollment.evidence_directory",
                                    config_.profile.string()));
  }
  AVSEAL_TRY(const auto signer, attestation::DocumentSigner::load(config_.signer));
  AVSEAL_TRY(auto trust, attestation::Trust::load(config_.documents, signer));
  AVSEAL_CHECK(trust.check(policy));
  Rules rules{std::move(policy), std::move(trust), {}, {}};
  AVSEAL_CHECK(note(rules.documents, "ek-anchors", config_.documents.ek_anchors, rules.trust.ek.version()));
  if (rules.trust.platform) {
    AVSEAL_CHECK(
        note(rules.documents, "platform-anchors", config_.documents.platform_anchors, rules.trust.platform->version()));
  }
  if (rules.trust.pcr_sets) {
    AVSEAL_CHECK(note(rules.documents, "pcr-sets", config_.documents.pcr_sets, rules.trust.pcr_sets->version));
  }
  for (const auto& maker : config_.makers) {
    AVSEAL_TRY(auto key, attestation::DocumentSigner::load(maker.signer));
    rules.makers.emplace(maker.name, std::move(key));
  }
  return std::make_shared<const Rules>(std::move(rules));
}

boost::asio::awaitable<Result<void>> accept_documents(store::DocumentVersions& versions,
                                                      std::shared_ptr<const Rules> rules) {
  for (const auto& document : rules->documents) {
    auto accepted = co_await versions.accept(document.kind, document.version, document.digest);
    if (!accepted) co_return accepted.error();
  }
  co_return Result<void>{};
}

}  // namespace avseal::enrollment

#include "cli/bench_raw.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "cli/hsm_options.hpp"
#include "pkcs11/keys.hpp"
#include "pkcs11/pin.hpp"
#include "tokens/digest.hpp"

namespace avseal::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::array<unsigned, 3> thread_counts{1, 2, 4};

// A session with the key found in it: what one thread needs.
struct Signer {
  pkcs11::Session session;
  CK_OBJECT_HANDLE key;
};

Result<Signer> open_signer(const pkcs11::Token& token, const pkcs11::Uri& key_uri) {
  AVSEAL_TRY(auto session, pkcs11::Session::open(token));
  AVSEAL_TRY(const auto key, pkcs11::find_private_key(session, key_uri));
  return Signer{std::move(session), key};
}

// Signs a digest, as C_Sign takes it with CKM_ECDSA, until the time is over; gives how often.
Result<std::uint64_t> sign_until(Signer& signer, steady_clock::time_point end, std::size_t digest_size) {
  const auto& api = signer.session.api();
  const auto handle = signer.session.handle();
  Bytes digest = tokens::random_bytes(digest_size);
  std::array<CK_BYTE, 256> signature{};
  std::uint64_t count = 0;
  while (steady_clock::now() < end) {
    CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
    CK_ULONG size = signature.size();
    CK_RV rv = api.C_SignInit(handle, &mechanism, signer.key);
    if (rv == CKR_OK) rv = api.C_Sign(handle, digest.data(), digest.size(), signature.data(), &size);
    if (rv != CKR_OK) {
      return errors::make(Category::unavailable, "hsm-error", fmt::format("C_Sign with CKM_ECDSA gave 0x{:x}", rv));
    }
    ++count;
  }
  return count;
}

// Signatures per second with that many threads together.
Result<double> measure(const pkcs11::Token& token, const pkcs11::Uri& key_uri, unsigned threads, unsigned seconds,
                       std::size_t digest_size) {
  std::vector<Signer> signers;
  for (unsigned i = 0; i < threads; ++i) {
    AVSEAL_TRY(auto signer, open_signer(token, key_uri));
    signers.push_back(std::move(signer));
  }
  const auto start = steady_clock::now();
  const auto end = start + std::chrono::seconds(seconds);
  std::vector<Result<std::uint64_t>> counts(threads, Result<std::uint64_t>(0U));
  std::vector<std::thread> running;
  for (unsigned i = 0; i < threads; ++i) {
    running.emplace_back([&, i] { counts[i] = sign_until(signers[i], end, digest_size); });
  }
  for (auto& thread : running) thread.join();
  const double elapsed = std::chrono::duration<double>(steady_clock::now() - start).count();
  double total = 0;
  for (const auto& count : counts) {
    if (!count) return count.error();
    total += static_cast<double>(*count);
  }
  return total / elapsed;
}

// The token part and the key part of what was given; either may name the key.
struct Names {
  pkcs11::Uri token;
  pkcs11::Uri key;
};

Result<Names> parse_names(const RawBenchOptions& options) {
  AVSEAL_TRY(auto token, pkcs11::Uri::parse(options.token));
  auto key = token;
  if (!options.label.empty()) {
    key.object = options.label;
    key.text = options.label;
  }
  if (!key.object && !key.id) {
    return errors::make(Category::invalid, "uri-invalid", "name the key: --label, or object= in the URI");
  }
  return Names{std::move(token), std::move(key)};
}

Result<void> run(const RawBenchOptions& options) {
  AVSEAL_TRY(const auto names, parse_names(options));
  AVSEAL_TRY(const auto pin,
             options.pin_file.empty() ? prompt_secret("user PIN") : pkcs11::read_pin_file(options.pin_file));
  AVSEAL_TRY(const auto module, pkcs11::Module::load(options.module));
  AVSEAL_TRY(const auto token, pkcs11::Token::find(module, names.token));
  AVSEAL_TRY(auto session, pkcs11::Session::open(token));
  AVSEAL_CHECK(session.login(pin));
  AVSEAL_TRY(const auto key, pkcs11::find_private_key(session, names.key));
  AVSEAL_TRY(const auto public_key, pkcs11::read_public_key(session, key));
  const bool p256 = public_key.algorithm() == tokens::Algorithm::es256;
  fmt::print("token \"{}\", {} key, {} s each, in one process\n", token.label(), p256 ? "P-256" : "P-384",
             options.seconds);
  double best = 0;
  for (const unsigned threads : thread_counts) {
    if (threads > 1 && !module->multi_threaded()) break;
    AVSEAL_TRY(const double rate, measure(token, names.key, threads, options.seconds, p256 ? 32 : 48));
    fmt::print("{} thread{}: {:.0f} signatures/s\n", threads, threads == 1 ? "" : "s", rate);
    best = std::max(best, rate);
  }
  fmt::print("best: {:.0f} signatures/s\n", best);
  return {};
}

}  // namespace

int run_raw_bench(const RawBenchOptions& options) {
  const auto done = run(options);
  if (done) return 0;
  return report(done.error());
}

}  // namespace avseal::cli

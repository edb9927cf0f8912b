// Failure as a value. Every fallible function of avseal returns Result<T>; exceptions stay inside the file that
// called a throwing library.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace avseal {

// What kind of failure it is for the caller; hsm-service/http/problem.cpp is the one place that maps it to statuses.
enum class Category {
  bad_request,      // malformed: syntax, encoding, missing or unknown members
  invalid,          // well-formed, but a value is not acceptable
  unauthenticated,  // no or unusable credentials
  forbidden,        // known caller, not allowed
  not_found,
  method_not_allowed,
  not_acceptable,
  conflict,
  length_required,
  precondition_failed,
  too_large,
  unsupported_media_type,
  unprocessable,  // acceptable by itself, but not together with an earlier request
  range_not_satisfiable,
  precondition_required,
  too_many_requests,
  header_too_large,
  timeout,      // the request's deadline passed
  unavailable,  // a dependency (HSM, ledger, store, TPM) cannot answer now; try again
  internal,     // a bug or a broken installation
};

struct Error {
  Category category = Category::internal;
  std::string_view reason;              // stable kebab-case code with static storage: metric label, ledger reason
  std::string detail;                   // what was expected, what was found, what to do next; never a secret
  std::string param;                    // JSON pointer, "header Name", "query name" or empty
  std::chrono::seconds retry_after{0};  // 0: not given
};

// Required by boost::system::result: value() on an error is a bug.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& location);

template <class T>
using Result = boost::system::result<T, Error>;

namespace errors {

// Shorthands for modules' own named error functions.
Error make(Category category, std::string_view reason, std::string detail, std::string param = {});

}  // namespace errors

}  // namespace avseal

// AVSEAL_TRY(auto x, f()) binds the value of a Result or returns its error; AVSEAL_CHECK(f()) only returns the error.
// The CO_ forms do the same in a coroutine.
#define AVSEAL_CONCAT_(a, b) a##b
#define AVSEAL_CONCAT(a, b) AVSEAL_CONCAT_(a, b)
#define AVSEAL_TRY_(decl, tmp, ret, ...) \
  auto&& tmp = __VA_ARGS__;              \
  if (!tmp) ret tmp.error();             \
  decl = std::move(*tmp)
#define AVSEAL_TRY(decl, ...) AVSEAL_TRY_(decl, AVSEAL_CONCAT(result_, __LINE__), return, __VA_ARGS__)
#define AVSEAL_CO_TRY(decl, ...) AVSEAL_TRY_(decl, AVSEAL_CONCAT(result_, __LINE__), co_return, __VA_ARGS__)
#define AVSEAL_CHECK_(tmp, ret, ...) \
  if (auto&& tmp = __VA_ARGS__; !tmp) ret tmp.error()
#define AVSEAL_CHECK(...) AVSEAL_CHECK_(AVSEAL_CONCAT(result_, __LINE__), return, __VA_ARGS__)
#define AVSEAL_CO_CHECK(...) AVSEAL_CHECK_(AVSEAL_CONCAT(result_, __LINE__), co_return, __VA_ARGS__)

// RAII for the OpenSSL handles of this directory.
#pragma once

#include <memory>
#include <string>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tokens/bytes.hpp"

namespace avseal::tokens::ssl {

template <auto function>
struct Free {
  template <class T>
  void operator()(T* p) const noexcept {
    function(p);
  }
};

using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using BigNum = std::unique_ptr<BIGNUM, Free<BN_free>>;
using EcdsaSig = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using Pkey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using Object = std::unique_ptr<ASN1_OBJECT, Free<ASN1_OBJECT_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, Free<ASN1_INTEGER_free>>;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using ExtendedKeyUsage = std::unique_ptr<EXTENDED_KEY_USAGE, Free<EXTENDED_KEY_USAGE_free>>;
using Name = std::unique_ptr<X509_NAME, Free<X509_NAME_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509_free>>;
using X509Request = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using X509Crl = std::unique_ptr<X509_CRL, Free<X509_CRL_free>>;
using X509Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using X509StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;

struct FreeX509Stack {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_free(stack); }  // the elements are borrowed
};
using BorrowedX509Stack = std::unique_ptr<STACK_OF(X509), FreeX509Stack>;

struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * stack) const noexcept {
    sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
  }
};
using Extensions = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

// Takes what the scope's calls put on the thread's error queue off again: a failure that was handled here must not
// surface later in a TLS connection of the same thread.
class ErrorMark {
 public:
  ErrorMark() noexcept { ERR_set_mark(); }
  ErrorMark(const ErrorMark&) = delete;
  ErrorMark& operator=(const ErrorMark&) = delete;
  ~ErrorMark() { ERR_pop_to_mark(); }
};

// DER of anything that has an i2d function; empty on failure.
template <class T>
Bytes to_der(int (*encode)(T*, unsigned char**), std::remove_const_t<T>* object) {
  unsigned char* out = nullptr;
  const int size = encode(object, &out);
  if (size <= 0) return {};
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

// Reads text, which must outlive it.
inline Bio memory_bio(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.empty() ? "" : text.data(), static_cast<int>(text.size())));
}

inline std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace avseal::tokens::ssl

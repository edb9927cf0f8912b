#include "http/tls.hpp"

#include <array>

#include <boost/asio/ssl/error.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tokens/certificate.hpp"

namespace avseal::http {

namespace ssl = boost::asio::ssl;

namespace {

Error bad(std::string_view reason, std::string_view what, const std::filesystem::path& file, const std::string& why) {
  return errors::make(Category::invalid, reason, fmt::format("cannot use {} in {}: {}", what, file.string(), why));
}

bool has_ue_eku(X509* certificate) {
  auto* usages = static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr));
  bool found = false;
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages); ++i) {
    std::array<char, 128> text{};
    OBJ_obj2txt(text.data(), static_cast<int>(text.size()), sk_ASN1_OBJECT_value(usages, i), 1);
    found = found || tokens::ue_eku_oid == text.data();
  }
  sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
  return found;
}

// At the leaf, after OpenSSL's own checks: the UE EKU is what tells the two populations of clients apart.
template <bool wanted>
int check_leaf(int ok, X509_STORE_CTX* context) {
  if (ok != 1 || X509_STORE_CTX_get_error_depth(context) != 0) return ok;
  if (has_ue_eku(X509_STORE_CTX_get_current_cert(context)) == wanted) return 1;
  X509_STORE_CTX_set_error(context, X509_V_ERR_INVALID_PURPOSE);
  return 0;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
  for (const std::string_view wanted : {std::string_view("h2"), std::string_view("http/1.1")}) {
    for (std::size_t i = 0; i < list.size(); i += 1 + static_cast<unsigned char>(list[i])) {
      const std::size_t length = static_cast<unsigned char>(list[i]);
      if (list.substr(i + 1, length) != wanted) continue;
      *out = offered + i + 1;
      *size = static_cast<unsigned char>(length);
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<void> load_identity(ssl::context& context, const std::filesystem::path& certificate,
                           const std::filesystem::path& key) {
  boost::system::error_code failed;
  context.use_certificate_chain_file(certificate.string(), failed);
  if (failed) return bad("tls-certificate", "the TLS certificate", certificate, failed.message());
  context.use_private_key_file(key.string(), ssl::context::pem, failed);
  if (failed) return bad("tls-private-key", "the TLS private key", key, failed.message());
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    return bad("tls-private-key", "the TLS private key", key,
               "it does not belong to the certificate " + certificate.string());
  }
  return {};
}

void set_common(ssl::context& context) {
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify_depth(native, 4);
}

// Clients are asked for a certificate; whether they need one is the route's decision.
Result<void> ask_for_certificates(ssl::context& context, const ServerConfig& config) {
  SSL_CTX* native = context.native_handle();
  boost::system::error_code failed;
  context.load_verify_file(config.client_anchors.string(), failed);
  if (failed) return bad("tls-anchors", "the anchors of client certificates", config.client_anchors, failed.message());
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(config.client_anchors.c_str());
  if (!names)
    return bad("tls-anchors", "the anchors of client certificates", config.client_anchors, "no CA certificate in it");
  SSL_CTX_set_client_CA_list(native, names);
  SSL_CTX_set_verify(native, SSL_VERIFY_PEER, config.ue_certificates ? check_leaf<true> : check_leaf<false>);
  if (config.ue_certificates) SSL_CTX_set_purpose(native, X509_PURPOSE_ANY);
  return {};
}

}  // namespace

Result<ssl::context> make_server_tls(const ServerConfig& config) {
  ssl::context context(ssl::context::tls_server);
  set_common(context);
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  AVSEAL_CHECK(load_identity(context, config.certificate, config.private_key));

  if (!config.client_anchors.empty()) AVSEAL_CHECK(ask_for_certificates(context, config));
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  return context;
}

Result<ssl::context> make_client_tls(const ClientConfig& config) {
  ssl::context context(ssl::context::tls_client);
  set_common(context);
  boost::system::error_code failed;
  if (!config.anchors.empty()) {
    context.load_verify_file(config.anchors.string(), failed);
    if (failed) return bad("tls-anchors", "the anchors of the server", config.anchors, failed.message());
  } else if (!config.anchors_pem.empty()) {
    context.add_certificate_authority(boost::asio::buffer(config.anchors_pem), failed);
    if (failed)
      return errors::make(Category::invalid, "tls-anchors", "cannot use the given anchors: " + failed.message());
  } else {
    return errors::make(Category::invalid, "tls-anchors", "no anchors were given to verify the server with");
  }
  if (!config.certificate.empty()) {
    AVSEAL_CHECK(load_identity(context, config.certificate, config.private_key));
  }
  context.set_verify_mode(ssl::verify_peer, failed);
  return context;
}

bool negotiated_h2(SSL* connection) {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(connection, &name, &size);
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

std::string_view handshake_reason(SSL* connection, const boost::system::error_code& failed) {
  if (SSL_get_verify_result(connection) != X509_V_OK) return "client-certificate-refused";
  if (failed.category() != boost::asio::error::get_ssl_category()) return "tls-handshake";
  switch (ERR_GET_REASON(static_cast<unsigned long>(failed.value()))) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_VERSION_TOO_LOW:
      return "tls-version";
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return "tls-alpn";
    default:
      return "tls-handshake";
  }
}

}  // namespace avseal::http

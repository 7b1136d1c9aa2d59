#include "http/tls.hpp"

#include <array>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace surveyd::http {
namespace {

Error openssl_error(const char* op, const std::string& path) {
  std::array<char, 256> text{};
  ::ERR_error_string_n(::ERR_get_error(), text.data(), text.size());
  ::ERR_clear_error();
  Error error{.code = std::make_error_code(std::errc::invalid_argument), .op = op, .path = path};
  error.detail = text.data();
  return error;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> load_tls(const TlsFiles& files) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  SSL_CTX* raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  // Renegotiation lets one side make the other compute.
  SSL_CTX_set_options(
      raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);  // an idle connection keeps none
  if (SSL_CTX_use_certificate_chain_file(raw, files.certificate.c_str()) != 1)
    return openssl_error("use the certificate", files.certificate);
  if (SSL_CTX_use_PrivateKey_file(raw, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(raw) != 1)
    return openssl_error("use the key", files.key);
  if (files.client_authorities.empty()) return context;
  if (SSL_CTX_load_verify_locations(raw, files.client_authorities.c_str(), nullptr) != 1)
    return openssl_error("trust the authorities", files.client_authorities);
  SSL_CTX_set_client_CA_list(raw, ::SSL_load_client_CA_file(files.client_authorities.c_str()));
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Without a session there is no way around the certificate.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(raw, 0);
  return context;
}

}  // namespace surveyd::http

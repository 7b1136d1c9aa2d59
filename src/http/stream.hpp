#pragma once

#include <memory>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "http/task.hpp"

namespace surveyd::http {

using TlsContext = boost::asio::ssl::context;

/// A connected socket, with TLS over it where there is a context for that. The calls are those of
/// Asio's streams; a branch and not a template, as the request path is compiled but once.
class Stream {
 public:
  explicit Stream(Socket socket, std::shared_ptr<TlsContext> tls = nullptr)
      : context_(std::move(tls)), socket_(std::move(socket)) {
    boost::system::error_code ignored;  // of a socket that has been reset: reading says so
    socket_.non_blocking(true, ignored);
    if (context_) tls_ = std::make_unique<Tls>(std::move(socket_), *context_);
  }

  [[nodiscard]] bool is_encrypted() const { return tls_ != nullptr; }
  [[nodiscard]] Socket& socket() { return tls_ ? tls_->next_layer() : socket_; }

  auto async_handshake() {
    return tls_->async_handshake(boost::asio::ssl::stream_base::server, completion);
  }
  /// Tells the other end that this is the end, and waits for it to say the same.
  auto async_shutdown() { return tls_->async_shutdown(completion); }

  /// Writes what goes out without waiting and says how much that was. TLS always waits.
  std::size_t write_at_once(boost::asio::const_buffer buffer) {
    if (tls_) return 0;
    boost::system::error_code error;  // shows again when it is waited for
    return socket_.write_some(buffer, error);
  }
  auto async_read_some(boost::asio::mutable_buffer buffer) {
    return tls_ ? tls_->async_read_some(buffer, completion)
                : socket_.async_read_some(buffer, completion);
  }
  auto async_write_some(boost::asio::const_buffer buffer) {
    return tls_ ? tls_->async_write_some(buffer, completion)
                : socket_.async_write_some(buffer, completion);
  }

 private:
  using Tls = boost::asio::ssl::stream<Socket>;

  std::shared_ptr<TlsContext> context_;  ///< as it was when the connection began
  Socket socket_;                        ///< without TLS
  std::unique_ptr<Tls> tls_;
};

}  // namespace surveyd::http

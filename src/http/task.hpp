#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace surveyd::http {

// The concrete executor instead of asio's type-erased default: no indirection on the request path.
using Executor = boost::asio::io_context::executor_type;

/// A coroutine on the serving thread.
template <class T = void>
using Task = boost::asio::awaitable<T, Executor>;

/// Completes with a tuple whose first element is the error: nothing throws on the request path.
inline constexpr auto completion = boost::asio::as_tuple(boost::asio::use_awaitable_t<Executor>{});

/// TCP and Unix stream sockets alike.
using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;

using Timer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace surveyd::http

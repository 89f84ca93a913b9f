#pragma once
// Asio, and how Farandole uses it. Included by the few .cc files of this folder that drive sockets,
// by nothing else: it compiles slowly.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/base/log.h"
#include "core/net/io_thread.h"

namespace farandole::net {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
// Errors come as values: auto [failed, n] = co_await socket.async_read_some(…, kAwait);
inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

asio::io_context& context_of(IoThread& io) noexcept;

// Runs a coroutine to its end. It should let no exception out; one that escapes all the same (out
// of memory) goes to `failed` and no further.
template <typename Failed>
void spawn(asio::io_context& context, asio::awaitable<void> coroutine, Failed failed) {
  asio::co_spawn(
      context, std::move(coroutine), [failed = std::move(failed)](std::exception_ptr escaped) {
        if (!escaped)
          return;
        try {
          std::rethrow_exception(escaped);
        } catch (const std::exception& e) {
          failed(Status(Code::Internal, e.what()));
        }
      });
}

}  // namespace farandole::net

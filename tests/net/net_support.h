#pragma once
// What the tests of core/net share: connected pairs, a port that is held, a mailbox to wait on,
// counts of this process's descriptors and threads.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <optional>

#include "core/base/mutex.h"
#include "core/net/connector.h"
#include "tests/support/descriptors.h"
#include "tests/support/threads.h"

namespace farandole::net {

using namespace std::chrono_literals;

// Longer than anything takes on a loaded machine; a test that waits so long has failed.
inline constexpr Duration kPatience = 20s;

inline Secret secret_of(uint8_t fill) {
  return Secret(Bytes(32, fill));
}

// Values from another thread, in order.
template <typename T>
class Mailbox {
 public:
  void put(T value) {
    MutexLock lock(mutex_);
    values_.push_back(std::move(value));
    cond_.notify_all();
  }
  std::optional<T> take(Duration patience = kPatience) {
    const TimePoint deadline = steady_now() + patience;
    MutexLock lock(mutex_);
    while (values_.empty())
      if (!cond_.wait_until(mutex_, deadline))
        return std::nullopt;
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

 private:
  Mutex mutex_;
  CondVar cond_;
  std::deque<T> values_;
};

struct Ends {
  Established a;  // the client's
  Established b;
};

// Two connected TCP sockets on the loopback interface.
inline std::pair<UniqueFd, UniqueFd> socket_pair() {
  const UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(server.get(), 1), 0);
  getsockname(server.get(), reinterpret_cast<sockaddr*>(&address), &size);
  UniqueFd a(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(a.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  UniqueFd b(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(prepare_socket(a.get()).is_ok());
  EXPECT_TRUE(prepare_socket(b.get()).is_ok());
  return {std::move(a), std::move(b)};
}

inline Ends established_pair() {
  auto [a, b] = socket_pair();
  Ends ends;
  ends.a.fd = std::move(a);
  ends.b.fd = std::move(b);
  ends.a.keys = {secret_of(1), secret_of(2)};
  ends.b.keys = {secret_of(2), secret_of(1)};
  return ends;
}

// Holds a port as the launcher does: bound, shareable, not listening. Nobody else gets it
// meanwhile.
class ReservedPort {
 public:
  ReservedPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    EXPECT_EQ(setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    const auto any = resolve({"127.0.0.1", 0});
    EXPECT_EQ(bind(fd_.get(), any.value()[0].get(), any.value()[0].size), 0);
    endpoint_ = local_end(fd_.get()).value().endpoint();
  }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  UniqueFd fd_;
  Endpoint endpoint_;
};

using farandole::testing::live_threads;
using farandole::testing::open_descriptors;

}  // namespace farandole::net

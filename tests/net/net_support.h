#pragma once
// What the tests of core/net share: connected pairs, a mailbox to wait on, counts of this process's
// descriptors and threads.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <filesystem>
#include <optional>

#include "core/base/mutex.h"
#include "core/net/connector.h"

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

inline size_t entries_of(const char* folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}
inline size_t open_fds() {
  return entries_of("/proc/self/fd");
}
inline size_t live_threads() {
  return entries_of("/proc/self/task");
}

}  // namespace farandole::net

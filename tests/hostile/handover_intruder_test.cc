// The Unix socket over which a rank hands out its shared memory: its name stands in /proc/net/unix,
// so that everybody on the host can knock; only the job's user gets in, and is not kept waiting.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "collectives/shm/handover.h"
#include "tests/hostile/nobody.h"
#include "tests/hostile/wire_client.h"

namespace farandole::hostile {
namespace {

using shm::HandoverServer;
using shm::Meeting;

class HandoverIntruder : public testing::Test {
 protected:
  HandoverIntruder()
      : shared_(memfd_create("shared", MFD_CLOEXEC)), meeting_(Meeting::random().value()) {}
  std::unique_ptr<HandoverServer> serve() {
    return std::move(HandoverServer::start(shared_, meeting_)).value();
  }
  // A connection to the socket, as anybody may have it.
  UniqueFd knock() const {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "farandole-" + meeting_.name;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
      fd.reset();
    return fd;
  }
  Result<UniqueFd> receive() const {
    return shm::receive_descriptor(meeting_, steady_now() + kPatience, nullptr);
  }

  const UniqueFd shared_;
  const Meeting meeting_;
};

TEST_F(HandoverIntruder, NobodyGetsNothingEvenWithTheToken) {
  if (!can_be_nobody())
    GTEST_SKIP() << "only root can try it as another user";
  // The server is a process of its own, as this one must have no other thread when it forks.
  int wires[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wires), 0);
  UniqueFd here(wires[0]), there(wires[1]);
  const pid_t server = fork();
  char byte = 0;
  if (server == 0) {
    here.reset();
    const auto serving = serve();
    _exit(write(there.get(), &byte, 1) == 1 && read(there.get(), &byte, 1) == 0 ? 0 : 1);
  }
  there.reset();
  ASSERT_EQ(read(here.get(), &byte, 1), 1) << "it does not serve";
  EXPECT_EQ(
      as_nobody([&]() -> std::string {
        for (int i = 0; i < 300; ++i) {
          const WireClient client(knock());
          client.send(meeting_.token);
          if (client.receive_to_end() != Bytes())
            return "an answer";
        }
        return "nothing";
      }),
      "nothing");
  EXPECT_TRUE(receive()) << receive().status().message();
  here.reset();
  int status = -1;
  EXPECT_EQ(waitpid(server, &status, 0), server);
  EXPECT_EQ(status, 0);
}

// Others knock all the while and say nothing, or junk.
TEST_F(HandoverIntruder, ACrowdKeepsNoMemberOut) {
  const auto server = serve();
  for (int i = 0; i < 100; ++i) {
    const WireClient client(knock());
    client.send(i % 2 == 0 ? std::string(64, '0') : std::string(100, 'x'));
  }
  const TimePoint begin = steady_now();
  EXPECT_TRUE(receive());
  EXPECT_LT(steady_now() - begin, std::chrono::seconds(10));
}

}  // namespace
}  // namespace farandole::hostile

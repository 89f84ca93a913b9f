#include "collectives/shm/handover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

#include "gtest/gtest.h"

#include "tests/support/descriptors.h"

namespace farandole::shm {
namespace {

using namespace std::chrono_literals;
using testing::open_descriptors;

class Handover : public ::testing::Test {
 protected:
  void SetUp() override {
    auto meeting = Meeting::random();
    ASSERT_TRUE(meeting);
    meeting_ = meeting.value();
    memory_ = UniqueFd(::memfd_create("test", MFD_CLOEXEC));
    ASSERT_TRUE(memory_);
    ASSERT_EQ(::write(memory_.get(), "here", 4), 4);
    auto server = HandoverServer::start(memory_, meeting_);
    ASSERT_TRUE(server) << server.status().to_string();
    server_ = std::move(server).value();
  }
  Result<UniqueFd> receive(const Meeting& meeting) {
    return receive_descriptor(meeting, steady_now() + 10s, nullptr);
  }

  Meeting meeting_;
  UniqueFd memory_;
  std::unique_ptr<HandoverServer> server_;
};

std::pair<sockaddr_un, socklen_t> address_of(const Meeting& meeting) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "farandole-" + meeting.name;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

// Names of abstract sockets of this kind on the machine.
std::string socket_names() {
  std::ifstream file("/proc/net/unix");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(Handover, GivesTheDescriptorToAllWhoAsk) {
  for (int i = 0; i < 3; ++i) {
    const auto fd = receive(meeting_);
    ASSERT_TRUE(fd) << fd.status().to_string();
    std::array<char, 4> text{};
    EXPECT_EQ(::pread(fd.value().get(), text.data(), text.size(), 0), 4);
    EXPECT_EQ(std::memcmp(text.data(), "here", 4), 0);
    EXPECT_NE(::fcntl(fd.value().get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(Handover, RefusesAWrongToken) {
  Meeting wrong = meeting_;
  wrong.token.back() = wrong.token.back() == '0' ? '1' : '0';
  EXPECT_EQ(receive(wrong).status().code(), Code::System);
  EXPECT_TRUE(receive(meeting_)) << "and goes on serving";
}

TEST_F(Handover, IsNotHeldUpByWhoSaysNothing) {
  // A stranger that connects and hangs up, and one that says half a token and waits.
  const auto [address, length] = address_of(meeting_);
  const auto stranger = [where = address, length = length] {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), length), 0);
    return fd;
  };
  stranger();
  const UniqueFd mute = stranger();
  EXPECT_EQ(::send(mute.get(), "abc", 3, MSG_NOSIGNAL), 3);
  EXPECT_TRUE(receive(meeting_));
}

TEST_F(Handover, WhoAsksIsToldWhenItIsOutOfDescriptors) {
  const auto [address, length] = address_of(meeting_);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};  // those of standard input and output
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  pollfd closed{fd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&closed, 1, 10'000), 1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  char byte;
  EXPECT_LE(::recv(fd.get(), &byte, 1, MSG_DONTWAIT), 0);
}

TEST_F(Handover, LeavesNoSocketBehind) {
  EXPECT_NE(socket_names().find(meeting_.name), std::string::npos);
  server_.reset();
  EXPECT_EQ(socket_names().find(meeting_.name), std::string::npos);
  EXPECT_EQ(receive(meeting_).status().code(), Code::System);
}

// As where the creator was killed, and a forked child of it holds its socket.
TEST(Receiving, EndsWithTheJobThoughNobodyAnswers) {
  const auto meeting = Meeting::random();
  ASSERT_TRUE(meeting);
  const auto [address, length] = address_of(meeting.value());
  const UniqueFd mute(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(mute.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(mute.get(), 1), 0);
  const Status lost(Code::PeerLost, "rank 0 was lost");
  const auto interrupt = Interrupt::make().value();
  const TimePoint start = steady_now();
  UniqueFd caller;
  std::thread failure([&] {
    caller = UniqueFd(::accept(mute.get(), nullptr, nullptr));
    interrupt->trigger(lost);
  });
  EXPECT_EQ(receive_descriptor(meeting.value(), start + 60s, interrupt.get()).status(), lost);
  failure.join();
  EXPECT_LT(steady_now() - start, 20s);
}

TEST(Receiving, SaysHowLongItWaited) {
  const auto meeting = Meeting::random();
  ASSERT_TRUE(meeting);
  const auto [address, length] = address_of(meeting.value());
  const UniqueFd mute(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(mute.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(mute.get(), 1), 0);
  const Status late = receive_descriptor(meeting.value(), steady_now() + 300ms, nullptr).status();
  EXPECT_EQ(late.code(), Code::Timeout);
  const std::regex wanted(
      "it was not handed over within [0-9]+\\.[0-9] s, .*\\(FARANDOLE_START_TIMEOUT\\)");
  EXPECT_TRUE(std::regex_match(late.message(), wanted)) << late.message();
}

// The room for one descriptor holds two: both are closed where one is wanted.
TEST(Receiving, KeepsNothingOfAParcelThatItRefuses) {
  const auto meeting = Meeting::random();
  ASSERT_TRUE(meeting);
  const auto [address, length] = address_of(meeting.value());
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const size_t before = open_descriptors();
  std::thread two([&] {
    const UniqueFd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int gifts[2] = {listener.get(), listener.get()};
    char byte = 'f';
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(gifts))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(gifts));
    std::memcpy(CMSG_DATA(header), gifts, sizeof(gifts));
    EXPECT_EQ(::sendmsg(peer.get(), &message, MSG_NOSIGNAL), 1);
  });
  const auto fd = receive_descriptor(meeting.value(), steady_now() + 20s, nullptr);
  two.join();
  EXPECT_EQ(fd.status().code(), Code::System);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Meeting, IsReadBackFromItsText) {
  const auto meeting = Meeting::random();
  ASSERT_TRUE(meeting);
  const auto read = Meeting::from_text(meeting.value().to_text());
  ASSERT_TRUE(read);
  EXPECT_EQ(read.value(), meeting.value());
  EXPECT_NE(Meeting::random().value(), meeting.value());
  for (const char* text : {"", " ", "abc def", "0123456789abcdef0123456789abcdef "})
    EXPECT_EQ(Meeting::from_text(text).status().code(), Code::Mismatch) << text;
}

}  // namespace
}  // namespace farandole::shm

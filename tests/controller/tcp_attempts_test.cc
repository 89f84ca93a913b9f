// Ranks that connect more than once, or that say nothing: whose connection counts, and who is told.

#include <gmock/gmock.h>

#include <future>

#include "controller/protocol/worker.h"
#include "controller/tcp/coordinator_host.h"
#include "core/net/framing.h"
#include "tests/controller/tcp_job.h"

namespace farandole {
namespace {

using control::Message;
using net::Role;
using ::testing::HasSubstr;

constexpr uint64_t kProcess = 5;
constexpr uint64_t kAnother = 6;

TimePoint soon() {
  return steady_now() + kPatience;
}

// A handshake whose proof is kept back.
struct Begun {
  UniqueFd fd;
  net::Handshake handshake;
  net::Bytes proof;

  // What its process sent last arrives, and rank 0 has taken it.
  void arrive() {
    ASSERT_TRUE(net::send_all(fd.get(), proof, soon()).is_ok());
    EXPECT_TRUE(net::run_handshake(fd.get(), handshake, soon()).is_ok());
  }
  // Rank 0 has closed it, without a word.
  void expect_dropped() const {
    std::array<uint8_t, 1> byte;
    EXPECT_EQ(net::receive_some(fd.get(), byte, soon()).status().code(), Code::PeerLost);
  }
};

// Of a rank 0 whose rank 1, played by the test, never beats and keeps its proofs back for a while.
TcpControlPlaneOptions patient(TcpControlPlaneOptions options) {
  options.config.handshake_timeout = options.config.heartbeat_timeout = kPatience;
  return options;
}

// Rank 1, which the test plays.
class Played {
 public:
  explicit Played(const ReservedPort& port, uint32_t size = 2)
      : port_(port), config_(options_of(1, static_cast<int>(size), port).config) {}

  net::ClientParams params(Role role, uint64_t process) const {
    net::ClientParams params{.secret = secret_of(1), .hello = {}};
    params.hello = {config_.job, "", role, 1, 0, 0, process};
    return params;
  }

  net::Established connect(Role role, uint64_t process = kProcess) const {
    net::ConnectSpec spec;
    spec.to = port_.endpoint();
    spec.client = params(role, process);
    spec.handshake_timeout = kPatience;
    Result<net::Established> connected = net::connect_to(spec, soon());
    EXPECT_TRUE(connected) << connected.status().to_string();
    return connected ? std::move(connected).value() : net::Established{};
  }

  Begun begin(Role role, uint64_t process = kProcess) const {
    const auto address = net::resolve(port_.endpoint()).value()[0];
    Begun begun{{}, net::Handshake::client(params(role, process)), {}};
    do {  // rank 0 may not listen yet
      begun.fd.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    } while (::connect(begun.fd.get(), address.get(), address.size) != 0);
    EXPECT_TRUE(net::prepare_socket(begun.fd.get()).is_ok());
    EXPECT_TRUE(net::send_all(begun.fd.get(), begun.handshake.output(), soon()).is_ok());
    net::Bytes challenge(512);
    while (!begun.handshake.awaits_admission() && !begun.handshake.done()) {
      const auto space = std::span(challenge).first(begun.handshake.wants());
      const Result<size_t> count = net::receive_some(begun.fd.get(), space, soon());
      if (!count)
        break;
      begun.handshake.feed(space.first(count.value()));
    }
    EXPECT_TRUE(begun.handshake.awaits_admission());
    begun.proof = begun.handshake.output();
    return begun;
  }

  // Joins on this connection, and gives the answer; nothing where it ended.
  std::optional<Message> join(const net::Established& control, uint64_t process = kProcess) const {
    control::Worker worker(
        {control::Limits::of(config_), 1, control::job_hash(config_.job), process});
    const control::Actions said =
        worker.join({1, "played", 1, "127.0.0.1"}, control::shared_settings(config_));
    net::FrameSealer sealer(control.keys.send);
    net::Bytes bytes;
    net::append_frame(bytes, sealer, std::get<control::SendTo>(said.at(0)).bytes);
    EXPECT_TRUE(net::send_all(control.fd.get(), bytes, soon()).is_ok());
    return hear(control);
  }

  std::optional<Message> hear(const net::Established& control) const {
    net::FrameReader reader(control.keys.receive, static_cast<size_t>(config_.max_frame_bytes));
    while (true) {
      const auto next = reader.next();
      if (!next)
        return std::nullopt;
      if (next.value())
        return control::decode(*next.value(), control::Limits::of(config_)).value().body;
      const Result<size_t> count = net::receive_some(control.fd.get(), reader.space(), soon());
      if (!count)
        return std::nullopt;
      reader.commit(count.value());
    }
  }

 private:
  const ReservedPort& port_;
  Config config_;
};

bool is_welcome(const std::optional<Message>& answer) {
  return answer && std::holds_alternative<control::Welcome>(*answer);
}

// Rank 0 of two, which is to form its group.
class TcpAttempts : public ::testing::Test {
 protected:
  TcpAttempts() : thread_([this] { of_zero_ = zero_.start(); }) {}
  ~TcpAttempts() override {
    thread_.join();
    EXPECT_TRUE(of_zero_.is_ok()) << of_zero_.to_string();
  }

  ReservedPort port_;
  Played one_{port_};

 private:
  TcpRank zero_{patient(options_of(0, 2, port_))};
  Status of_zero_;
  std::thread thread_;
};

// It was on its way while the rank had long connected anew.
TEST_F(TcpAttempts, AProofThatComesLateReplacesNoNewerControlConnection) {
  Begun given_up = one_.begin(Role::Control);
  const net::Established control = one_.connect(Role::Control);
  given_up.arrive();
  given_up.expect_dropped();
  const net::Established beats = one_.connect(Role::Heartbeat);
  EXPECT_TRUE(is_welcome(one_.join(control)));
}

TEST_F(TcpAttempts, NorDoesThatOfAProcessThatHasDied) {
  Begun of_dead = one_.begin(Role::Control, kAnother);
  const net::Established control = one_.connect(Role::Control);
  of_dead.arrive();
  of_dead.expect_dropped();
  const net::Established beats = one_.connect(Role::Heartbeat);
  EXPECT_TRUE(is_welcome(one_.join(control)));
}

// Rank 0 has admitted it, and the rank has not heard so.
TEST_F(TcpAttempts, HeartbeatsThatWereConnectedAnewReplaceTheDeadOnes) {
  const net::Established control = one_.connect(Role::Control);
  net::Established dead = one_.connect(Role::Heartbeat);
  dead.fd.reset();
  const net::Established beats = one_.connect(Role::Heartbeat);
  std::array<uint8_t, 1> byte;
  EXPECT_TRUE(net::receive_some(beats.fd.get(), byte, soon())) << "nobody watches it";
  EXPECT_TRUE(is_welcome(one_.join(control)));
}

TEST_F(TcpAttempts, AndAreNotReplacedByThoseWhenTheirProofComesLate) {
  const net::Established control = one_.connect(Role::Control);
  Begun given_up = one_.begin(Role::Heartbeat);
  const net::Established beats = one_.connect(Role::Heartbeat);
  given_up.arrive();
  given_up.expect_dropped();
  std::array<uint8_t, 1> byte;
  EXPECT_TRUE(net::receive_some(beats.fd.get(), byte, soon())) << "it has been closed";
  EXPECT_TRUE(is_welcome(one_.join(control)));
}

TEST_F(TcpAttempts, HeartbeatsOfAnotherProcessAreRefused) {
  const net::Established control = one_.connect(Role::Control);
  const net::Established beats = one_.connect(Role::Heartbeat);
  net::ConnectSpec spec;
  spec.to = port_.endpoint();
  spec.client = one_.params(Role::Heartbeat, kAnother);
  spec.handshake_timeout = kPatience;
  const Result<net::Established> other = net::connect_to(spec, soon());
  EXPECT_EQ(other.status().code(), Code::Mismatch);
  EXPECT_THAT(other.status().message(), HasSubstr("rank 1 is connected already"));
  EXPECT_TRUE(is_welcome(one_.join(control)));
}

TEST(TcpRefusal, IsToldToWhoIsConnectedAndSilent) {
  ReservedPort port;
  TcpRank zero(patient(options_of(0, 3, port)));
  TcpControlPlaneOptions other = patient(options_of(2, 3, port));
  other.config.fusion_bytes = 4096;
  TcpRank two(std::move(other));
  Status of_zero;
  std::thread thread([&] { of_zero = zero.start(); });
  const Played one(port, 3);
  const net::Established control = one.connect(Role::Control);
  const net::Established beats = one.connect(Role::Heartbeat);
  const Status of_two = two.start();
  const std::optional<Message> told = one.hear(control);
  ASSERT_TRUE(told && std::holds_alternative<control::Refuse>(*told));
  EXPECT_EQ(std::get<control::Refuse>(*told).why, of_two);
  EXPECT_THAT(of_two.message(), HasSubstr("ranks disagree on FARANDOLE_FUSION_BYTES"));
  thread.join();
  EXPECT_EQ(of_zero, of_two);
}

// Rank 0's host by itself. Its clock stands still, and so far ahead that it waits until those whom
// it turns away have read why.
class TurningAway : public ::testing::Test {
 protected:
  struct Ahead final : Clock {
    TimePoint now() const noexcept override { return at; }
    const TimePoint at = steady_now() + 1h;
  };

  TurningAway() {
    const TcpControlPlaneOptions own = options_of(0, 2, port_);
    const auto clock = std::make_shared<Ahead>();
    control::CoordinatorHostOptions options{
        .config = own.config, .secret = own.secret, .at = own.controller, .clock = clock};
    options.start = options.deadline = clock->at;
    control::CoordinatorHostEvents events;
    events.to_own_worker = [](const control::Bytes&) {};
    events.something_to_do = [this] {
      io_.post([this] {
        if (host_)
          host_->turn();
      });
    };
    events.watch = [](int, const net::Established&) {};
    events.forget = [this](int rank) { forgotten_.push_back(rank); };
    host_ = std::make_unique<control::CoordinatorHost>(io_, std::move(options), std::move(events));
    EXPECT_TRUE(host_->open());
    io_.run_and_wait([this] { host_->on_own_message({1, 2, 3}); });
  }
  ~TurningAway() override {
    io_.run_and_wait([this] { host_.reset(); });
  }

  // A process of rank 1 that reads that the group has been refused, and does not go yet.
  net::Established turned_away(uint64_t process) {
    net::Established control = one_.connect(Role::Control, process);
    one_.connect(Role::Heartbeat, process);
    const std::optional<Message> told = one_.hear(control);
    EXPECT_TRUE(told && std::holds_alternative<control::Refuse>(*told));
    return control;
  }
  // The host ends, once all that it has turned away are gone.
  void finish() {
    std::promise<void> done;
    io_.run_and_wait([&] { host_->finish(steady_now() + 2h, [&done] { done.set_value(); }); });
    EXPECT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
  }

  std::vector<int> forgotten_;  // loop only

 private:
  ReservedPort port_;
  Played one_{port_};
  net::IoThread io_{"test-io"};
  std::unique_ptr<control::CoordinatorHost> host_;
};

TEST_F(TurningAway, TheHeartbeatsOfAProcessOutliveTheConnectionOfTheOneBeforeIt) {
  net::Established before = turned_away(kProcess);
  net::Established after = turned_away(kAnother);
  before.fd.reset();
  after.fd.reset();
  finish();
  EXPECT_EQ(forgotten_, std::vector<int>{1}) << "once, with the last of its connections";
}

}  // namespace
}  // namespace farandole

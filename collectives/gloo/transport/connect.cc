#include "collectives/gloo/transport/connect.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "collectives/gloo/transport/peer_handshake.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/timespec.h"

namespace farandole::gloo_transport {
namespace {

constexpr Duration kFirstRetry = std::chrono::milliseconds(10);
constexpr Duration kLastRetry = std::chrono::milliseconds(200);
constexpr int kAcceptsPerTurn = 32;

std::string key_of(const GroupSpec& spec, size_t member) {
  return fmt::format("{}/gloo/{}", spec.tag, member);
}

// The loopback interface's address of the family that the job uses: a machine may have one alone.
const char* loopback_like(const std::string& address) {
  return address.find(':') == std::string::npos ? "127.0.0.1" : "::1";
}

// Address to listen on: the loopback interface where nobody is elsewhere.
Result<SocketAddress> own_address(const GroupSpec& spec, TimePoint deadline) {
  const Member& self = spec.members[static_cast<size_t>(spec.index)];
  const bool one_host = std::all_of(spec.members.begin(), spec.members.end(), [&](const Member& m) {
    return m.host == self.host;
  });
  const auto give_up = [&] { return spec.interrupt && !spec.interrupt->status().is_ok(); };
  Result<SocketAddress> found = resolve(
      one_host || self.address.empty() ? loopback_like(self.address) : self.address,
      0,
      {deadline, give_up});
  return !found && give_up() ? Result<SocketAddress>(spec.interrupt->status()) : std::move(found);
}

class Formation {
 public:
  Formation(const GroupSpec& spec, Store& store, const Config& config)
      : spec_(spec),
        store_(store),
        config_(config),
        deadline_(steady_now() + config.start_timeout),
        sockets_(spec.members.size()) {}

  Status run() {
    FARANDOLE_RETURN_IF_ERROR(listen());
    FARANDOLE_FAILPOINT("gloo_connect.listening");
    FARANDOLE_RETURN_IF_ERROR(find_earlier());
    while (connected_ + 1 < sockets_.size()) {
      if (spec_.interrupt)
        FARANDOLE_RETURN_IF_ERROR(spec_.interrupt->status());
      FARANDOLE_RETURN_IF_ERROR(start_due());
      FARANDOLE_RETURN_IF_ERROR(turn());
      if (steady_now() >= deadline_ && connected_ + 1 < sockets_.size())
        return missing();
    }
    return Status::ok();
  }

  std::vector<UniqueFd> take() { return std::move(sockets_); }

 private:
  // A member before this one, to be connected to.
  struct Outbound {
    size_t member;
    SocketAddress address;
    TimePoint start_at;
    Duration pause;
    std::optional<PeerHandshake> handshake;
  };

  size_t self() const { return static_cast<size_t>(spec_.index); }
  std::string own_key() const { return key_of(spec_, self()); }
  size_t max_half_open() const { return 2 * sockets_.size() + 64; }

  Status listen() {
    Result<SocketAddress> address = own_address(spec_, deadline_);
    FARANDOLE_RETURN_IF_ERROR(address.status());
    Result<UniqueFd> listener = listen_on(address.value(), SOMAXCONN);
    FARANDOLE_RETURN_IF_ERROR(listener.status());
    listener_ = std::move(listener).value();
    address = local_address(listener_.get());
    FARANDOLE_RETURN_IF_ERROR(address.status());
    const std::string text = address.value().to_string();
    return store_.set(own_key(), {text.begin(), text.end()});
  }

  // Whoever connects has found all members before it, so nobody waits for another member while a
  // third waits for its handshake.
  Status find_earlier() {
    for (size_t member = 0; member < self(); ++member) {
      Result<std::vector<uint8_t>> text = store_.get(key_of(spec_, member), deadline_);
      if (text.status().code() == Code::Timeout)
        return error(
            Code::Timeout,
            "group {}: {} did not say where it listens: {} (FARANDOLE_START_TIMEOUT)",
            spec_.tag,
            name_of(member),
            text.status().message());
      FARANDOLE_RETURN_IF_ERROR(text.status());
      Result<SocketAddress> address = parse_endpoint({text.value().begin(), text.value().end()});
      FARANDOLE_RETURN_IF_ERROR(address.status());
      outbound_.push_back({member, address.value(), steady_now(), kFirstRetry, std::nullopt});
    }
    return Status::ok();
  }

  Status start_due() {
    const TimePoint now = steady_now();
    for (Outbound& to : outbound_) {
      if (to.handshake || sockets_[to.member] || to.start_at > now)
        continue;
      Result<UniqueFd> fd = start_connect(to.address);
      if (!fd) {
        retry(to);
        continue;
      }
      net::ClientParams params{.secret = spec_.secret, .hello = {}};
      params.hello.job = spec_.job;
      params.hello.group = spec_.tag;
      params.hello.role = net::Role::Data;
      params.hello.rank = rank_of(self());
      params.hello.to_rank = rank_of(to.member);
      to.handshake = PeerHandshake::client(std::move(fd).value(), std::move(params));
    }
    return Status::ok();
  }

  void retry(Outbound& to) {
    to.handshake.reset();
    to.start_at = steady_now() + to.pause;
    to.pause = std::min(to.pause * 2, kLastRetry);
  }

  // Waits for the next thing to happen, and lets every connection advance.
  Status turn() {
    std::vector<pollfd> fds;
    fds.push_back({spec_.interrupt ? spec_.interrupt->fd() : -1, POLLIN, 0});
    fds.push_back({listener_.get(), POLLIN, 0});
    TimePoint until = deadline_;
    for (const Outbound& to : outbound_) {
      if (to.handshake)
        fds.push_back({to.handshake->fd(), to.handshake->interest(), 0});
      else if (!sockets_[to.member])
        until = std::min(until, to.start_at);
    }
    for (const PeerHandshake& from : inbound_) {
      fds.push_back({from.fd(), from.interest(), 0});
      until = std::min(until, from.deadline());
    }
    const timespec limit = to_timespec(until - steady_now());
    if (FARANDOLE_FAIL_CALL(
            "gloo_connect.turn.ppoll", ::ppoll(fds.data(), fds.size(), &limit, nullptr)) < 0 &&
        errno != EINTR)
      return system_error("ppoll", errno);
    FARANDOLE_RETURN_IF_ERROR(advance_outbound());
    advance_inbound();
    return accept_more();
  }

  Status advance_outbound() {
    for (Outbound& to : outbound_) {
      if (!to.handshake)
        continue;
      switch (to.handshake->advance()) {
        case PeerHandshake::Progress::Going:
          break;
        case PeerHandshake::Progress::Closed:
          retry(to);
          break;
        case PeerHandshake::Progress::Refused:
          return error(
              to.handshake->status().code(),
              "data connection to {} at {}: {}",
              name_of(to.member),
              to.address.to_string(),
              to.handshake->status().message());
        case PeerHandshake::Progress::Done:
          admit(to.member, to.handshake->take());
          to.handshake.reset();
      }
    }
    return Status::ok();
  }

  // What a stranger does ends its own connection and nothing else.
  void advance_inbound() {
    const TimePoint now = steady_now();
    for (auto from = inbound_.begin(); from != inbound_.end();) {
      const PeerHandshake::Progress progress = from->advance();
      if (progress == PeerHandshake::Progress::Done)
        admit(*member_of(from->hello()), from->take());
      else if (progress == PeerHandshake::Progress::Refused)
        note_refusal(from->status());
      const bool late = progress == PeerHandshake::Progress::Going && now >= from->deadline();
      from = late || progress != PeerHandshake::Progress::Going ? inbound_.erase(from) : from + 1;
    }
  }

  // The oldest, but no member that is about to prove itself while there is anybody else.
  void let_one_go() {
    const auto chosen = std::find_if(
        inbound_.begin(), inbound_.end(), [](const auto& from) { return !from.awaits_proof(); });
    inbound_.erase(chosen == inbound_.end() ? inbound_.begin() : chosen);
  }

  // One too many ends another one: no crowd of strangers keeps a member out.
  Status accept_more() {
    for (int taken = 0; taken < kAcceptsPerTurn; ++taken) {
      Result<UniqueFd> fd = accept_one(listener_.get());
      if (!fd && !inbound_.empty()) {  // descriptors that strangers hold are to be had back
        let_one_go();
        return Status::ok();
      }
      FARANDOLE_RETURN_IF_ERROR(fd.status());
      if (!fd.value())
        return Status::ok();
      if (inbound_.size() >= max_half_open())
        let_one_go();
      net::ServerParams params;
      params.secret = spec_.secret;
      params.job = spec_.job;
      params.admit = [this](const net::Hello& hello) { return judge(hello); };
      inbound_.push_back(PeerHandshake::server(
          std::move(fd).value(), std::move(params), steady_now() + config_.handshake_timeout));
    }
    return Status::ok();
  }

  net::Verdict judge(const net::Hello& hello) const {
    if (hello.job != spec_.job)
      return net::Verdict::Job;
    if (hello.role != net::Role::Data)
      return net::Verdict::Role;
    if (hello.group != spec_.tag)
      return net::Verdict::Group;
    if (hello.to_rank != rank_of(self()) || !member_of(hello))
      return net::Verdict::Rank;
    if (hello.generation != 0)
      return net::Verdict::Generation;
    return sockets_[*member_of(hello)] ? net::Verdict::Duplicate : net::Verdict::Admit;
  }

  // Place of the member that speaks, if it is one of those that connect to this one.
  std::optional<size_t> member_of(const net::Hello& hello) const {
    for (size_t i = self() + 1; i < spec_.members.size(); ++i)
      if (rank_of(i) == hello.rank)
        return i;
    return std::nullopt;
  }

  void admit(size_t member, UniqueFd fd) {
    if (sockets_[member])
      return;
    sockets_[member] = std::move(fd);
    ++connected_;
  }

  void note_refusal(const Status& why) {
    if (++refused_ == 1)
      FARANDOLE_LOG(Warning, "group {}: refused a data connection: {}", spec_.tag, why.message());
    last_refusal_ = why.message();
  }

  uint32_t rank_of(size_t member) const {
    return static_cast<uint32_t>(spec_.members[member].rank);
  }

  std::string name_of(size_t member) const {
    return fmt::format(
        "rank {} (host {})", rank_of(member), printable(spec_.members[member].host, 128));
  }

  Status missing() const {
    std::string names;
    int culprit = -1;
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (i == self() || sockets_[i])
        continue;
      names += (names.empty() ? "" : ", ") + name_of(i);
      culprit = spec_.members[i].rank;
    }
    Status why = error(
        Code::Timeout,
        "group {}: no data connection with {} after {:.1f} s{}",
        spec_.tag,
        names,
        std::chrono::duration<double>(config_.start_timeout).count(),
        refused_ == 0
            ? std::string()
            : fmt::format(" ({} refused, the last because: {})", refused_, last_refusal_));
    return why.blame(culprit);
  }

  const GroupSpec& spec_;
  Store& store_;
  const Config& config_;
  const TimePoint deadline_;
  UniqueFd listener_;
  std::vector<UniqueFd> sockets_;
  size_t connected_ = 0;
  std::vector<Outbound> outbound_;
  std::deque<PeerHandshake> inbound_;
  size_t refused_ = 0;
  std::string last_refusal_;
};

}  // namespace

Result<std::shared_ptr<Mesh>> connect_mesh(
    const GroupSpec& spec, Store& store, const Config& config) {
  Formation formation(spec, store, config);
  FARANDOLE_RETURN_IF_ERROR(formation.run());
  MeshOptions options{spec.index, spec.members, config.data_timeout, config.shutdown_timeout};
  Result<std::unique_ptr<Mesh>> mesh = Mesh::make(std::move(options), formation.take());
  FARANDOLE_RETURN_IF_ERROR(mesh.status());
  return std::shared_ptr<Mesh>(std::move(mesh).value());
}

}  // namespace farandole::gloo_transport

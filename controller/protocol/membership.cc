#include "controller/protocol/membership.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "controller/protocol/mutation.h"
#include "controller/protocol/ranks.h"
#include "core/base/format.h"

namespace farandole::control {

Membership::Membership(MembershipOptions options)
    : options_(std::move(options)),
      links_(options_.limits.size, Link(options_.job, options_.incarnation)),
      connected_(options_.limits.size),
      joined_(options_.limits.size) {
  connected_.at(0) = true;
}

Actions Membership::on_connected(int rank) {
  connected_.at(static_cast<size_t>(rank)) = true;
  const bool told = refused() && !FARANDOLE_MUTATE(TellNoLatecomer);
  return told ? tell_refusal(rank) : Actions{};
}

Actions Membership::on_frame(int rank, std::span<const uint8_t> bytes) {
  if (ended_)
    return {};
  Result<Frame> frame = decode(bytes, options_.limits);
  if (!frame)
    return refuse(error(
                      Code::PeerLost,
                      "rank {} joined with a malformed message: {}",
                      rank,
                      frame.status().message())
                      .blame(rank));
  if (!links_.at(static_cast<size_t>(rank)).accept(frame.value().envelope))
    return {};
  const Report* report = std::get_if<Report>(&frame.value().body);
  if (report != nullptr && report->failure.rank == 0 && report->failure.code == Code::PeerLost)
    return given_up(rank, report->failure);
  Join* join = std::get_if<Join>(&frame.value().body);
  if (join == nullptr)
    return refuse(error(Code::PeerLost, "rank {} spoke before it had joined", rank).blame(rank));
  return this->join(rank, std::move(*join));
}

// This process has been stopped for too long: the rank has gone, and others may have, too.
Actions Membership::given_up(int rank, const PeerFailure& failure) {
  return refuse(error(
                    Code::PeerLost,
                    "rank {} gave up rank 0 while the group formed: {}",
                    rank,
                    printable_within(failure.cause, kMaxCauseBytes))
                    .blame(0));
}

Actions Membership::tell_refusal(int rank) {
  Link& link = links_[static_cast<size_t>(rank)];
  return {SendTo{rank, encode(link.next(), Refuse{refused_})}, CloseRank{rank, refused_.message()}};
}

Actions Membership::join(int rank, Join message) {
  if (Status status = judge(rank, message); !status.is_ok())
    return refuse(std::move(status));
  if (FARANDOLE_MUTATE(ForgetTheJoined) && rank == 1)
    return {};
  joined_[static_cast<size_t>(rank)] = std::move(message.member);
  ++count_;
  return count_ == options_.limits.size ? form() : Actions{};
}

Status Membership::judge(int rank, const Join& message) const {
  if (message.member.rank != rank)
    return error(Code::PeerLost, "rank {} says that it is rank {}", rank, message.member.rank)
        .blame(rank);
  if (joined_[static_cast<size_t>(rank)])
    return error(Code::PeerLost, "rank {} joined twice", rank).blame(rank);
  if (message.size != options_.limits.size)
    return error(
        Code::Mismatch,
        "ranks disagree on the size of the job: rank 0 has {}, rank {} has {}; start every rank "
        "with one FARANDOLE_SIZE",
        options_.limits.size,
        rank,
        message.size);
  const auto& own = options_.settings;
  for (size_t i = 0; i < std::min(own.size(), message.settings.size()); ++i)
    if (own[i] != message.settings[i] && !FARANDOLE_MUTATE(IgnoreSettings))
      return error(
          Code::Mismatch,
          "ranks disagree on {}: rank 0 has {}, rank {} has {}; set it alike on every rank",
          own[i].name,
          own[i].value,
          rank,
          printable(message.settings[i].value));
  if (own.size() != message.settings.size())
    return error(
        Code::Mismatch,
        "ranks disagree on which settings they share: rank 0 has {}, rank {} has {}; run one "
        "version of Farandole on every rank",
        own.size(),
        rank,
        message.settings.size());
  return Status::ok();
}

void Membership::on_lost(int rank) {
  const auto place = static_cast<size_t>(rank);
  if (ended_ || FARANDOLE_MUTATE(CountTheLost))
    return;
  links_.at(place).forget_peer();
  connected_[place] = false;
  if (joined_[place])
    --count_;
  joined_[place].reset();
}

Actions Membership::on_obstacle(Status why) {
  return ended_ ? Actions{} : refuse(std::move(why));
}

std::vector<int> Membership::missing() const {
  std::vector<int> ranks;
  for (size_t rank = 0; rank < joined_.size(); ++rank)
    if (!joined_[rank])
      ranks.push_back(static_cast<int>(rank));
  return ranks;
}

Actions Membership::tick(TimePoint now) {
  if (ended_ || now < options_.deadline || FARANDOLE_MUTATE(SkipFormationDeadline))
    return {};
  const std::vector<int> absent = missing();
  const std::chrono::duration<double> waited = options_.deadline - options_.start;
  return refuse(error(
      Code::Timeout,
      "the group of {} ranks did not form within {:g} s (FARANDOLE_START_TIMEOUT): {} {} missing",
      options_.limits.size,
      waited.count(),
      rank_list(absent),
      absent.size() == 1 ? "is" : "are"));
}

Actions Membership::form() {
  ended_ = true;
  Actions actions;
  Welcome welcome{.epoch = options_.epoch, .members = {}};
  for (const std::optional<Member>& member : joined_) welcome.members.push_back(*member);
  const Bytes bytes = encode({}, welcome);
  for (size_t rank = 0; rank < links_.size(); ++rank) {
    SendTo send{static_cast<int>(rank), bytes};
    restamp(send.bytes, links_[rank].next());
    links_[rank].lead_into(options_.epoch);
    actions.push_back(std::move(send));
  }
  actions.push_back(Formed{options_.epoch, std::move(welcome.members)});
  return actions;
}

Actions Membership::refuse(Status why) {
  ended_ = true;
  refused_ = std::move(why);
  Actions actions;
  for (size_t rank = 0; rank < links_.size(); ++rank) {
    if (!connected_[rank] || (FARANDOLE_MUTATE(TellNoSilentJoiner) && !links_[rank].heard()))
      continue;
    Actions told = tell_refusal(static_cast<int>(rank));
    std::move(told.begin(), told.end(), std::back_inserter(actions));
  }
  actions.push_back(NotFormed{refused_});
  return actions;
}

Group Membership::take_group() {
  Group group{.epoch = options_.epoch, .members = {}, .links = std::move(links_)};
  for (std::optional<Member>& member : joined_) group.members.push_back(std::move(*member));
  return group;
}

}  // namespace farandole::control

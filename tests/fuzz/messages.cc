// Bytes of messages: whatever decode() accepts is within the limits, is no larger than its bytes,
// and can be said again and means the same.

#include "controller/protocol/messages.h"

#include <limits>
#include <optional>

#include "controller/protocol/validation.h"
#include "core/base/format.h"
#include "core/member_name.h"
#include "tests/fuzz/generate.h"
#include "tests/fuzz/stall_reports.h"
#include "tests/fuzz/target.h"
#include "tests/protocol/samples.h"

namespace farandole::fuzz {
namespace {

using namespace control;

constexpr Envelope kOther{
    .version = kProtocolVersion, .epoch = 9, .job = 8, .incarnation = 7, .seq = 6};

// Bytes that a text or list of a message occupies.
template <typename T>
size_t content(const T& item) {
  if constexpr (requires { item.size(); })
    return item.size() * sizeof(*item.data());
  return 0;
}

size_t content(const Announce& m) {
  size_t sum = content(m.cached);
  for (const Announcement& item : m.full)
    sum += content(item.name) + content(item.signature.shape) + content(item.signature.splits) +
           content(item.signature.operand);
  return sum;
}

size_t content(const Round& m) {
  size_t sum = content(m.ready) + content(m.evicted);
  for (const Detail& item : m.details) sum += content(item.name) + content(item.extents);
  // A byte of a text for people takes four where it is escaped.
  for (const Rejection& item : m.rejected)
    sum += content(item.name) + item.why.message().size() / 4;
  return sum;
}

size_t content(const Welcome& m) {
  size_t sum = 0;
  for (const Member& item : m.members) sum += content(item.host) + content(item.address);
  return sum;
}

size_t content(const Join& m) {
  size_t sum = content(m.member.host) + content(m.member.address);
  for (const Setting& item : m.settings) sum += content(item.name) + content(item.value);
  return sum;
}

void check_member(const std::string& name) {
  const std::optional<MemberName> member = member_name(name);
  if (!member)
    return;
  require(!member->before.empty() && member->place >= 1, "a member is of a group");
  require(member->place <= member->count, "and one of so many");
  require(
      name_of_member(member->group(), member->place, member->count) == name,
      "a member has one name");
}

void check_limits(const Announce& m, const Limits& limits) {
  for (const Announcement& item : m.full) {
    require(
        item.name.empty() == (item.signature.kind == CollectiveKind::Join),
        "all have names but joins");
    require(item.name.size() <= limits.max_name_bytes, "names are bounded");
    require(item.signature.shape.size() <= limits.max_dims, "dimensions are bounded");
    require(item.signature.splits.size() <= limits.size, "splits are bounded");
    require(item.signature.operand.size() <= limits.size, "operands are bounded");
    require(
        item.signature.root >= 0 && item.signature.root < static_cast<int>(limits.size), "roots");
    check_member(item.name);
    (void)input_bytes(item.signature);
  }
}

void check_accepted(const Bytes& bytes, const Limits& limits) {
  const Result<Frame> first = decode(bytes, limits);
  if (!first) {
    require(first.status().code() == Code::InvalidArgument, "bad bytes are an invalid argument");
    require(!first.status().message().empty(), "an error says what is wrong");
    return;
  }
  const Frame& frame = first.value();
  require(
      std::visit([](const auto& body) { return content(body); }, frame.body) <= bytes.size(),
      "what is read is no more than what came");
  if (const auto* announce = std::get_if<Announce>(&frame.body))
    check_limits(*announce, limits);
  Limits roomy = limits;  // what came without padding may need some when said again
  roomy.max_frame_bytes = 1 << 20;
  Bytes again = encode(frame.envelope, frame.body);
  const Result<Frame> second = decode(again, roomy);
  require(second.has_value(), "what was accepted can be said again");
  require(second.value() == frame, "and means the same");
  restamp(again, kOther);
  const Result<Frame> third = decode(again, roomy);
  require(third && third.value().envelope == kOther, "another envelope can be put on it");
  require(third.value().body == frame.body, "without changing what it says");
}

Status shown(const Status& why) {
  return Status(why.code(), printable(why.message(), std::string::npos)).blame(why.culprit());
}

// As it is heard: texts for people are escaped, and causes cut.
Message shown(Message message) {
  if (auto* report = std::get_if<Report>(&message))
    report->failure.cause = printable_within(report->failure.cause, kMaxCauseBytes);
  else if (auto* failure = std::get_if<Failure>(&message))
    failure->failure.cause = printable_within(failure->failure.cause, kMaxCauseBytes);
  else if (auto* leave = std::get_if<Leave>(&message))
    leave->cause = printable_within(leave->cause, kMaxCauseBytes);
  else if (auto* refuse = std::get_if<Refuse>(&message))
    refuse->why = shown(refuse->why);
  else if (auto* failed = std::get_if<StoreError>(&message))
    failed->why = shown(failed->why);
  else if (auto* round = std::get_if<Round>(&message))
    for (Rejection& item : round->rejected) item.why = shown(item.why);
  return message;
}

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

// In one thing from what it was.
void differ(Input& in, Signature& s) {
  const int64_t rows[] = {0, 1, 2, 3, 5, 6, kMost / 64, kMost / 4, kMost};
  switch (in.below(8)) {
    case 0:
    case 1:
      if (!s.shape.empty())
        s.shape[0] = in.one_of(rows);
      return;
    case 2:
      s.shape.push_back(in.one_of(rows));
      return;
    case 3:
      s.splits.assign(in.below(kRanks + 1), in.one_of(rows));
      return;
    case 4:
      s.splits = {0, 1, 2};
      s.shape = {3};
      return;
    case 5:
      s.root = static_cast<int32_t>(in.below(kRanks));
      return;
    case 6:
      s.reduce = static_cast<ReduceOp>(in.below(kReduceOpCount));
      return;
    default:
      s.kind = static_cast<CollectiveKind>(in.below(kCollectiveKindCount));
  }
}

// Ranks that announce what they like under one name.
void check_validation(Input& in) {
  std::vector<int> ranks;
  std::vector<Signature> signatures;
  const size_t members = 2 + in.below(kRanks - 1);
  for (size_t rank = 0; rank < members; ++rank) {
    Announcement item = any_announcement(in);
    item.name = "t";
    if (rank > 0 && in.byte() < 192)
      item.signature = signatures.front();
    if (in.byte() < 96)
      differ(in, item.signature);
    const Bytes bytes = encode(kSampleEnvelope, Announce{{item}, {}});
    if (!decode(bytes, tight_limits()))
      return;  // never comes so far
    ranks.push_back(static_cast<int>(rank));
    signatures.push_back(std::move(item.signature));
  }
  const Result<std::vector<int64_t>> extents = validate("t", ranks, signatures);
  if (!extents) {
    require(!extents.status().message().empty(), "a mismatch says what differs");
    return;
  }
  const CollectiveKind kind = signatures.front().kind;
  const int root = signatures.front().root;
  const size_t tail =
      kind == CollectiveKind::Scatter ? signatures[static_cast<size_t>(root)].shape.size() - 1 : 0;
  const size_t wanted = gathers(kind)                      ? members
                        : kind == CollectiveKind::Alltoall ? members * members
                        : kind == CollectiveKind::Scatter  ? 2 + members + tail
                                                           : 0;
  require(extents.value().size() == wanted, "extents fit the kind");
  for (size_t rank = 0; rank < members; ++rank)
    require(signatures[rank].kind == kind, "only equal kinds fit together");
}

}  // namespace

void messages(Input in) {
  const uint8_t which = in.byte();
  if (which >= 250)
    return play_inquiries(in);
  const size_t mode = which % 5;
  if (mode == 0) {
    const std::string raw = in.rest();
    return check_accepted({raw.begin(), raw.end()}, tight_limits());
  }
  if (mode == 1) {
    const std::vector<Message> samples = sample_messages();
    Bytes bytes = encode(kSampleEnvelope, in.one_of(samples));
    spoil(in, bytes);
    return check_accepted(bytes, sample_limits());
  }
  if (mode == 2)
    return check_validation(in);
  const Message message = any_message(in);
  Bytes bytes = encode(kSampleEnvelope, message);
  if (mode == 3)
    spoil(in, bytes);
  else if (const Result<Frame> frame = decode(bytes, tight_limits()); frame)
    require(
        frame.value() == Frame{kSampleEnvelope, shown(message)}, "what is said is what is heard");
  check_accepted(bytes, tight_limits());
}

}  // namespace farandole::fuzz

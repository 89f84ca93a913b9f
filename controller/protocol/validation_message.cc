// Validation of messages: what one rank sends, and what another has memory for.

#include <algorithm>

#include "controller/protocol/mutation.h"
#include "controller/protocol/validation.h"
#include "core/base/format.h"
#include "core/request_check.h"
#include "core/way.h"

namespace farandole::control {
namespace {

// `float32 [2, 3]`.
std::string value_text(const Signature& s) {
  return fmt::format("{} [{}]", name_of(s.dtype), fmt::join(s.shape, ", "));
}

Status one_has_joined(const std::string& subject, Way way, int gone) {
  const bool sender = gone == way.from;
  return error(
      Code::Mismatch,
      "{}: rank {} has joined and {} nothing; what rank {} {} belongs before the join",
      subject,
      gone,
      sender ? "sends" : "receives",
      sender ? way.to : way.from,
      sender ? "receives from it" : "sends to it");
}

// Requires: both have announced it.
Status same_value(
    const std::string& subject, Way way, const Signature& sent, const Signature& received) {
  if (sent.device.type != received.device.type)
    return error(
        Code::Mismatch,
        "{}: ranks disagree on device: rank {} has {}, rank {} has {}; {}",
        subject,
        way.from,
        name_of(sent.device.type),
        way.to,
        name_of(received.device.type),
        kOneDevice);
  const bool has_memory = received.operand.size() > 1;
  if (!has_memory || (received.dtype == sent.dtype && received.shape == sent.shape))
    return Status::ok();
  return error(
      Code::Mismatch,
      "{}: rank {} sends {}, but rank {} has memory for {}; give memory for what is sent, or none",
      subject,
      way.from,
      value_text(sent),
      way.to,
      value_text(received));
}

}  // namespace

Result<std::vector<int64_t>> validate_message(
    const std::string& name,
    std::span<const int> ranks,
    std::span<const Signature> signatures,
    std::span<const int> joined) {
  const Way way = way_of(signatures.front());
  const std::string subject = describe(CollectiveKind::Message, name);
  if (!joined.empty() && !FARANDOLE_MUTATE(SendToTheJoined))
    return one_has_joined(subject, way, joined.front());
  const bool sender_first = ranks.front() == way.from;
  const Signature& sent = sender_first ? signatures.front() : signatures.back();
  const Signature& received = sender_first ? signatures.back() : signatures.front();
  FARANDOLE_RETURN_IF_ERROR(same_value(subject, way, sent, received));
  std::vector<int64_t> extents{
      static_cast<int64_t>(sent.dtype), sent.operand.size() > 1 ? sent.operand[1] : 0};
  extents.insert(extents.end(), sent.shape.begin(), sent.shape.end());
  int64_t sum = 0;  // what travels has one that exists
  for (const int64_t extent : extents)
    if (__builtin_add_overflow(sum, extent, &sum))
      return error(Code::InvalidArgument, "{}: it has more than 2^63 bytes", subject);
  return extents;
}

}  // namespace farandole::control

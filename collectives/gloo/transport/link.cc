#include "collectives/gloo/transport/link.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/format.h"

namespace farandole::gloo_transport {
namespace {

template <typename Vector>
auto find_slot(Vector& vector, uint64_t slot) {
  return std::find_if(
      vector.begin(), vector.end(), [slot](const auto& item) { return item.slot == slot; });
}

Status broken_protocol(std::string_view what) {
  return error(Code::PeerLost, "broke the protocol: it sent {}", what);
}

Status size_mismatch(uint64_t slot, uint64_t sent, uint64_t wanted) {
  return error(
      Code::PeerLost,
      "and this rank disagree on slot {:#x}: {} bytes are sent where {} are to be received",
      slot,
      sent,
      wanted);
}

}  // namespace

Status Link::send(const Send& send) {
  if (ended_)
    return lost("left");
  if (const auto credit = find_slot(credits_, send.slot); credit != credits_.end()) {
    if (credit->bytes != send.bytes)
      return size_mismatch(send.slot, send.bytes, credit->bytes);
    credits_.erase(credit);
    push_payload(Opcode::Data, send, 0);
    return Status::ok();
  }
  const bool first = find_slot(waiting_, send.slot) == waiting_.end();
  const size_t charge = eager_charge(send.bytes);
  if (first && send.bytes <= kEagerBytes && window_used_ + charge <= kEagerWindow) {
    window_used_ += charge;
    debts_.push_back({send.slot, send.bytes});
    push_payload(Opcode::Eager, send, 0);
    return Status::ok();
  }
  waiting_.push_back(send);
  answer_ask(send.slot);
  return Status::ok();
}

Status Link::receive(const Receive& receive) {
  const auto kept = find_slot(kept_, receive.slot);
  if (kept == kept_.end() && ended_)
    return lost("left");
  push_control({Opcode::Credit, receive.slot, receive.bytes, 0});
  if (kept == kept_.end()) {
    posted_.push_back(receive);
    return Status::ok();
  }
  if (kept->data.size() != receive.bytes)
    return size_mismatch(receive.slot, kept->data.size(), receive.bytes);
  if (receive.bytes > 0)
    std::memcpy(receive.data, kept->data.data(), receive.bytes);
  kept_charge_ -= eager_charge(receive.bytes);
  kept_.erase(kept);
  receive.sink->on_received(peer_);
  return Status::ok();
}

Status Link::write(const Send& send, uint64_t offset) {
  if (ended_)
    return lost("left");
  push_payload(Opcode::Write, send, offset);
  return Status::ok();
}

Status Link::expose(const Receive& buffer) {
  exposed_.push_back(buffer);
  if (!stalled_)
    return Status::ok();
  stalled_ = false;
  muted_ = false;
  return parse();
}

bool Link::has_kept(uint64_t slot) const noexcept {
  return find_slot(kept_, slot) != kept_.end();
}

Status Link::on_control(const Frame& frame) {
  switch (frame.opcode) {
    case Opcode::Credit:
      return on_credit(frame);
    case Opcode::Ask:
      return on_ask(frame.slot);
    case Opcode::Unask:
      on_unask(frame.slot);
      return Status::ok();
    case Opcode::Offer:
      return on_offer(frame.slot);
    default:
      return on_leave(frame);
  }
}

Status Link::on_credit(const Frame& frame) {
  if (const auto debt = find_slot(debts_, frame.slot); debt != debts_.end()) {
    if (debt->bytes != frame.length)
      return size_mismatch(frame.slot, debt->bytes, frame.length);
    window_used_ -= eager_charge(debt->bytes);
    debts_.erase(debt);
    return Status::ok();
  }
  if (const auto send = find_slot(waiting_, frame.slot); send != waiting_.end()) {
    if (send->bytes != frame.length)
      return size_mismatch(frame.slot, send->bytes, frame.length);
    push_payload(Opcode::Data, *send, 0);
    waiting_.erase(send);
    return Status::ok();
  }
  if (credits_.size() >= kMaxOutstanding)
    return broken_protocol("too many credits");
  credits_.push_back({frame.slot, frame.length});
  return Status::ok();
}

Status Link::on_ask(uint64_t slot) {
  if (find_slot(waiting_, slot) != waiting_.end())
    return push_answer({Opcode::Offer, slot, 0, 0});
  if (const auto found = find_slot(asked_, slot); found != asked_.end()) {
    found->count = std::min(found->count + 1, kMaxOutstanding);
    return Status::ok();
  }
  if (asked_.size() >= kMaxOutstanding)
    return broken_protocol("too many questions");
  asked_.push_back({slot, 1});
  return Status::ok();
}

void Link::on_unask(uint64_t slot) noexcept {
  // None is left where the question crossed its answer.
  if (const auto found = find_slot(asked_, slot); found != asked_.end() && --found->count == 0)
    asked_.erase(found);
}

bool Link::answer_ask(uint64_t slot) {
  if (find_slot(asked_, slot) == asked_.end())
    return false;
  on_unask(slot);
  push_control({Opcode::Offer, slot, 0, 0});
  return true;
}

Status Link::on_offer(uint64_t slot) {
  if (find_slot(posted_, slot) != posted_.end()) {
    // The send offered may be the one that the posted receive's credit, still under way, will
    // release. Asked again behind that credit, the peer knows.
    return any_.wants(peer_, slot) ? push_answer({Opcode::Ask, slot, 0, 0}) : Status::ok();
  }
  Receive receive;
  if (any_.take(peer_, slot, true, receive)) {
    push_control({Opcode::Credit, slot, receive.bytes, 0});
    posted_.push_back(receive);
  }
  return Status::ok();
}

Status Link::on_leave(const Frame& frame) {
  left_ = true;
  if (frame.slot == static_cast<uint64_t>(Parting::Orderly))
    return Status::ok();
  named_culprit_ = frame.offset <= INT32_MAX ? static_cast<int>(frame.offset) - 1 : -1;
  return lost("gave up");
}

Status Link::begin_body(const Frame& frame) {
  in_body_ = true;
  if (frame.opcode == Opcode::Eager)
    return begin_eager(frame);
  if (frame.opcode == Opcode::Write)
    return begin_write(frame);
  const auto found = find_slot(posted_, frame.slot);
  if (found == posted_.end())
    return broken_protocol("data that nobody waits for");
  if (found->bytes != frame.length)
    return size_mismatch(frame.slot, frame.length, found->bytes);
  deliver_into(*found);
  posted_.erase(found);
  return Status::ok();
}

Status Link::begin_eager(const Frame& frame) {
  Receive receive;
  if (const auto found = find_slot(posted_, frame.slot); found != posted_.end()) {
    receive = *found;
    posted_.erase(found);
  } else if (any_.take(peer_, frame.slot, false, receive)) {
    push_control({Opcode::Credit, frame.slot, receive.bytes, 0});
  } else {
    const size_t room = kEagerWindow - kept_charge_;
    if (frame.length > kEagerBytes || eager_charge(frame.length) > room)
      return broken_protocol("more than fits its window");
    kept_charge_ += eager_charge(frame.length);
    incoming_ = {frame.slot, std::vector<uint8_t>(frame.length)};
    to_keep_ = true;
    deliver_into({nullptr, frame.slot, incoming_.data.data(), frame.length});
    return Status::ok();
  }
  if (receive.bytes != frame.length)
    return size_mismatch(frame.slot, frame.length, receive.bytes);
  deliver_into(receive);
  return Status::ok();
}

Status Link::begin_write(const Frame& frame) {
  const Receive* buffer = exposed(frame.slot);
  if (frame.offset > buffer->bytes || frame.length > buffer->bytes - frame.offset)
    return broken_protocol("a write beyond the registered buffer");
  deliver_into({buffer->sink, frame.slot, buffer->data + frame.offset, frame.length});
  return Status::ok();
}

Status Link::finish_body() {
  in_body_ = false;
  if (!to_keep_) {
    std::exchange(body_sink_, nullptr)->on_received(peer_);
    return Status::ok();
  }
  to_keep_ = false;
  return settle_kept();
}

// A receive may have been posted while its message was still coming in.
Status Link::settle_kept() {
  Receive receive;
  const auto found = find_slot(posted_, incoming_.slot);
  if (found != posted_.end()) {
    receive = *found;
    posted_.erase(found);
  } else if (any_.take(peer_, incoming_.slot, false, receive)) {
    push_control({Opcode::Credit, receive.slot, receive.bytes, 0});
  } else {
    kept_.push_back(std::move(incoming_));
    return Status::ok();
  }
  if (receive.bytes != incoming_.data.size())
    return size_mismatch(receive.slot, incoming_.data.size(), receive.bytes);
  if (receive.bytes > 0)
    std::memcpy(receive.data, incoming_.data.data(), receive.bytes);
  kept_charge_ -= eager_charge(receive.bytes);
  receive.sink->on_received(peer_);
  return Status::ok();
}

Receive* Link::exposed(uint64_t slot) noexcept {
  const auto found = find_slot(exposed_, slot);
  return found == exposed_.end() ? nullptr : &*found;
}

void Link::deliver_into(const Receive& receive) noexcept {
  body_sink_ = receive.sink;
  body_ = receive.data;
  body_left_ = receive.bytes;
}

void Link::push_control(const Frame& frame) {
  if (!ended_)
    queue_.push_back({encode(frame), nullptr, 0, 0, nullptr});
}

// Who asks without end and reads nothing does not make the queue grow without end.
Status Link::push_answer(const Frame& frame) {
  if (queue_.size() >= kMaxOutstanding)
    return broken_protocol("questions without reading the answers");
  push_control(frame);
  return Status::ok();
}

void Link::push_payload(Opcode opcode, const Send& send, uint64_t offset) {
  queue_.push_back(
      {encode({opcode, send.slot, send.bytes, offset}), send.data, send.bytes, 0, send.sink});
}

bool Link::forget(const Sink* sink) noexcept {
  const auto is_of = [sink](const auto& item) { return item.sink == sink; };
  size_t found = std::erase_if(posted_, is_of) + std::erase_if(waiting_, is_of);
  found += static_cast<size_t>(std::count_if(queue_.begin(), queue_.end(), is_of));
  std::erase_if(exposed_, is_of);  // a registered buffer alone is no work undone
  return found > 0 || (in_body_ && body_sink_ == sink);
}

}  // namespace farandole::gloo_transport

#include "tests/sim/wire.h"

#include <algorithm>
#include <utility>

namespace farandole::sim {

void Path::unblock() {
  if (--blocks_ > 0)
    return;
  for (Task& task : std::exchange(held_, {}))
    scheduler_.after(
        random_.between(Duration(0), options_.retry),
        [this, task = std::move(task)]() mutable { carry(std::move(task)); });
}

void Path::carry(Task arrive) {
  const Duration delay = random_.between(options_.least, options_.most);
  scheduler_.after(delay, [this, arrive = std::move(arrive)]() mutable {
    if (open())
      arrive();
    else
      held_.push_back(std::move(arrive));
  });
}

size_t Pipe::write(std::span<const uint8_t> bytes) {
  const size_t used = flying_ + arrived_.size();
  const size_t room = capacity_ - std::min(capacity_, used);
  const size_t taken = std::min(room, bytes.size());
  full_ = taken < bytes.size();
  for (size_t at = 0; at < taken;) {
    const size_t left = taken - at;
    const size_t count = path_.random().chance(30) ? 1 + path_.random().below(left) : left;
    const auto part = bytes.subspan(at, count);
    send({Kind::Bytes, {part.begin(), part.end()}});
    at += count;
  }
  return taken;
}

void Pipe::finish() {
  send({Kind::Fin, {}});
}

// Nothing is sent again once the sender has reset.
void Pipe::reset() {
  if (path_.random().chance(50)) {
    flight_.resize(std::min<size_t>(flight_.size(), moving_ ? 1 : 0));
    flying_ = flight_.empty() ? 0 : flight_.front().bytes.size();
  }
  send({Kind::Reset, {}});
}

void Pipe::cut_off() {
  if (broken_ || abandoned_)
    return;
  broken_ = true;
  if (readable)
    readable();
}

void Pipe::send(Piece piece) {
  flying_ += piece.bytes.size();
  flight_.push_back(std::move(piece));
  depart();
}

void Pipe::depart() {
  if (moving_ || flight_.empty())
    return;
  moving_ = true;
  path_.carry([self = shared_from_this()] {
    self->moving_ = false;
    // All that travelled together.
    for (bool first = true; !self->flight_.empty(); first = false) {
      if (!first && self->path_.random().chance(50))
        break;
      Piece piece = std::move(self->flight_.front());
      self->flight_.pop_front();
      self->arrive(std::move(piece));
    }
    self->depart();
  });
}

void Pipe::arrive(Piece piece) {
  flying_ -= piece.bytes.size();
  if (abandoned_) {
    if (piece.kind == Kind::Bytes && refuse_)
      std::exchange(refuse_, nullptr)();
    return;
  }
  if (broken_ || ended_)
    return;
  arrived_.insert(arrived_.end(), piece.bytes.begin(), piece.bytes.end());
  ended_ = piece.kind == Kind::Fin;
  broken_ = piece.kind == Kind::Reset;
  if (readable)
    readable();
}

size_t Pipe::read(std::span<uint8_t> space) {
  const size_t count = std::min(space.size(), arrived_.size());
  const auto end = arrived_.begin() + static_cast<ptrdiff_t>(count);
  std::copy(arrived_.begin(), end, space.begin());
  arrived_.erase(arrived_.begin(), end);
  if (count > 0 && std::exchange(full_, false) && writable)
    writable();
  return count;
}

void Pipe::abandon(Task refuse) {
  abandoned_ = true;
  refuse_ = std::move(refuse);
  arrived_.clear();
  readable = nullptr;
}

void Socket::close(bool said) {
  if (std::exchange(closed, true))
    return;
  const bool unread = in->has_bytes();
  if (unread && !reset)
    out->reset();
  else if (!said && !reset)
    out->finish();
  out->writable = nullptr;
  // Each end refers to the other here; what keeps both is the network.
  in->abandon([back = std::weak_ptr(out)] {
    if (const std::shared_ptr<Pipe> pipe = back.lock())
      pipe->reset();
  });
}

}  // namespace farandole::sim

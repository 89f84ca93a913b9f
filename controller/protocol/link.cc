#include "controller/protocol/link.h"

#include "controller/protocol/mutation.h"

namespace farandole::control {

Envelope Link::next() noexcept {
  return {
      .version = kProtocolVersion,
      .epoch = epoch_,
      .job = job_,
      .incarnation = own_,
      .seq = ++sent_};
}

bool Link::accept(const Envelope& envelope) noexcept {
  if (envelope.job != job_ && !FARANDOLE_MUTATE(AcceptAnyJob)) {
    ++dropped_.job;
    return false;
  }
  if (envelope.epoch != epoch_ && envelope.epoch != before_ && !FARANDOLE_MUTATE(AcceptAnyEpoch)) {
    ++dropped_.epoch;
    return false;
  }
  if (peer_known_ && envelope.incarnation != peer_ && !FARANDOLE_MUTATE(AcceptAnyIncarnation)) {
    ++dropped_.incarnation;
    return false;
  }
  if (envelope.seq <= received_ && !FARANDOLE_MUTATE(AcceptAnySeq)) {
    ++dropped_.seq;
    return false;
  }
  if (envelope.epoch == epoch_)
    before_.reset();
  peer_ = envelope.incarnation;
  peer_known_ = true;
  received_ = envelope.seq;
  return true;
}

void Link::forget_peer() noexcept {
  peer_known_ = false;
  peer_ = 0;
  received_ = 0;
}

}  // namespace farandole::control

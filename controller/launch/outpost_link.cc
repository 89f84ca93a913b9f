#include "controller/launch/outpost_link.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {

Result<OutpostLink> OutpostLink::over(UniqueFd in, UniqueFd out, size_t most, bool greeted) {
  for (const UniqueFd* fd : {&in, &out}) {
    if (FARANDOLE_FAIL_CALL("outpost_link.over.fcntl", fcntl(fd->get(), F_SETFL, O_NONBLOCK)) != 0)
      return system_error("fcntl(F_SETFL)", errno);
  }
  return OutpostLink(std::move(in), std::move(out), most, greeted);
}

void OutpostLink::send(FrameKind kind, net::ByteSpan body) {
  if (!out_)
    return;
  // Straight into what is wiped once it was sent: it may be the job's secret.
  outbox_ += encode_head(kind, body.size());
  outbox_.append(reinterpret_cast<const char*>(body.data()), body.size());
  flush();
}

void OutpostLink::send_text(std::string_view text) {
  if (!out_)
    return;
  outbox_ += text;
  flush();
}

void OutpostLink::flush() {
  size_t sent = 0;
  while (out_ && sent < outbox_.size()) {
    const ssize_t wrote = uninterrupted([&] {
      return FARANDOLE_FAIL_CALL(
          "outpost_link.flush.write",
          write(
              out_.get(),
              outbox_.data() + sent,
              FARANDOLE_FAIL_SIZE("outpost_link.flush.write", outbox_.size() - sent)));
    });
    if (wrote < 0 && errno != EAGAIN)
      return close_out();
    if (wrote < 0)
      break;
    sent += static_cast<size_t>(wrote);
  }
  explicit_bzero(outbox_.data(), sent);  // the job's secret was among it
  outbox_.erase(0, sent);
}

OutpostLink::Read OutpostLink::read_some() {
  std::array<char, 4 * kPieceBytes> buffer;
  if (!in_)
    return Read::End;
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "outpost_link.read_some.read", read(in_.get(), buffer.data(), buffer.size()));
  });
  if (got > 0) {
    reader_.feed({buffer.data(), static_cast<size_t>(got)});
    explicit_bzero(buffer.data(), static_cast<size_t>(got));
    return Read::Some;
  }
  if (got < 0 && errno == EAGAIN)
    return Read::NothingYet;
  in_.reset();
  return Read::End;
}

void OutpostLink::close_out() noexcept {
  out_.reset();
  outbox_.clear();
}

void OutpostLink::close() noexcept {
  in_.reset();
  close_out();
}

}  // namespace farandole::launch

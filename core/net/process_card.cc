#include "core/net/process_card.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/failpoint.h"

namespace farandole::net {
namespace {

constexpr size_t kBootBytes = 36;  // a UUID as text

std::string boot_id() {
  const UniqueFd file(FARANDOLE_FAIL_CALL(
      "process_card.boot_id.open", open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)));
  char text[kBootBytes] = {};
  if (!file ||
      FARANDOLE_FAIL_CALL("process_card.boot_id.read", read(file.get(), text, sizeof(text))) !=
          static_cast<ssize_t>(sizeof(text)))
    return {};
  return {text, sizeof(text)};
}

}  // namespace

ProcessCard ProcessCard::own() {
  struct stat space {};
  const bool known =
      FARANDOLE_FAIL_CALL("process_card.own.stat", stat("/proc/self/ns/pid", &space)) == 0;
  return {boot_id(), known ? space.st_ino : 0, getpid()};
}

void ProcessCard::encode(Bytes& to) const {
  ByteWriter writer(to);
  writer.put_text(boot);
  writer.put(pid_space);
  writer.put(static_cast<uint64_t>(pid));
}

std::optional<ProcessCard> ProcessCard::decode(ByteReader& from) {
  ProcessCard card;
  card.boot = from.get_text();
  card.pid_space = from.get<uint64_t>();
  card.pid = static_cast<int64_t>(from.get<uint64_t>());
  if (!from.finished() || card.boot.size() > kBootBytes || card.pid <= 0 || card.pid > INT32_MAX)
    return std::nullopt;
  return card;
}

UniqueFd watch_process(const ProcessCard& own, const ProcessCard& other) {
  const bool same_space = !own.boot.empty() && own.boot == other.boot && own.pid_space != 0 &&
                          own.pid_space == other.pid_space;
  if (!same_space || own.pid == other.pid)
    return {};
  // Close-on-exec by definition.
  UniqueFd process(static_cast<int>(FARANDOLE_FAIL_CALL(
      "process_card.watch_process.syscall",
      syscall(SYS_pidfd_open, static_cast<pid_t>(other.pid), 0))));
  if (process || errno != ESRCH)
    return process;
  // It has ended already, and somebody has waited for it.
  return UniqueFd(FARANDOLE_FAIL_CALL(
      "process_card.watch_process.eventfd", eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)));
}

}  // namespace farandole::net

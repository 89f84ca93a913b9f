#include "core/timeline_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole {
namespace {

// A first item, so that all others have one before them.
constexpr std::string_view kBegin =
    "[\n{\"ph\":\"M\",\"name\":\"farandole\",\"pid\":0,\"args\":{\"format\":1}}";
constexpr std::string_view kEnd = "\n]\n";

Status unusable(const std::string& path, const char* call) {
  const Status why = system_error(call, errno);
  return error(why.code(), "timeline {}: {}", printable(path, 256), why.message());
}

}  // namespace

Result<TimelineFile> TimelineFile::open(const std::string& path) {
  // Who reads a pipe may never come.
  UniqueFd fd(FARANDOLE_FAIL_CALL(
      "timeline_file.open",
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666)));
  if (!fd)
    return unusable(path, "open");
  struct stat info {};
  if (FARANDOLE_FAIL_CALL("timeline_file.fstat", ::fstat(fd.get(), &info)) != 0)
    return unusable(path, "fstat");
  if (!S_ISREG(info.st_mode))
    return error(
        Code::InvalidArgument,
        "timeline {}: it is not an ordinary file; name one",
        printable(path, 256));
  TimelineFile file(path, std::move(fd));
  FARANDOLE_RETURN_IF_ERROR(file.write_at(0, std::string(kBegin) + std::string(kEnd)));
  file.end_ = kBegin.size();
  const off_t size = static_cast<off_t>(kBegin.size() + kEnd.size());
  if (FARANDOLE_FAIL_CALL("timeline_file.ftruncate", ::ftruncate(file.fd_.get(), size)) != 0)
    return unusable(path, "ftruncate");
  return file;
}

Status TimelineFile::write_at(uint64_t place, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = uninterrupted([&] {
      return FARANDOLE_FAIL_CALL(
          "timeline_file.pwrite",
          ::pwrite(
              fd_.get(),
              bytes.data(),
              FARANDOLE_FAIL_SIZE("timeline_file.pwrite", bytes.size()),
              static_cast<off_t>(place)));
    });
    if (written <= 0)
      return unusable(path_, "write");
    bytes.remove_prefix(static_cast<size_t>(written));
    place += static_cast<uint64_t>(written);
  }
  return Status::ok();
}

Status TimelineFile::append(std::string_view items) {
  if (items.empty())
    return Status::ok();
  std::string whole;
  whole.reserve(items.size() + kEnd.size());
  whole.append(items).append(kEnd);
  const Status status = write_at(end_, whole);
  if (status) {
    end_ += items.size();
    return status;
  }
  // What there was room for is taken back; the end stands where it stood, which takes no new room.
  static_cast<void>(write_at(end_, kEnd));
  const off_t size = static_cast<off_t>(end_ + kEnd.size());
  if (FARANDOLE_FAIL_CALL("timeline_file.ftruncate", ::ftruncate(fd_.get(), size)) != 0)
    return unusable(path_, "ftruncate");
  return status;
}

}  // namespace farandole

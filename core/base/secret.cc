#include "core/base/secret.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole {
namespace {

constexpr size_t kMaxBytes = 4096;

struct OpenFile {
  int fd = -1;
  ~OpenFile() {
    if (fd >= 0)
      close(fd);
  }
};

}  // namespace

Status fill_random(std::span<uint8_t> bytes) {
  if (FARANDOLE_FAIL_CALL(
          "secret.fill_random.getrandom", getrandom(bytes.data(), bytes.size(), 0)) !=
      static_cast<ssize_t>(bytes.size()))
    return system_error("getrandom", errno);
  return Status::ok();
}

Secret::Secret(SecretMemory memory) : memory_(std::make_shared<SecretMemory>(std::move(memory))) {}

Secret::Secret(std::span<const uint8_t> bytes) : Secret(SecretMemory(bytes.size())) {
  std::copy(bytes.begin(), bytes.end(), memory_->bytes().begin());
}

Result<Secret> Secret::random() {
  SecretMemory memory(kMinBytes);
  FARANDOLE_RETURN_IF_ERROR(fill_random(memory.bytes()));
  return Secret(std::move(memory));
}

Result<Secret> Secret::from_file(const std::string& path) {
  OpenFile file{FARANDOLE_FAIL_CALL(
      "secret.from_file.open", open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY))};
  if (file.fd < 0)
    return system_error("cannot read the job's secret from " + printable(path, 256), errno);
  struct stat info {};
  if (FARANDOLE_FAIL_CALL("secret.from_file.fstat", fstat(file.fd, &info)) != 0)
    return system_error("fstat", errno);
  if (info.st_mode & 077)
    return error(
        Code::InvalidArgument,
        "the secret file {} can be read by others than its owner (mode {:o}); make it 0400",
        printable(path, 256),
        info.st_mode & 0777);
  SecretMemory memory(kMaxBytes + 1);
  const std::span<uint8_t> bytes = memory.bytes();
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = FARANDOLE_FAIL_CALL(
        "secret.from_file.pread",
        pread(file.fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have)));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return system_error("cannot read the job's secret from " + printable(path, 256), errno);
    if (got == 0)
      break;
    have += static_cast<size_t>(got);
  }
  if (have < kMinBytes || have > kMaxBytes)
    return error(
        Code::InvalidArgument,
        "the secret file {} holds {} bytes; {} to {} are wanted",
        printable(path, 256),
        have,
        kMinBytes,
        kMaxBytes);
  return Secret(bytes.first(have));
}

}  // namespace farandole

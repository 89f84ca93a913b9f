#include "controller/launch/job_resources.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

Result<UniqueFd> secret_file(const Secret& secret) {
  UniqueFd file(FARANDOLE_FAIL_CALL(
      "job_resources.secret_file.memfd_create",
      memfd_create("farandole-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  if (!file)
    return system_error("memfd_create", errno);
  const auto bytes = secret.bytes();
  if (uninterrupted([&] {
        return FARANDOLE_FAIL_CALL(
            "job_resources.secret_file.write", write(file.get(), bytes.data(), bytes.size()));
      }) != static_cast<ssize_t>(bytes.size()))
    return system_error("write to a memory file", errno);
  if (FARANDOLE_FAIL_CALL("job_resources.secret_file.fchmod", fchmod(file.get(), S_IRUSR)) != 0)
    return system_error("fchmod", errno);
  const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (FARANDOLE_FAIL_CALL(
          "job_resources.secret_file.fcntl", fcntl(file.get(), F_ADD_SEALS, seals)) != 0)
    return system_error("fcntl(F_ADD_SEALS)", errno);
  return file;
}

}  // namespace

Result<JobKeys> make_job_keys() {
  std::array<uint8_t, 8> name{};
  if (FARANDOLE_FAIL_CALL(
          "job_resources.make_job_keys.getrandom", getrandom(name.data(), name.size(), 0)) !=
      static_cast<ssize_t>(name.size()))
    return system_error("getrandom", errno);
  JobKeys keys;
  for (const uint8_t byte : name) keys.job += fmt::format("{:02x}", byte);
  auto secret = Secret::random();
  if (!secret)
    return secret.status();
  keys.secret = std::move(secret).value();
  return keys;
}

Result<JobResources> make_job_resources(const JobKeys& keys, HeldPort port) {
  auto secret = secret_file(keys.secret);
  if (!secret)
    return secret.status();
  return JobResources{
      keys.job, std::move(secret).value(), std::move(port.holder), std::move(port.endpoint)};
}

}  // namespace farandole::launch

#include "collectives/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::shm {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// Bytes that the machine can still give, or nothing where it does not say.
std::optional<uint64_t> available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes && std::getline(file, unit)) {
    if (key == "MemAvailable:")
      return kilobytes * 1024;
  }
  return std::nullopt;
}

Status no_room(size_t bytes, std::string_view why) {
  return error(
      Code::Unsupported, "no room for {} bytes of shared memory between ranks: {}", bytes, why);
}

// Asked beforehand, because the kernel would kill processes for the first and raise SIGXFSZ for
// the second.
Status check_room(size_t bytes) {
  if (const auto available = available_bytes(); available && *available < bytes)
    return no_room(bytes, fmt::format("{} bytes of memory are free", *available));
  rlimit limit{};
  if (FARANDOLE_FAIL_CALL("segment.check_room.getrlimit", ::getrlimit(RLIMIT_FSIZE, &limit)) == 0 &&
      limit.rlim_cur < bytes)
    return no_room(
        bytes, fmt::format("the limit of a file's size is {} bytes", uint64_t{limit.rlim_cur}));
  return Status::ok();
}

Status reserve(int fd, size_t bytes) {
  const int result = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "segment.reserve.fallocate", ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)));
  });
  if (result == 0)
    return Status::ok();
  const int why = errno;
  if (why == ENOSPC || why == ENOMEM)
    return no_room(bytes, system_error("fallocate", why).message());
  return system_error("fallocate of shared memory", why);
}

}  // namespace

Result<Geometry> check_header(
    const Header& header, size_t bytes, uint32_t members, uint64_t group) {
  // Copied once: the other members can write there at any time.
  const Geometry geometry{header.members, header.slots, header.slot_bytes};
  if (header.magic == kMagic && header.version == kVersion && header.group == group &&
      geometry.members == members && geometry.is_sane() && geometry.total_bytes() == bytes)
    return geometry;
  return error(
      Code::Mismatch,
      "shared memory is not this group's: magic {:x}, version {}, group {:x} of {} members, {} "
      "slots of {} bytes in {}; wanted magic {:x}, version {}, group {:x} of {} members",
      header.magic,
      header.version,
      header.group,
      geometry.members,
      geometry.slots,
      geometry.slot_bytes,
      bytes,
      kMagic,
      kVersion,
      group,
      members);
}

SharedSegment::SharedSegment(Mapping mapping, const Geometry& geometry) noexcept
    : mapping_(std::move(mapping)),
      slots_(mapping_.get() + geometry.control_bytes()),
      geometry_(geometry) {}

Result<SharedSegment::Mapping> SharedSegment::map(const UniqueFd& fd, size_t bytes) {
  // Populated at once: otherwise the first operations would pay for the page faults.
  void* base = FARANDOLE_FAIL_CALL(
      "segment.map.mmap",
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0));
  if (base == MAP_FAILED) {
    const int why = errno;
    if (why == ENOMEM)
      return no_room(bytes, system_error("mmap", why).message());
    return system_error("mmap of shared memory", why);
  }
  Mapping mapping(static_cast<std::byte*>(base), [bytes](std::byte* p) { ::munmap(p, bytes); });
  // A forked child has no part in the group and must not keep its memory alive.
  (void)FARANDOLE_FAIL_CALL("segment.map.madvise", ::madvise(base, bytes, MADV_DONTFORK));
  return mapping;
}

std::span<RankLines> SharedSegment::lines() const noexcept {
  return {reinterpret_cast<RankLines*>(mapping_.get() + sizeof(Header)), geometry_.members};
}

Result<std::pair<SharedSegment, UniqueFd>> SharedSegment::create(
    const Geometry& geometry, uint64_t group) {
  const size_t bytes = geometry.total_bytes();
  FARANDOLE_RETURN_IF_ERROR(check_room(bytes));
  UniqueFd fd(FARANDOLE_FAIL_CALL(
      "segment.create.memfd_create", ::memfd_create("farandole", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  if (!fd)
    return system_error("memfd_create", errno);
  FARANDOLE_RETURN_IF_ERROR(reserve(fd.get(), bytes));
  if (FARANDOLE_FAIL_CALL("segment.create.fcntl", ::fcntl(fd.get(), F_ADD_SEALS, kSeals)) != 0)
    return system_error("sealing of shared memory", errno);
  const Result<Mapping> mapping = map(fd, bytes);
  if (!mapping)
    return mapping.status();
  SharedSegment segment(mapping.value(), geometry);
  Header* header = new (mapping.value().get()) Header;
  header->members = geometry.members;
  header->group = group;
  header->slots = geometry.slots;
  header->slot_bytes = geometry.slot_bytes;
  header->version = kVersion;
  header->magic = kMagic;
  for (RankLines& lines : segment.lines()) new (&lines) RankLines;
  return std::pair(std::move(segment), std::move(fd));
}

Result<SharedSegment> SharedSegment::attach(const UniqueFd& fd, uint32_t members, uint64_t group) {
  struct stat about {};
  if (FARANDOLE_FAIL_CALL("segment.attach.fstat", ::fstat(fd.get(), &about)) != 0)
    return system_error("fstat of shared memory", errno);
  const int seals = FARANDOLE_FAIL_CALL("segment.attach.fcntl", ::fcntl(fd.get(), F_GET_SEALS));
  if (seals < 0 || (seals & kSeals) != kSeals)
    return error(Code::Mismatch, "shared memory is not sealed as it must be (seals {})", seals);
  const auto bytes = static_cast<size_t>(about.st_size);
  if (bytes < sizeof(Header))
    return error(Code::Mismatch, "shared memory of {} bytes is too small", bytes);
  const Result<Mapping> mapping = map(fd, bytes);
  if (!mapping)
    return mapping.status();
  const Header& header = *reinterpret_cast<const Header*>(mapping.value().get());
  const Result<Geometry> geometry = check_header(header, bytes, members, group);
  if (!geometry)
    return geometry.status();
  return SharedSegment(mapping.value(), geometry.value());
}

}  // namespace farandole::shm

#pragma once
// SharedSegment: the memory of one group, mapped. It has no name anywhere: the kernel frees it when
// the last member has unmapped it, however that member ended.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "collectives/shm/layout.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::shm {

// What a member that attaches wants to find, against what lies at the beginning of `bytes` bytes of
// shared memory. Pure. Fails: Mismatch saying what is there and what is wanted.
Result<Geometry> check_header(const Header& header, size_t bytes, uint32_t members, uint64_t group);

// Owns: the mapping, which stays valid whatever other members do (it is sealed against shrinking).
class SharedSegment {
 public:
  // Memory for a new group, all of it reserved, zeroed and sealed, and a descriptor to hand over.
  // Fails: Unsupported where there is no room for it; System.
  static Result<std::pair<SharedSegment, UniqueFd>> create(
      const Geometry& geometry, uint64_t group);
  // Maps what a member of the same group created. Fails: System, Mismatch where it is not sealed,
  // or not the memory of this group in this version.
  static Result<SharedSegment> attach(const UniqueFd& fd, uint32_t members, uint64_t group);

  SharedSegment(SharedSegment&&) noexcept = default;
  SharedSegment& operator=(SharedSegment&&) noexcept = default;
  // The same mapping once more, for ranks that are threads of one process: a race detector knows
  // memory by its address, so it compares only those that share one.
  SharedSegment same_mapping() const { return {mapping_, geometry_}; }

  const Geometry& geometry() const noexcept { return geometry_; }
  Header& header() const noexcept { return *reinterpret_cast<Header*>(mapping_.get()); }
  std::span<RankLines> lines() const noexcept;
  // Requires: member < members. Any step: slots are used in turn.
  std::byte* slot(uint32_t member, uint64_t step) const noexcept {
    const size_t place = size_t{member} * geometry_.slots + step % geometry_.slots;
    return slots_ + place * geometry_.slot_bytes;
  }

 private:
  using Mapping = std::shared_ptr<std::byte>;

  SharedSegment(Mapping mapping, const Geometry& geometry) noexcept;

  static Result<Mapping> map(const UniqueFd& fd, size_t bytes);

  Mapping mapping_;
  std::byte* slots_;
  Geometry geometry_;  // a copy: what others write later cannot change it
};

}  // namespace farandole::shm

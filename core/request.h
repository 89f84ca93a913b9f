#pragma once
// What a caller asks for, and the part of it on which all ranks must agree.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace farandole {

// Everything about a collective that other ranks need to know. Compared between ranks: all fields
// but those the kind allows to differ (allgather, gather: shape[0]; alltoall: shape[0] and splits).
// Of a scatter the root alone says dtype, shape, splits and operand; the others' are those of a
// Signature as it is made. Of a message the root, who sends it, says dtype, shape and a number, and
// the receiver what its memory is for, where it has some: else, too, that of a Signature as made.
struct Signature {
  CollectiveKind kind = CollectiveKind::Allreduce;
  ReduceOp reduce = ReduceOp::Sum;  // of kinds that reduce
  DType dtype = DType::Float32;
  DeviceId device;
  uint32_t process_set = 0;
  int32_t root = 0;  // of kinds that have one: its global rank
  double prescale = 1.0;
  double postscale = 1.0;
  std::vector<int64_t> shape;   // of this rank's input; empty = 0-dim
  std::vector<int64_t> splits;  // alltoall, scatter: rows for each member; empty = equal parts
  // add_process_set: ranks of the new set, ascending; remove_process_set: its id; scatter: nothing,
  // or a number that the root tells the others, of which only they know the meaning; message: the
  // rank that it goes to, and maybe one number more: of the root as of scatter's, of the receiver
  // kHasMemory.
  std::vector<int64_t> operand;

  bool operator==(const Signature&) const = default;
};

// What the receiver of a message says beside its rank, where dtype and shape are those of its
// memory.
inline constexpr int64_t kHasMemory = 1;

// One announced tensor: name and signature. A join has no name: a process set has one at a time.
struct Announcement {
  std::string name;
  Signature signature;
};

// One submitted tensor. Memory is borrowed: it must stay valid until the ticket has settled.
struct Request {
  // Empty: Session gives "allreduce.noname.7", but to a join. That of a message gets its way
  // (way.h), be it given or not.
  std::string name;
  Signature signature;
  // Contiguous, shape of the signature; may be null when empty, and of a scatter or message on
  // other ranks than its root.
  const void* in = nullptr;
  // Contiguous memory for the result, or null: Farandole allocates it (Ticket::result()). May be
  // `in` itself for allreduce, broadcast and reduce. Not looked at where there is no result: of a
  // reduce or gather on other ranks than its root, of a message on its root. The receiver of a
  // message that gives it says by its signature what it is for.
  void* out = nullptr;
  StreamHandle stream = 0;
};

// What a rank that is not the root of a scatter or message has as its signature; of a message: that
// has memory, or has none, for what the root sends.
Signature of_receiver(const Signature& told, bool has_memory = false);

int64_t element_count(const std::vector<int64_t>& shape) noexcept;
// Elements in one row: the product of all dimensions but the first.
int64_t row_elements(const std::vector<int64_t>& shape) noexcept;

}  // namespace farandole

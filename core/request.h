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
// Signature as it is made.
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
  // or a number that the root tells the others, of which only they know the meaning.
  std::vector<int64_t> operand;

  bool operator==(const Signature&) const = default;
};

// One announced tensor: name and signature. A join has no name: a process set has one at a time.
struct Announcement {
  std::string name;
  Signature signature;
};

// One submitted tensor. Memory is borrowed: it must stay valid until the ticket has settled.
struct Request {
  std::string name;  // empty: Session gives "allreduce.noname.7", but to a join
  Signature signature;
  const void* in = nullptr;  // contiguous, shape of the signature; may be null when empty, and of a
                             // scatter on other ranks than its root
  // Contiguous memory for the result, or null: Farandole allocates it (Ticket::result()). May be
  // `in` itself for allreduce, broadcast and reduce. Not looked at where there is no result: of a
  // reduce or gather on other ranks than its root.
  void* out = nullptr;
  StreamHandle stream = 0;
};

// What a rank that is not the root of a scatter has as its signature.
Signature of_receiver(const Signature& scatter);

int64_t element_count(const std::vector<int64_t>& shape) noexcept;
// Elements in one row: the product of all dimensions but the first.
int64_t row_elements(const std::vector<int64_t>& shape) noexcept;

}  // namespace farandole

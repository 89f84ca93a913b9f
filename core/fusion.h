#pragma once
// Fusion: which tensors of one round travel together. Pure: every rank computes the same buckets
// from the same agreement, so nothing about them goes over the wire.

#include <cstddef>
#include <span>
#include <vector>

#include "core/request.h"

namespace farandole {

// A ready tensor as fusion sees it. The signature is this rank's; only fields on which all ranks
// agreed are looked at.
struct FusionItem {
  const Signature* signature = nullptr;
  uint32_t contributors = 0;  // as in StandIn; 0: all members
};

// Indices into the items, in order, of what one collective carries.
using BucketPlan = std::vector<size_t>;

// First fit with look-ahead: tensors of the same kind, dtype, reduce operation, root, scales,
// device, process set and number of contributors share a bucket until it would exceed
// `fusion_bytes`. Allreduce, broadcast and reduce fuse; every other kind has a bucket of its own.
// Buckets come in the order of their first tensor.
std::vector<BucketPlan> fuse(std::span<const FusionItem> items, size_t fusion_bytes);

}  // namespace farandole

#include "core/fusion.h"

#include <map>
#include <tuple>

namespace farandole {
namespace {

bool fuses(const Signature& s) {
  return s.kind == CollectiveKind::Allreduce || s.kind == CollectiveKind::Broadcast ||
         s.kind == CollectiveKind::Reduce;
}

auto fusion_key(const FusionItem& item) {
  const Signature& s = *item.signature;
  return std::tuple(
      item.contributors,
      s.process_set,
      s.kind,
      s.reduce,
      s.dtype,
      s.device.type,
      s.device.index,
      s.root,
      s.prescale,
      s.postscale);
}

struct OpenBucket {
  size_t plan = 0;
  size_t bytes = 0;
};

}  // namespace

std::vector<BucketPlan> fuse(std::span<const FusionItem> items, size_t fusion_bytes) {
  std::vector<BucketPlan> plans;
  std::map<decltype(fusion_key(std::declval<const FusionItem&>())), OpenBucket> open;
  for (size_t i = 0; i < items.size(); ++i) {
    const Signature& signature = *items[i].signature;
    const size_t bytes =
        static_cast<size_t>(element_count(signature.shape)) * size_of(signature.dtype);
    if (fuses(signature)) {
      const auto [entry, fresh] = open.try_emplace(fusion_key(items[i]));
      OpenBucket& bucket = entry->second;
      if (!fresh && bytes <= fusion_bytes && bucket.bytes <= fusion_bytes - bytes) {
        plans[bucket.plan].push_back(i);
        bucket.bytes += bytes;
        continue;
      }
      bucket = {plans.size(), bytes};
    }
    plans.push_back({i});
  }
  return plans;
}

}  // namespace farandole

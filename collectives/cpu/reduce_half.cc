#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "collectives/cpu/reduce_half.cc"

#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "collectives/cpu/convert.h"
#include "collectives/cpu/half.h"
#include "collectives/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace farandole::cpu {
namespace HWY_NAMESPACE {

// Highway's conversions of float16 are the hardware's from AVX2 on and on Arm; what it emulates
// below has no infinities and NaNs, so those instruction sets use ours.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_ARCH_ARM
inline constexpr bool kHardwareHalf = true;
#else
inline constexpr bool kHardwareHalf = false;
#endif

template <bool kHardware>
struct HalfLane {
  using Stored = hwy::float16_t;
  using Tag = hn::ScalableTag<float>;
  using HalfTag = hn::Rebind<hwy::float16_t, Tag>;
  static HWY_INLINE hn::Vec<Tag> load(const Stored* p) {
    return hn::PromoteTo(Tag(), hn::LoadU(HalfTag(), p));
  }
  static HWY_INLINE void store(hn::Vec<Tag> v, Stored* p) {
    hn::StoreU(hn::DemoteTo(HalfTag(), v), HalfTag(), p);
  }
  static HWY_INLINE void stream(hn::Vec<Tag> v, Stored* p) {
    hn::Stream(hn::DemoteTo(HalfTag(), v), HalfTag(), p);
  }
};

template <>
struct HalfLane<false> {
  using Stored = uint16_t;
  using Tag = hn::ScalableTag<float>;
  static HWY_INLINE hn::Vec<Tag> load(const Stored* p) {
    HWY_ALIGN float wide[hn::MaxLanes(Tag())] = {};
    for (size_t i = 0; i < hn::Lanes(Tag()); ++i) wide[i] = half_to_float(get(p + i));
    return hn::Load(Tag(), wide);
  }
  static HWY_INLINE void store(hn::Vec<Tag> v, Stored* p) {
    HWY_ALIGN float wide[hn::MaxLanes(Tag())];
    hn::Store(v, Tag(), wide);
    for (size_t i = 0; i < hn::Lanes(Tag()); ++i) put(p + i, float_to_half(wide[i]));
  }
  static HWY_INLINE void stream(hn::Vec<Tag> v, Stored* p) { store(v, p); }

 private:
  // Callers' memory may lie anywhere.
  static HWY_INLINE Stored get(const Stored* p) {
    Stored bits;
    std::memcpy(&bits, p, sizeof(bits));
    return bits;
  }
  static HWY_INLINE void put(Stored* p, Stored bits) { std::memcpy(p, &bits, sizeof(bits)); }
};

// bfloat16 is the upper half of a float32. Highway 1.0 truncates, so the rounding is done here on
// the bits: to nearest, ties to even; NaNs become quiet.
struct BfloatLane {
  using Stored = uint16_t;
  using Tag = hn::ScalableTag<float>;
  using Bits = hn::RebindToUnsigned<Tag>;
  using Signed = hn::RebindToSigned<Tag>;
  using Half = hn::Rebind<uint16_t, Tag>;
  static HWY_INLINE hn::Vec<Tag> load(const Stored* p) {
    return hn::BitCast(Tag(), hn::ShiftLeft<16>(hn::PromoteTo(Bits(), hn::LoadU(Half(), p))));
  }
  static HWY_INLINE void store(hn::Vec<Tag> v, Stored* p) { hn::StoreU(narrow(v), Half(), p); }
  static HWY_INLINE void stream(hn::Vec<Tag> v, Stored* p) {
    // A stream writes 16 bytes at least, which half a small vector does not have.
    if constexpr (hn::MaxLanes(Tag()) >= 8)
      hn::Stream(narrow(v), Half(), p);
    else
      store(v, p);
  }

 private:
  static HWY_INLINE hn::Vec<Half> narrow(hn::Vec<Tag> v) {
    const auto bits = hn::BitCast(Bits(), v);
    const auto upper = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(upper, hn::Set(Bits(), 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(Bits(), 0x7fff)), odd));
    const auto quiet = hn::Or(upper, hn::Set(Bits(), 0x40));
    const auto result = hn::IfThenElse(hn::RebindMask(Bits(), hn::IsNaN(v)), quiet, rounded);
    return hn::DemoteTo(Half(), hn::BitCast(Signed(), result));
  }
};

Kernel pick_half(DType dtype, ReduceOp op, bool scaled) {
  if (dtype == DType::Float16)
    return pick_operation<HalfLane<kHardwareHalf>>(op, scaled);
  if (dtype == DType::Bfloat16)
    return pick_operation<BfloatLane>(op, scaled);
  return nullptr;
}

template <class Lane>
void widen_all(const void* from, float* to, size_t count) {
  using T = typename Lane::Stored;
  const typename Lane::Tag d;
  const T* source = static_cast<const T*>(from);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d))
    hn::StoreU(Lane::load(source + i), d, to + i);
  if (i == count)
    return;
  HWY_ALIGN T padded[hn::MaxLanes(typename Lane::Tag())] = {};
  HWY_ALIGN float wide[hn::MaxLanes(typename Lane::Tag())];
  std::memcpy(padded, source + i, (count - i) * sizeof(T));
  hn::Store(Lane::load(padded), d, wide);
  std::memcpy(to + i, wide, (count - i) * sizeof(float));
}

template <class Lane>
void narrow_all(const float* from, void* to, size_t count) {
  using T = typename Lane::Stored;
  const typename Lane::Tag d;
  T* out = static_cast<T*>(to);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) Lane::store(hn::LoadU(d, from + i), out + i);
  if (i == count)
    return;
  HWY_ALIGN float wide[hn::MaxLanes(typename Lane::Tag())] = {};
  HWY_ALIGN T padded[hn::MaxLanes(typename Lane::Tag())];
  std::memcpy(wide, from + i, (count - i) * sizeof(float));
  Lane::store(hn::Load(d, wide), padded);
  std::memcpy(out + i, padded, (count - i) * sizeof(T));
}

void widen_half(const void* from, float* to, size_t count) {
  widen_all<HalfLane<kHardwareHalf>>(from, to, count);
}

void widen_bfloat(const void* from, float* to, size_t count) {
  widen_all<BfloatLane>(from, to, count);
}

void narrow_half(const float* from, void* to, size_t count) {
  narrow_all<HalfLane<kHardwareHalf>>(from, to, count);
}

void narrow_bfloat(const float* from, void* to, size_t count) {
  narrow_all<BfloatLane>(from, to, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace farandole::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace farandole::cpu {

HWY_EXPORT(pick_half);
HWY_EXPORT(widen_half);
HWY_EXPORT(widen_bfloat);
HWY_EXPORT(narrow_half);
HWY_EXPORT(narrow_bfloat);

void widen(DType half, const void* from, float* to, size_t count) {
  if (half == DType::Float16)
    HWY_DYNAMIC_DISPATCH(widen_half)(from, to, count);
  else
    HWY_DYNAMIC_DISPATCH(widen_bfloat)(from, to, count);
}

void narrow(DType half, const float* from, void* to, size_t count) {
  if (half == DType::Float16)
    HWY_DYNAMIC_DISPATCH(narrow_half)(from, to, count);
  else
    HWY_DYNAMIC_DISPATCH(narrow_bfloat)(from, to, count);
}

Kernel half_kernel(DType dtype, ReduceOp op, bool scaled) {
  return HWY_DYNAMIC_DISPATCH(pick_half)(dtype, op, scaled);
}

}  // namespace farandole::cpu
#endif

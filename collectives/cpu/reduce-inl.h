// The loop that all SIMD reductions share, compiled per instruction set: include after
// hwy/highway.h, under foreach_target. The include guard toggles as Highway's per-target files do.

#if defined(FARANDOLE_COLLECTIVES_CPU_REDUCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FARANDOLE_COLLECTIVES_CPU_REDUCE_INL_H_
#undef FARANDOLE_COLLECTIVES_CPU_REDUCE_INL_H_
#else
#define FARANDOLE_COLLECTIVES_CPU_REDUCE_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

#include "collectives/cpu/reduce_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace farandole::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

struct SumOp {
  template <class D, class V>
  static HWY_INLINE V apply(D, V a, V b) {
    return hn::Add(a, b);
  }
};

struct ProductOp {
  template <class D, class V>
  static HWY_INLINE V apply(D, V a, V b) {
    return hn::Mul(a, b);
  }
};

// Of floats: keeps `a` unless `b` is better, or is a NaN where `a` is none.
struct MinOp {
  template <class D, class V>
  static HWY_INLINE V apply(D, V a, V b) {
    if constexpr (hwy::IsFloat<hn::TFromD<D>>())
      return hn::IfThenElse(hn::Or(hn::Lt(b, a), hn::AndNot(hn::IsNaN(a), hn::IsNaN(b))), b, a);
    else
      return hn::Min(a, b);
  }
};

struct MaxOp {
  template <class D, class V>
  static HWY_INLINE V apply(D, V a, V b) {
    if constexpr (hwy::IsFloat<hn::TFromD<D>>())
      return hn::IfThenElse(hn::Or(hn::Lt(a, b), hn::AndNot(hn::IsNaN(a), hn::IsNaN(b))), b, a);
    else
      return hn::Max(a, b);
  }
};

// Elements that are computed as they are stored. A Lane tells Stored type, Tag of the computing
// vector, load and store.
template <typename T>
struct DirectLane {
  using Stored = T;
  using Tag = hn::ScalableTag<T>;
  static HWY_INLINE hn::Vec<Tag> load(const T* p) { return hn::LoadU(Tag(), p); }
  static HWY_INLINE void store(hn::Vec<Tag> v, T* p) { hn::StoreU(v, Tag(), p); }
  static HWY_INLINE void stream(hn::Vec<Tag> v, T* p) { hn::Stream(v, Tag(), p); }
};

template <class Tag>
struct Scaler {
  using T = hn::TFromD<Tag>;
  using V = hn::Vec<Tag>;
  V prescale, postscale, divisor;
  bool divides;

  explicit HWY_INLINE Scaler(const Scales& s)
      : prescale(hn::Set(Tag(), static_cast<T>(s.prescale))),
        postscale(hn::Set(Tag(), static_cast<T>(s.postscale))),
        divisor(hn::Set(Tag(), static_cast<T>(s.divisor))),
        divides(s.divisor > 1) {}
  HWY_INLINE V before(V v) const { return hn::Mul(v, prescale); }
  HWY_INLINE V after(V v) const { return hn::Mul(divides ? hn::Div(v, divisor) : v, postscale); }
};

struct NoScaler {
  explicit HWY_INLINE NoScaler(const Scales&) {}
  template <class V>
  HWY_INLINE V before(V v) const {
    return v;
  }
  template <class V>
  HWY_INLINE V after(V v) const {
    return v;
  }
};

// Where results go: to `dst`, and to `second` where there is one.
template <class Lane>
struct Sink {
  using T = typename Lane::Stored;
  T* dst;
  T* second;
  bool streams;

  HWY_INLINE void put(hn::Vec<typename Lane::Tag> v, size_t i) const {
    Lane::store(v, dst + i);
    if (second == nullptr)
      return;
    if (streams)
      Lane::stream(v, second + i);
    else
      Lane::store(v, second + i);
  }
};

// One vector of results, `offset` elements into the sources.
template <class Lane, class Op, class S>
HWY_INLINE hn::Vec<typename Lane::Tag> reduce_vector(
    const S& scaler, const Work& work, const void* const* sources, size_t offset) {
  using T = typename Lane::Stored;
  const typename Lane::Tag d;
  auto sum = scaler.before(Lane::load(static_cast<const T*>(sources[0]) + offset));
  for (size_t k = 1; k < work.sources.size(); ++k)
    sum = Op::apply(d, sum, scaler.before(Lane::load(static_cast<const T*>(sources[k]) + offset)));
  return scaler.after(sum);
}

// Less than a vector, [begin, end), goes through padded copies, so that every element meets the
// same instructions wherever it stands.
template <class Lane, class Op, class S>
HWY_INLINE void reduce_part(
    const S& scaler, const Work& work, const Sink<Lane>& sink, size_t begin, size_t end) {
  using T = typename Lane::Stored;
  const typename Lane::Tag d;
  const size_t bytes = (end - begin) * sizeof(T);
  HWY_ALIGN T padded[hn::MaxLanes(typename Lane::Tag())] = {};
  std::memcpy(padded, static_cast<const T*>(work.sources[0]) + begin, bytes);
  auto sum = scaler.before(Lane::load(padded));
  for (size_t k = 1; k < work.sources.size(); ++k) {
    std::memcpy(padded, static_cast<const T*>(work.sources[k]) + begin, bytes);
    sum = Op::apply(d, sum, scaler.before(Lane::load(padded)));
  }
  Lane::store(scaler.after(sum), padded);
  std::memcpy(sink.dst + begin, padded, bytes);
  if (sink.second != nullptr)
    std::memcpy(sink.second + begin, padded, bytes);
}

// Elements before the first at which whole vectors can be streamed to `second`; none where no
// element lies so that they could, and then the sink does not stream.
template <class Lane>
HWY_INLINE size_t align_for_stream(Sink<Lane>& sink, size_t vector_bytes) {
  const size_t beyond = reinterpret_cast<uintptr_t>(sink.second) % vector_bytes;
  sink.streams = sink.streams && beyond % sizeof(typename Lane::Stored) == 0;
  if (!sink.streams || beyond == 0)
    return 0;
  return (vector_bytes - beyond) / sizeof(typename Lane::Stored);
}

template <class Lane, class Op, class S>
void reduce_all(const Work& work) {
  using T = typename Lane::Stored;
  const typename Lane::Tag d;
  const size_t lanes = hn::Lanes(d);
  const S scaler(work.scales);
  const void* const* sources = work.sources.data();
  Sink<Lane> sink{static_cast<T*>(work.dst), static_cast<T*>(work.second), work.streams};
  size_t i = std::min(work.count, align_for_stream(sink, lanes * sizeof(T)));
  if (i > 0)
    reduce_part<Lane, Op>(scaler, work, sink, 0, i);
  for (; i + 4 * lanes <= work.count; i += 4 * lanes) {
    auto load = [&](size_t k, size_t part) HWY_ATTR {
      return scaler.before(Lane::load(static_cast<const T*>(sources[k]) + i + part * lanes));
    };
    auto a = load(0, 0);
    auto b = load(0, 1);
    auto c = load(0, 2);
    auto e = load(0, 3);
    for (size_t k = 1; k < work.sources.size(); ++k) {
      a = Op::apply(d, a, load(k, 0));
      b = Op::apply(d, b, load(k, 1));
      c = Op::apply(d, c, load(k, 2));
      e = Op::apply(d, e, load(k, 3));
    }
    sink.put(scaler.after(a), i);
    sink.put(scaler.after(b), i + lanes);
    sink.put(scaler.after(c), i + 2 * lanes);
    sink.put(scaler.after(e), i + 3 * lanes);
  }
  for (; i + lanes <= work.count; i += lanes)
    sink.put(reduce_vector<Lane, Op>(scaler, work, sources, i), i);
  if (i < work.count)
    reduce_part<Lane, Op>(scaler, work, sink, i, work.count);
}

template <class Lane, class Op>
Kernel pick_scale(bool scaled) {
  if constexpr (hwy::IsFloat<hn::TFromD<typename Lane::Tag>>()) {
    if (scaled)
      return &reduce_all<Lane, Op, Scaler<typename Lane::Tag>>;
  }
  return scaled ? nullptr : &reduce_all<Lane, Op, NoScaler>;
}

template <class Lane>
Kernel pick_operation(ReduceOp op, bool scaled) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Average:
      return pick_scale<Lane, SumOp>(scaled);
    case ReduceOp::Min:
      return pick_scale<Lane, MinOp>(scaled);
    case ReduceOp::Max:
      return pick_scale<Lane, MaxOp>(scaled);
    case ReduceOp::Product:
      return pick_scale<Lane, ProductOp>(scaled);
    case ReduceOp::Adasum:
      break;
  }
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace farandole::cpu
HWY_AFTER_NAMESPACE();

#endif  // FARANDOLE_COLLECTIVES_CPU_REDUCE_INL_H_

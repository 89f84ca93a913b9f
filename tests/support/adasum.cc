#include "tests/support/adasum.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "core/base/format.h"

namespace farandole::testing {
namespace {

// A vector, and how much its elements may be wrong, in roundings.
struct Vector {
  std::vector<double> values;
  std::vector<double> doubt;
};

double product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector combine(const Vector& a, const Vector& b) {
  const double aa = product(a.values, a.values), bb = product(b.values, b.values);
  if (aa == 0 || bb == 0)
    return aa == 0 ? b : a;
  const double ab = product(a.values, b.values);
  const double of_a = 1 - ab / (2 * aa), of_b = 1 - ab / (2 * bb);
  // A rounding of a vector turns it, which changes the factors by as much as the other is longer.
  const double turn_a = std::abs(of_a) + std::sqrt(bb / aa);
  const double turn_b = std::abs(of_b) + std::sqrt(aa / bb);
  Vector sum;
  for (size_t i = 0; i < a.values.size(); ++i) {
    sum.values.push_back(of_a * a.values[i] + of_b * b.values[i]);
    sum.doubt.push_back(turn_a * a.doubt[i] + turn_b * b.doubt[i]);
  }
  return sum;
}

// The left half is the largest full tree that leaves something to the right one.
Vector tree(std::span<const Vector> leaves) {
  if (leaves.size() == 1)
    return leaves[0];
  const size_t left = std::bit_ceil(leaves.size()) / 2;
  return combine(tree(leaves.first(left)), tree(leaves.subspan(left)));
}

double read(DType dtype, const Bytes& from, size_t i) {
  const auto load = [&]<typename T>(T value) {
    std::memcpy(&value, from.data() + i * sizeof value, sizeof value);
    return value;
  };
  if (is_half(dtype))
    return decode_half(dtype, load(uint16_t{}));
  return dtype == DType::Float32 ? static_cast<double>(load(0.0F)) : load(0.0);
}

double rounding(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-10;
    case DType::Bfloat16:
      return 0x1p-7;
    default:
      return dtype == DType::Float32 ? 0x1p-23 : 0x1p-52;
  }
}

}  // namespace

std::vector<double> adasum(const std::vector<std::vector<double>>& vectors) {
  std::vector<Vector> leaves;
  for (const auto& v : vectors) leaves.push_back({v, std::vector<double>(v.size())});
  return tree(leaves).values;
}

std::optional<std::string> adasum_difference(
    const Reduction& r,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count) {
  std::vector<Vector> leaves(sources.size());
  for (size_t k = 0; k < sources.size(); ++k)
    for (size_t i = 0; i < count; ++i) {
      leaves[k].values.push_back(r.prescale * read(r.dtype, sources[k], offset + i));
      leaves[k].doubt.push_back(std::abs(leaves[k].values.back()));
    }
  const Vector want = tree(leaves);
  Bytes got(count * size_of(r.dtype));
  if (count > 0)
    std::memcpy(got.data(), result, got.size());
  const double roundings = 4 + 2 * std::bit_width(sources.size());
  for (size_t i = 0; i < count; ++i) {
    const double value = read(r.dtype, got, i), right = r.postscale * want.values[i];
    const double allowed =
        rounding(r.dtype) * roundings * want.doubt[i] * std::abs(r.postscale) + 1e-300;
    if (!(std::abs(value - right) <= allowed))
      return fmt::format("element {}: got {}, want {} within {}", i, value, right, allowed);
  }
  return std::nullopt;
}

}  // namespace farandole::testing

// The formatting library, compiled once. Header-only it costs every file that formats anything more
// than a second; and of the system's shared one a wheel would have to bring a copy.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

// What its headers leave to one place, as far as text in char goes.
template auto dragonbox::to_decimal(float value) noexcept -> dragonbox::decimal_fp<float>;
template auto dragonbox::to_decimal(double value) noexcept -> dragonbox::decimal_fp<double>;
template auto thousands_sep_impl<char>(locale_ref where) -> thousands_sep_result<char>;
template auto decimal_point_impl(locale_ref where) -> char;

}  // namespace detail
FMT_END_NAMESPACE

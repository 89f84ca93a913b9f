#pragma once
// How rows of the table of settings are made: numbers, seconds, words, texts.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/config_table.h"
#include "core/base/format.h"
#include "core/base/rank_cores.h"
#include "core/base/timeline_path.h"

namespace farandole::rows {

inline bool parse_number(std::string_view text, int64_t& out) {
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, out);
  return code == std::errc() && stop == end;
}

inline bool parse_decimal(std::string_view text, double& out) {
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, out);
  return code == std::errc() && stop == end && std::isfinite(out);
}

inline ConfigKey integer(
    const char* key,
    const char* horovod,
    int64_t Config::*member,
    int64_t low,
    int64_t high,
    const char* text) {
  return {
      key,
      horovod,
      fmt::format("a whole number from {} to {}", low, high),
      text,
      [=](Config& c, std::string_view value) {
        int64_t number = 0;
        if (!parse_number(value, number) || number < low || number > high)
          return false;
        c.*member = number;
        return true;
      },
      [=](const Config& c) { return fmt::format("{}", c.*member); }};
}

// Durations are written in seconds, as a decimal.
inline ConfigKey seconds(
    const char* key,
    const char* horovod,
    Duration Config::*member,
    double low,
    double high,
    const char* text) {
  return {
      key,
      horovod,
      fmt::format("a number of seconds from {} to {}", low, high),
      text,
      [=](Config& c, std::string_view value) {
        double number = 0;
        if (!parse_decimal(value, number) || number < low || number > high)
          return false;
        c.*member = Duration(static_cast<int64_t>(number * 1e9));
        return true;
      },
      [=](const Config& c) {
        return fmt::format("{:g}", static_cast<double>((c.*member).count()) * 1e-9);
      }};
}

inline ConfigKey text_row(
    const char* key,
    std::string Config::*member,
    const char* accepts,
    bool (*valid)(std::string_view),
    const char* text,
    const char* horovod = "") {
  return {
      key,
      horovod,
      accepts,
      text,
      [=](Config& c, std::string_view value) {
        if (!valid(value))
          return false;
        c.*member = std::string(value);
        return true;
      },
      [=](const Config& c) { return c.*member; }};
}

// Whether they are ranks of the job is judged when that is known.
inline bool is_list_of_sets(std::string_view text) {
  return text.find_first_not_of("0123456789,-;") == std::string_view::npos;
}

inline ConfigKey core_list(
    const char* key, const char* horovod, std::vector<int> Config::*member, const char* text) {
  return {
      key,
      horovod,
      "cores, one for each rank of a host, such as 0,2",
      text,
      [=](Config& c, std::string_view value) {
        auto cores = parse_core_list(value);
        if (cores)
          c.*member = std::move(*cores);
        return cores.has_value();
      },
      [=](const Config& c) { return core_list_text(c.*member); }};
}

template <typename T>
using Choices = std::vector<std::pair<const char*, T>>;

inline bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

template <typename T>
inline ConfigKey choice(
    const char* key, const char* horovod, T Config::*member, Choices<T> choices, const char* text) {
  std::string accepts = "one of";
  for (const auto& [word, value] : choices) accepts += std::string(" ") + word;
  return {
      key,
      horovod,
      accepts,
      text,
      [=](Config& c, std::string_view value) {
        for (const auto& [word, meaning] : choices) {
          if (same_word(word, value)) {
            c.*member = meaning;
            return true;
          }
        }
        return false;
      },
      [=](const Config& c) {
        for (const auto& [word, meaning] : choices) {
          if (meaning == c.*member)
            return std::string(word);
        }
        return std::string();
      }};
}

inline bool is_word(std::string_view v) {
  return !v.empty() && v.size() <= 64 && std::all_of(v.begin(), v.end(), [](unsigned char ch) {
    return std::isalnum(ch) || ch == '_' || ch == '-';
  });
}
inline bool is_host(std::string_view v) {
  return !v.empty() && v.size() <= 253 && v[0] != '-' &&
         std::all_of(v.begin(), v.end(), [](unsigned char ch) {
           return std::isalnum(ch) || ch == '.' || ch == '_' || ch == '-' || ch == ':' ||
                  ch == '[' || ch == ']';
         });
}
// Not those that stand for every interface; where another spelling does, listening fails.
inline bool is_bindable(std::string_view v) {
  return is_host(v) && v != "0.0.0.0" && v != "0" && v != "::" && v != "[::]";
}
inline bool is_endpoint(std::string_view v) {
  const size_t colon = v.rfind(':');
  int64_t port = 0;
  return colon != std::string_view::npos && is_host(v.substr(0, colon)) &&
         parse_number(v.substr(colon + 1), port) && port > 0 && port < 65536;
}
inline bool is_path(std::string_view v) {
  return !v.empty() && v.size() < 4096 && v.find('\0') == std::string_view::npos;
}
inline bool is_timeline_path(std::string_view v) {
  return is_path(v) && has_only_known_places(v);
}

}  // namespace farandole::rows

#pragma once
// Fuzz targets: functions that take any input and end the process where a promise is broken.

#include <span>
#include <string_view>

#include "tests/fuzz/input.h"

namespace farandole::fuzz {

// Ends the process, saying what was promised and where, unless `holds`.
void require(
    bool holds,
    std::string_view what,
    const char* file = __builtin_FILE(),
    int line = __builtin_LINE());

// Runs one input within its limit of processor time.
void execute(void (*target)(Input), std::span<const uint8_t> bytes);

void command_line(Input in);
void config(Input in);
void coordinator(Input in);
void frames(Input in);
void gloo_link(Input in);
void handshake(Input in);
void launcher_channel(Input in);
void messages(Input in);
void segment(Input in);
void worker(Input in);

}  // namespace farandole::fuzz

#pragma once
// One message of every kind, each field different from its default.

#include <vector>

#include "controller/protocol/messages.h"

namespace farandole::control {

std::vector<Message> sample_messages();
inline constexpr Envelope kSampleEnvelope{
    .version = kProtocolVersion, .epoch = 3, .job = 7, .incarnation = 11, .seq = 13};
// Limits that fit the samples: 4 ranks.
Limits sample_limits();

}  // namespace farandole::control

#pragma once
// Limits that are no settings: each ends a wait that is over long before unless something is
// broken. docs/decisions/0019 says why nobody needs to change them; what a slow network or a busy
// machine may need longer is in Config.

#include <chrono>

#include "core/base/clock.h"

namespace farandole::patience {

// For a collective to return that was aborted. Communicators promise 100 ms.
inline constexpr Duration kAbort = std::chrono::seconds(10);
// For better evidence than a peer's accusation: what breaks the data connections of a rank breaks
// its control connection, too, and that is heard at rank 0 within a round trip.
inline constexpr Duration kConfirm = std::chrono::milliseconds(200);
// For the last words of a rank or member that is lost or blames another one to be read, or to leave
// the socket. They are in the buffers of the kernel already.
inline constexpr Duration kLastWords = std::chrono::milliseconds(100);
// For a rank that is turned away to read why. The job does not wait for it.
inline constexpr Duration kRefusal = std::chrono::seconds(1);
// How much longer than rank 0 the others wait for its verdict on a group that does not form.
inline constexpr Duration kVerdict = std::chrono::seconds(2);
// The loop's own part in stopping, beyond FARANDOLE_SHUTDOWN_TIMEOUT: no input or output.
inline constexpr Duration kLoop = std::chrono::seconds(5);

}  // namespace farandole::patience

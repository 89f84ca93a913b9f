#pragma once
// start_thread: where all threads begin, so that a system which has none left is the same clear
// error everywhere.

#include <functional>
#include <string>
#include <thread>

namespace farandole {

// The kernel keeps 15 bytes of the name. Fails: throws Refusal.
std::thread start_thread(const std::string& name, std::function<void()> body);

}  // namespace farandole

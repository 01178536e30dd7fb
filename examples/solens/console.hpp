#pragma once

#include <string_view>

#include <solens/core/error.hpp>

/// Standard output and signals, as a program in a pipeline has to treat them.
namespace solens::program {

/// Somebody asked the program to stop: Ctrl-C, kill, a closed terminal or pipe.
class interrupted : public error {
 public:
  using error::error;
};

/// Opens what the caller closed of the three standard streams, such that no file of ours can land
/// there and writing to it fails, and notes signals instead of dying of them, so that unwinding
/// can take unfinished files away. A second Ctrl-C does kill.
void set_up_console();

/// The signal that asked to stop, 0 when none did.
int stop_signal();

/// Long work calls this once a batch.
/// @throws interrupted
void throw_if_stopped();

/// Dies of a signal as if it had never been caught, as shells and scripts expect.
[[noreturn]] void die_of(int signal);

/// Writes to standard output.
/// @throws io_error when that fails: a full disk, a closed pipe
void print(std::string_view text);

/// Everything printed has arrived.
/// @throws io_error when it has not
void flush_output();

}  // namespace solens::program

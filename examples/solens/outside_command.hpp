#pragma once

#include <string>
#include <string_view>

namespace solens::program {

/// Runs a command of the user's, a line for /bin/sh, and waits for its end.
///
/// What it works on goes to its standard input, never into the command line, so that no text can
/// become a command. Its standard error is ours.
/// @param option  that named it, for messages
/// @returns       what it wrote on its standard output
/// @throws io_error naming the command when it cannot be started, ends with an exit code other than
///         0 or by a signal, or writes more than 256 MB; interrupted
std::string run_outside(const std::string& option, const std::string& command,
                        std::string_view input);

}  // namespace solens::program

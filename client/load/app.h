// The command line of bif-load.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace bif::client::load {

// Exit codes: 0 the run went through, 1 it could not be started or its CSV not be written, 2 the
// command line is wrong. Calls that failed during the run are part of its outcome.
int RunLoad(std::vector<std::string> arguments, std::ostream& out, std::ostream& err);

}  // namespace bif::client::load

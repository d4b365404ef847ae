// bifctl: the command line client of bifd.
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/session.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  bif::client::Session session(std::cout, std::cerr);
  session.err_is_terminal = isatty(STDERR_FILENO) == 1;
  const int exit_code =
      bif::client::RunBifctl(std::vector<std::string>(argv + 1, argv + argc), session);
  std::cout.flush();
  return exit_code;
}

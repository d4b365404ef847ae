// bif-load: puts a load on a running bifd.
#include <iostream>
#include <string>
#include <vector>

#include "client/load/app.h"

int main(int argc, char** argv) {
  return bif::client::load::RunLoad(std::vector<std::string>(argv + 1, argv + argc), std::cout,
                                    std::cerr);
}

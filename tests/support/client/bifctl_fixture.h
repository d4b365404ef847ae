// Runs bifctl in a test's process: command lines in, requests at a fake server, answers and exit
// codes out.
#pragma once

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/cli/commands.h"
#include "gtest/gtest.h"
#include "tests/support/client/fake_server.h"

namespace bif::client {

struct Ran {
  int exit_code = 0;
  std::string out, err;
};

// Words separated by blanks, as in a shell without quotes.
inline Ran RunLine(const std::string& command_line, const std::string& server = "127.0.0.1:1") {
  std::ostringstream out, err;
  Session session(out, err);
  session.options.server = server;
  session.options.sleep = [](absl::Duration) {};
  session.options.retry.max_attempts = 2;
  const std::vector<std::string> words = absl::StrSplit(command_line, ' ', absl::SkipEmpty());
  Ran ran;
  ran.exit_code = RunBifctl(words, session);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

inline FakeServer::Error Ok() { return {}; }

class BifctlTest : public testing::Test {
 protected:
  Ran Bifctl(const std::string& line) { return RunLine(line, server_.address()); }

  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = testing::TempDir() + "/bifctl_test_" + name;
    std::ofstream(path, std::ios::binary) << content;
    files_.push_back(path);
    return path;
  }
  std::string Read(const std::string& path) {
    files_.push_back(path);
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }
  void TearDown() override {
    for (const std::string& file : files_) std::remove(file.c_str());
  }

  FakeServer server_;
  std::vector<std::string> files_;
};

}  // namespace bif::client

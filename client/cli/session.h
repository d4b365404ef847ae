// What every subcommand of bifctl works with: where it prints, how, and the client.
//
// Confined to the thread that runs the command.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/client.h"

namespace bif::client {

struct Session {
  Session(std::ostream& out_stream, std::ostream& err_stream) : out(out_stream), err(err_stream) {}

  std::ostream& out;  // answers, and nothing else
  std::ostream& err;  // progress, hints and errors
  bool err_is_terminal = false;
  bool json = false;   // answers as protobuf JSON
  bool quiet = false;  // answers as bare names, no progress
  ClientOptions options;

  Client& client() {
    if (!client_) client_ = std::make_unique<Client>(options);
    return *client_;
  }

 private:
  std::unique_ptr<Client> client_;
};

// What a subcommand does once the command line has been understood.
using Action = std::function<absl::Status(Session&)>;

// A mistake on the command line that only the action could see: bifctl then exits with 2 instead
// of 1.
absl::Status UsageError(const std::string& message);
bool IsUsageError(const absl::Status& status);

}  // namespace bif::client

// Building blocks of the command tree.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/cli/session.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/generated_enum_reflection.h"

namespace bif::client {

// A noun that only groups its verbs.
CLI::App* AddNoun(CLI::App& root, const std::string& noun, const std::string& about);

// `command` was given: do `what`.
void On(CLI::App* command, Action& action, Action what);

// A verb on one named resource: `noun verb NAME`. `what` gets the qualified name.
void AddNamedCommand(CLI::App& noun, Action& action, const std::string& verb,
                     const std::string& collection, const std::string& about,
                     std::function<absl::Status(Session&, const std::string&)> what);

// An option whose values are those of a protobuf enum, spelt in lower case with dashes, without the
// unspecified one and without a first word that all have; a value may be shortened as long as it
// stays unique (int8 for int8-block).
CLI::Option* AddEnumOption(CLI::App* command, const std::string& flag,
                           const google::protobuf::EnumDescriptor* values,
                           std::function<void(int)> set, const std::string& about);

template <typename Enum>
CLI::Option* AddEnumOption(CLI::App* command, const std::string& flag, Enum& target,
                           const std::string& about) {
  return AddEnumOption(
      command, flag, google::protobuf::GetEnumDescriptor<Enum>(),
      [&target](int value) { target = static_cast<Enum>(value); }, about);
}

// An option that may be given several times, one value each.
CLI::Option* AddRepeated(CLI::App* command, const std::string& flag,
                         std::vector<std::string>& values, const std::string& about);

// --request-id of calls that create something: the same id and arguments give the same result.
void AddRequestId(CLI::App* command, std::string& request_id);

// --priority of work that waits for the device.
void AddPriority(CLI::App* command, int32_t& priority);

// A budget that was given in seconds.
google::protobuf::Duration DurationOfSeconds(double seconds);

// --limit of lists.
void AddLimit(CLI::App* command, int64_t& limit);

// Says that something was done, for people; programs get `name` (--quiet) or an empty object
// (--json).
void PrintDone(Session& session, const std::string& verb, const std::string& name);

}  // namespace bif::client

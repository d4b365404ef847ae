// The command tree of bifctl: one function a noun, each adds its subcommands to `root`.
//
// A subcommand that was given on the command line stores in `action` what is to be done; nothing is
// done while parsing.
#pragma once

#include "CLI/CLI.hpp"
#include "client/cli/session.h"

namespace bif::client {

void AddProgramCommands(CLI::App& root, Action& action);
void AddCheckpointCommands(CLI::App& root, Action& action);
void AddDatasetCommands(CLI::App& root, Action& action);
void AddDatasetImportCommands(CLI::App& dataset, Action& action);  // called by AddDatasetCommands
void AddDatasetTextCommand(CLI::App& dataset, Action& action);     // likewise
void AddPosteriorCommands(CLI::App& root, Action& action);
void AddPosteriorCreateCommand(CLI::App& posterior,
                               Action& action);                    // called by AddPosteriorCommands
void AddPosteriorLlcCommand(CLI::App& posterior, Action& action);  // likewise
void AddTraceCommands(CLI::App& root, Action& action);             // trace, export-traces
void AddAttributeCommand(CLI::App& root, Action& action);          // attribute
void AddScoreCommands(CLI::App& root, Action& action);             // score-matrix, self-influence
void AddTokenInfluenceCommand(CLI::App& root, Action& action);
void AddGroupInfluenceCommand(CLI::App& root, Action& action);
void AddOperationCommands(CLI::App& root, Action& action);
void AddServerCommands(CLI::App& root, Action& action);  // server, health
void AddAdminCommands(CLI::App& root, Action& action);   // admin: tenants, tokens; share
void AddDataCommands(CLI::App& root, Action& action);    // backup, scrub
void AddReportCommand(CLI::App& root, Action& action);
void AddCompletionCommand(CLI::App& root, Action& action);

// The whole tree; `session`'s server and output settings are options of the root.
void BuildCommandTree(CLI::App& root, Session& session, Action& action);

// bifctl without the process: `arguments` without the program's name. Returns the exit code: 0
// well, 1 the server or the connection failed, 2 the command line is wrong.
int RunBifctl(std::vector<std::string> arguments, Session& session);

}  // namespace bif::client

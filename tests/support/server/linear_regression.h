// The fake engine's linear regression as the API sees it: what tests of several services start
// from.
//
// Functions throw if the server refuses: a test that has no posterior cannot go on.
#pragma once

#include <string>
#include <vector>

#include "bif/v1/attribution.pb.h"
#include "bif/v1/checkpoints.pb.h"
#include "bif/v1/datasets.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "google/longrunning/operations_proto.pb.h"
#include "tests/support/server/test_server.h"

namespace bif::server::testing {

namespace v1 = ::bif::v1;

inline constexpr int kFeatures = 3;

v1::ProgramSpec RegressionProgramSpec();
std::string RegressionProgramFile();  // the bytes to upload

// Sample number `row`: features and target follow from the number alone.
v1::Sample RegressionSample(int row, const std::string& id);

std::string MakeCheckpoint(TestServer& server);  // its name
std::string MakeDataset(TestServer& server, const std::string& id,
                        int rows);   // its name; sample r has the id "r"
v1::SamplerSettings FastSettings();  // 2 chains of 12 draws
v1::CreatePosteriorRequest PosteriorRequest(TestServer& server,
                                            int rows);  // makes checkpoint and dataset "train"
std::string StartPosterior(TestServer& server,
                           const v1::CreatePosteriorRequest& request);  // the operation's name
// Samples it; gives its name.
std::string MakePosterior(TestServer& server, int rows);
google::longrunning::Operation WaitFor(TestServer& server, const std::string& operation);

}  // namespace bif::server::testing

// A small exported classifier (tests/golden/make_programs.py: mlp.pt2) and images for it, brought
// into a running daemon through the client library. Functions throw if the daemon refuses: such a
// test cannot go on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/client.h"
#include "tests/integration/daemon_process.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {

// A client without patience: tests want to see errors, not retries.
client::ClientOptions ClientOf(const DaemonProcess& daemon);

// A dataset of such images, image number `first` and those after it, with their numbers as ids: to
// be created, and imported from IDX files that are written below `folder`.
bif::v1::CreateDatasetRequest ImageDataset(const std::string& id);
bif::v1::ImportSamplesRequest ImageImport(const std::string& folder, const std::string& id,
                                          int first, int rows);
bif::v1::Sample ImageSample(const std::string& id, int image);

// Checkpoint, dataset "train" (imported from IDX files written below `folder`) and the request for
// a posterior on it.
bif::v1::CreatePosteriorRequest PrepareClassifier(client::Client& client, const std::string& folder,
                                                  int rows, uint32_t draws_per_chain);
google::longrunning::Operation WaitUntilDone(client::Client& client, const std::string& operation);
// Creates it and waits; gives its name.
std::string SamplePosterior(client::Client& client, const bif::v1::CreatePosteriorRequest& request);

// All training traces as bits: [sample][chain][draw].
std::vector<uint32_t> TraceBits(client::Client& client, const std::string& posterior);

// An image that is not in the dataset, as a query.
bif::v1::AttributeRequest AskAboutNewImage(const std::string& posterior, int number);

}  // namespace bif::testing

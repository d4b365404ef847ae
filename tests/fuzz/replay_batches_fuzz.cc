// The files of batches that bifctl reads for --batch-order replay: NumPy arrays and JSON.
//
// The first byte chooses.
#include <fstream>

#include "client/cli/replay_batches.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temp_dir.h"

using namespace bif;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bif::testing::TempDir folder;  // the reader goes by the file's name
  fuzz::Input input(data, size);
  const std::string path = folder / (input.TakeBelow(2) == 0 ? "batches.npy" : "batches.json");
  std::ofstream(path, std::ios::binary) << input.rest();
  bif::v1::SamplerSettings settings;
  const absl::Status status = client::AddReplayBatches(path, settings);
  if (!status.ok()) {
    fuzz::RequireRefusal(status, absl::StatusCode::kInvalidArgument);
    return 0;
  }
  fuzz::Require(settings.replay_batches_size() > 0, "a file of no batch is refused");
  size_t indices = 0;
  for (const auto& batch : settings.replay_batches())
    indices += static_cast<size_t>(batch.indices_size());
  fuzz::Require(indices <= input.rest().size(), "an index takes a byte at least");
  return 0;
}

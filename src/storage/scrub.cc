#include "src/storage/scrub.h"

#include "src/base/status.h"
#include "src/storage/file_check.h"

namespace bif::storage {

absl::StatusOr<CheckSummary> CheckEverything(RocksStores& rocks, DrawStore& draws, BlobStore& blobs,
                                             const CheckOptions& options) {
  CheckRun run(options);
  // A catalog that cannot be read is found below; the rest is then named by numbers.
  const absl::StatusOr<Owners> read = Owners::Read(rocks.catalog());
  const Owners owners = read.ok() ? *read : Owners();
  BIF_RETURN_IF_ERROR(rocks.Check(owners, run));
  const absl::Status files = CheckFiles(rocks.catalog(), draws, blobs, owners, run);
  if (!absl::IsDataLoss(files)) BIF_RETURN_IF_ERROR(files);
  if (!files.ok()) {
    run.Found({"the catalog's list of files",
               std::string(files.message()) + "; the files behind it were not checked",
               "restore a backup"});
  }
  return run.summary();
}

}  // namespace bif::storage

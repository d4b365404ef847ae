// Whose the numbers in keys and folders are: the resources' names, for messages. Immutable, so
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "src/storage/catalog.h"

namespace bif::storage {

// "posteriors/84c2a21ae4b7": the collection and the key, a digest cut as the API cuts it.
std::string ResourceNameOf(const std::string& collection, const std::string& key);

class Owners {
 public:
  // As the catalog has them now.
  static absl::StatusOr<Owners> Read(Catalog& catalog);

  // "posteriors/84c2a21ae4b7", or "posterior number 3" if no record has the number.
  std::string PosteriorName(uint64_t number) const;
  std::string DatasetName(uint32_t number) const;
  bool HasPosterior(uint64_t number) const { return posteriors_.contains(number); }
  bool HasDataset(uint32_t number) const { return datasets_.contains(number); }

 private:
  absl::flat_hash_map<uint64_t, std::string> posteriors_;
  absl::flat_hash_map<uint32_t, std::string> datasets_;
};

}  // namespace bif::storage

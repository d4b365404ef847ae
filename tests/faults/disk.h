// A disk that can lose power, as a model: what programs see, and beside it what is durable.
//
// POSIX promises little, and the model gives no more. A file's contents are durable as they were at
// its last fsync; a name is durable once the directory that holds it was synced. What came after
// may survive: of each file a beginning of its unsynced writes, the last of them perhaps in part,
// with zeros perhaps where the rest would be; of each directory a beginning of its unsynced
// changes. Files and directories know nothing of each other: a later write may survive where an
// earlier one to another file does not. After a failed sync the unsynced writes never become
// durable (Linux takes the pages for clean), though programs still see them.
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/faults/journal.h"

namespace bif::faults {

// What of the unsynced survives a power failure.
enum class Survival {
  kNothing,
  kEverything,  // as if the program alone had been killed
  kByChance,    // of each file and directory on its own
  // The same, and where the rest of a file would be there may be zeros: its size was written, its
  // data was not.
  kByChanceWithZeros,
};

// Disks that lie: the negative controls of whoever tests with this one.
enum class Lie { kNone, kIgnoresFileSyncs, kIgnoresDirectorySyncs };

class Disk {
 public:
  // Empty. `directory` is the path that the journal's paths begin with.
  explicit Disk(std::string directory, Lie lie = Lie::kNone);
  // Takes over the files below `from`, as durable, as <directory>/<name>.
  void Load(const std::string& from, const std::string& name);

  // Throws at an event that cannot have happened: then the journal missed one before it.
  void Apply(const Event& event);

  void LosePower(Survival survival, uint64_t seed);

  // Of a path below the directory; none if there is no such file.
  std::optional<std::string> Contents(const std::string& path) const;
  // Of all files below <directory>/<name>, by path relative to it.
  std::map<std::string, std::string> Files(const std::string& name) const;
  // Writes <directory>/<name>, folders without files too, as `to`.
  void Write(const std::string& name, const std::string& to) const;
  // Cuts a file; its unsynced changes are gone.
  void Cut(const std::string& path, size_t bytes);

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  // A write, or (without bytes) a new size.
  struct Change {
    uint64_t offset;
    std::string bytes;
    bool resize;
    void ApplyTo(std::string& contents) const;
  };
  // Names that change in one step; nullptr: the name goes.
  using Renaming = std::vector<std::pair<std::string, NodePtr>>;
  struct Node {
    bool is_directory = false;
    std::string contents, durable_contents;
    std::vector<Change> unsynced;
    std::map<std::string, NodePtr> names, durable_names;
    std::vector<Renaming> unsynced_names;
  };

  std::vector<std::string> Parts(const std::string& path) const;
  NodePtr Find(const std::string& path) const;
  // The directory that holds a path, and the name within it.
  std::pair<NodePtr, std::string> Place(const std::string& path) const;
  NodePtr Opened(int fd) const;

  static void ChangeNames(const NodePtr& directory, Renaming renaming);
  void Rename(const std::string& from, const std::string& to);
  void Sync(Node& node);
  static void LosePower(Node& node, Survival survival, std::mt19937_64& random);
  static void Collect(const Node& node, const std::string& prefix,
                      std::map<std::string, std::string>& files);
  static void Write(const Node& node, const std::string& to);

  const std::string directory_;
  const Lie lie_;
  const NodePtr root_;
  std::map<int, NodePtr> fds_;
};

}  // namespace bif::faults

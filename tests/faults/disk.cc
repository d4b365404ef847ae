#include "tests/faults/disk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

#include "src/base/files.h"
#include "tests/support/must.h"

namespace bif::faults {

void Disk::Change::ApplyTo(std::string& contents) const {
  if (resize) {
    contents.resize(offset, '\0');
    return;
  }
  if (contents.size() < offset + bytes.size()) contents.resize(offset + bytes.size(), '\0');
  contents.replace(offset, bytes.size(), bytes);
}

Disk::Disk(std::string directory, Lie lie)
    : directory_(std::move(directory)), lie_(lie), root_(std::make_shared<Node>()) {
  root_->is_directory = true;
}

std::vector<std::string> Disk::Parts(const std::string& path) const {
  if (!path.starts_with(directory_)) throw std::runtime_error(path + " is not on the disk");
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::path(path.substr(directory_.size()))) {
    if (!part.empty() && part != "/") parts.push_back(part);
  }
  return parts;
}

Disk::NodePtr Disk::Find(const std::string& path) const {
  NodePtr node = root_;
  for (const std::string& part : Parts(path)) {
    const auto found = node->names.find(part);
    if (found == node->names.end()) return nullptr;
    node = found->second;
  }
  return node;
}

std::pair<Disk::NodePtr, std::string> Disk::Place(const std::string& path) const {
  std::vector<std::string> parts = Parts(path);
  NodePtr node = root_;
  for (size_t i = 0; i + 1 < parts.size() && node != nullptr; ++i) {
    const auto found = node->names.find(parts[i]);
    node = found == node->names.end() ? nullptr : found->second;
  }
  if (node == nullptr || parts.empty()) throw std::runtime_error("no folder holds " + path);
  return {node, parts.back()};
}

Disk::NodePtr Disk::Opened(int fd) const {
  const auto found = fds_.find(fd);
  if (found == fds_.end()) throw std::runtime_error("fd " + std::to_string(fd) + " is not open");
  return found->second;
}

void Disk::ChangeNames(const NodePtr& directory, Renaming renaming) {
  for (const auto& [name, node] : renaming) {
    if (node == nullptr) {
      directory->names.erase(name);
    } else {
      directory->names[name] = node;
    }
  }
  directory->unsynced_names.push_back(std::move(renaming));
}

void Disk::Rename(const std::string& from, const std::string& to) {
  const NodePtr node = Find(from);
  if (node == nullptr) throw std::runtime_error("there is no " + from);
  const auto [from_directory, from_name] = Place(from);
  const auto [to_directory, to_name] = Place(to);
  if (from_directory == to_directory) {
    ChangeNames(to_directory, {{to_name, node}, {from_name, nullptr}});
  } else {
    ChangeNames(to_directory, {{to_name, node}});
    ChangeNames(from_directory, {{from_name, nullptr}});
  }
}

void Disk::Sync(Node& node) {
  if (node.is_directory && lie_ != Lie::kIgnoresDirectorySyncs) {
    node.durable_names = node.names;
    node.unsynced_names.clear();
  }
  if (!node.is_directory && lie_ != Lie::kIgnoresFileSyncs) {
    for (const Change& change : node.unsynced) change.ApplyTo(node.durable_contents);
    node.unsynced.clear();
  }
}

void Disk::Apply(const Event& event) {
  const auto change = [&](Change made) {
    const NodePtr node = Opened(event.fd);
    made.ApplyTo(node->contents);
    node->unsynced.push_back(std::move(made));
  };
  switch (event.kind) {
    case EventKind::kOpen: {
      NodePtr node = Find(event.path);
      if (node == nullptr) {
        if ((event.flags & kMade) == 0) throw std::runtime_error("there is no " + event.path);
        node = std::make_shared<Node>();
        const auto [directory, name] = Place(event.path);
        ChangeNames(directory, {{name, node}});
      }
      fds_[event.fd] = node;
      if ((event.flags & kEmptied) != 0) change({0, "", true});
      return;
    }
    case EventKind::kWrite:
      return change({event.offset, event.data, false});
    case EventKind::kResize:
      return change({event.offset, "", true});
    case EventKind::kSync:
      return Sync(*Opened(event.fd));
    case EventKind::kFailedSync:
      return Opened(event.fd)->unsynced.clear();
    case EventKind::kRename:
      return Rename(event.path, event.data);
    case EventKind::kLink: {
      const NodePtr node = Find(event.path);
      if (node == nullptr) throw std::runtime_error("there is no " + event.path);
      const auto [directory, name] = Place(event.data);
      return ChangeNames(directory, {{name, node}});
    }
    case EventKind::kUnlink:
    case EventKind::kRemoveDirectory: {
      const auto [directory, name] = Place(event.path);
      if (!directory->names.contains(name)) throw std::runtime_error("there is no " + event.path);
      return ChangeNames(directory, {{name, nullptr}});
    }
    case EventKind::kMakeDirectory: {
      const auto [directory, name] = Place(event.path);
      const auto node = std::make_shared<Node>();
      node->is_directory = true;
      return ChangeNames(directory, {{name, node}});
    }
    case EventKind::kFault:
      return;
  }
  throw std::runtime_error("unknown event in the journal");
}

void Disk::LosePower(Survival survival, uint64_t seed) {
  std::mt19937_64 random(seed);
  LosePower(*root_, survival, random);
  fds_.clear();
}

void Disk::LosePower(Node& node, Survival survival, std::mt19937_64& random) {
  // How many of `count` unsynced changes survive. All or none are as likely as anything between.
  const auto surviving = [&](size_t count) -> size_t {
    if (survival == Survival::kNothing) return 0;
    if (survival == Survival::kEverything) return count;
    switch (random() % 3) {
      case 0:
        return 0;
      case 1:
        return count;
      default:
        return random() % (count + 1);
    }
  };
  if (node.is_directory) {
    const size_t kept = surviving(node.unsynced_names.size());
    for (size_t i = 0; i < kept; ++i) {
      for (const auto& [name, child] : node.unsynced_names[i]) {
        if (child == nullptr) {
          node.durable_names.erase(name);
        } else {
          node.durable_names[name] = child;
        }
      }
    }
    node.unsynced_names.clear();
    node.names = node.durable_names;
    for (const auto& [name, child] : node.names) LosePower(*child, survival, random);
    return;
  }
  if (survival == Survival::kEverything) {
    // Even what a failed sync has given up: nobody but the disk knows of that.
    node.durable_contents = node.contents;
  } else {
    const size_t kept = surviving(node.unsynced.size());
    for (size_t i = 0; i < kept; ++i) node.unsynced[i].ApplyTo(node.durable_contents);
    if (kept < node.unsynced.size() && survival != Survival::kNothing) {
      Change torn = node.unsynced[kept];
      if (!torn.resize) {
        torn.bytes.resize(random() % (torn.bytes.size() + 1));
        torn.ApplyTo(node.durable_contents);
      }
      if (survival == Survival::kByChanceWithZeros && random() % 2 == 0 &&
          node.contents.size() > node.durable_contents.size()) {
        node.durable_contents.resize(node.contents.size(), '\0');
      }
    }
    node.contents = node.durable_contents;
  }
  node.unsynced.clear();
}

std::optional<std::string> Disk::Contents(const std::string& path) const {
  const NodePtr node = Find(path);
  if (node == nullptr || node->is_directory) return std::nullopt;
  return node->contents;
}

void Disk::Collect(const Node& node, const std::string& prefix,
                   std::map<std::string, std::string>& files) {
  for (const auto& [name, child] : node.names) {
    if (child->is_directory) {
      Collect(*child, prefix + name + "/", files);
    } else {
      files[prefix + name] = child->contents;
    }
  }
}

std::map<std::string, std::string> Disk::Files(const std::string& name) const {
  std::map<std::string, std::string> files;
  const NodePtr node = Find(directory_ + "/" + name);
  if (node != nullptr) Collect(*node, "", files);
  return files;
}

void Disk::Write(const Node& node, const std::string& to) {
  if (!node.is_directory) {
    std::ofstream(to, std::ios::binary) << node.contents;
    return;
  }
  std::filesystem::create_directories(to);
  for (const auto& [name, child] : node.names) Write(*child, to + "/" + name);
}

void Disk::Write(const std::string& name, const std::string& to) const {
  const NodePtr node = Find(directory_ + "/" + name);
  if (node != nullptr) Write(*node, to);
}

void Disk::Cut(const std::string& path, size_t bytes) {
  const NodePtr node = Find(path);
  if (node == nullptr) throw std::runtime_error("there is no " + path);
  node->contents.resize(bytes);
  node->durable_contents = node->contents;
  node->unsynced.clear();
}

void Disk::Load(const std::string& from, const std::string& name) {
  const std::string to = directory_ + "/" + name;
  const auto add = [&](const std::string& path, bool is_directory, std::string contents) {
    const auto [parent, last] = Place(path);
    const auto node = std::make_shared<Node>();
    node->is_directory = is_directory;
    node->contents = node->durable_contents = std::move(contents);
    parent->names[last] = parent->durable_names[last] = node;
  };
  add(to, true, "");
  // Folders come before what they hold.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
    const std::string path =
        to + "/" + std::filesystem::path(entry.path()).lexically_relative(from).string();
    if (entry.is_directory()) {
      add(path, true, "");
    } else {
      add(path, false, Must(ReadFile(entry.path())));
    }
  }
}

}  // namespace bif::faults

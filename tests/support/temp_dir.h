// A scratch directory of one test, removed with everything in it when the object goes.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace bif::testing {

class TempDir {
 public:
  // Below $TMPDIR, else the system's place for such things. A test that cannot have one cannot go
  // on: throws.
  TempDir() {
    path_ = (std::filesystem::temp_directory_path() / "bif-test-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make " + path_);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // A path below the directory; nothing is made there.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace bif::testing

// What a data directory holds of its posteriors, as text that two directories can be compared by:
// draws, chain states, training traces and records, each under a name, with SHA-256 for bytes.
//
// Left out is what may differ between two runs of the same work: numbers that were given out in the
// order of arrival, times, file names and the cut of segments.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace bif::testing {

struct Contents {
  std::map<std::string, std::string> posteriors;
  int64_t swept_files = 0;  // that nothing named when the directory was opened
};

// Of a directory that no daemon has open. Throws if it cannot be read in full.
Contents ContentsOf(const std::string& data_directory);

// A sentence for each name whose text differs, or that only one of them has; the first ten.
std::vector<std::string> Differences(const std::map<std::string, std::string>& one,
                                     const std::map<std::string, std::string>& other);

}  // namespace bif::testing

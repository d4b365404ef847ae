#include "tests/faults/journal.h"

#include <cstring>
#include <string_view>

#include "src/base/files.h"
#include "tests/support/must.h"

namespace bif::faults {

std::vector<Event> ReadJournal(const std::string& path) {
  const std::string bytes = Must(ReadFile(path));
  std::vector<Event> events;
  std::string_view rest = bytes;
  EventHeader header;
  while (rest.size() >= sizeof(header)) {
    std::memcpy(&header, rest.data(), sizeof(header));
    rest.remove_prefix(sizeof(header));
    if (rest.size() < header.path_bytes + header.data_bytes) break;
    events.push_back({header.kind, header.flags, header.fd, header.offset,
                      std::string(rest.substr(0, header.path_bytes)),
                      std::string(rest.substr(header.path_bytes, header.data_bytes))});
    rest.remove_prefix(header.path_bytes + header.data_bytes);
  }
  return events;
}

}  // namespace bif::faults

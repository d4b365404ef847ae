#include "tests/crash/contents.h"

#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/digest.h"
#include "src/jobs/trace_arrays.h"
#include "src/storage/store.h"

namespace bif::testing {
namespace {

constexpr size_t kMostDifferences = 10;

using storage::pb::PosteriorRecord;

template <typename Value>
Value Must(absl::StatusOr<Value> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}
void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

template <typename Values>
std::string DigestOf(const Values& values) {
  Sha256 sha;
  sha.UpdateField(
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
  return ToHex(sha.Finish());
}

class Reader {
 public:
  explicit Reader(storage::Store& store) : store_(store) {}

  void Add(const PosteriorRecord& record, std::map<std::string, std::string>& contents) {
    const std::string name = "posterior " + record.key().substr(record.key().size() - 12);
    contents[name] =
        absl::StrCat(record.draws_committed(), " draws of ", record.draws_target(), ", state ",
                     record.state(), ", every ", record.steps_between_draws(), " steps, plan ",
                     record.plan().ShortDebugString());
    for (const auto& chain : record.chains())
      AddChain(record, chain, absl::StrCat(name, " chain ", chain.index()), contents);
  }

 private:
  void AddChain(const PosteriorRecord& record, const storage::pb::ChainRecord& chain,
                const std::string& name, std::map<std::string, std::string>& contents) {
    contents[name] =
        absl::StrCat(chain.draws(), " draws, diverged ", chain.diverged(), ", losses ",
                     DigestOf(chain.sampling_loss()), ", distances ", DigestOf(chain.distance()),
                     ", mean losses ", DigestOf(chain.mean_trace_loss()));
    for (uint32_t d = 0; d < chain.draws(); ++d) {
      const auto place = Must(store_.catalog().Get<storage::pb::DrawRecord>(
          storage::DrawKey(record.number(), chain.index(), d)));
      contents[absl::StrCat(name, " draw ", d)] =
          DigestOf(Must(store_.draws().ReadDraw(record.number(), place)).payload);
    }
    if (!chain.states().empty()) {
      const auto state = Must(store_.draws().ReadState(record.number(), *chain.states().rbegin()));
      contents[name + " state"] = absl::StrCat("step ", state.step, ", ", DigestOf(state.weights),
                                               " ", DigestOf(state.second_moments));
    }
    contents[name + " traces"] = TracesOf(record, chain);
  }

  std::string TracesOf(const PosteriorRecord& record, const storage::pb::ChainRecord& chain) {
    const auto dataset = Must(
        store_.catalog().Get<storage::pb::DatasetRecord>(storage::DatasetKey(record.dataset())));
    const auto rows = static_cast<uint32_t>(record.training_rows() - record.excluded_rows_size());
    std::vector<float> traces(size_t{rows} * chain.draws());
    if (!traces.empty()) {
      Must(store_.traces().Read({record.number(), jobs::kLossArray, dataset.number()},
                                chain.index(), 0, rows, chain.draws(), chain.draws(), 0,
                                absl::MakeSpan(traces)));
    }
    return DigestOf(traces);
  }

  storage::Store& store_;
};

}  // namespace

Contents ContentsOf(const std::string& data_directory) {
  storage::StoreOptions options;
  options.root = data_directory;
  const std::unique_ptr<storage::Store> store = Must(storage::OpenStore(options));
  Contents contents;
  contents.swept_files = store->recovery().swept_files;
  Reader reader(*store);
  for (const auto& [key, record] : Must(store->catalog().Scan<PosteriorRecord>(
           storage::KindPrefix(storage::RecordKind::kPosterior)))) {
    reader.Add(record, contents.posteriors);
  }
  return contents;
}

std::vector<std::string> Differences(const std::map<std::string, std::string>& one,
                                     const std::map<std::string, std::string>& other) {
  std::vector<std::string> differences;
  const auto add = [&](const std::string& difference) {
    if (differences.size() < kMostDifferences) differences.push_back(difference);
  };
  for (const auto& [name, text] : one) {
    const auto same = other.find(name);
    if (same == other.end()) {
      add("only the first has " + name);
    } else if (same->second != text) {
      add(absl::StrCat(name, ": ", text, " and ", same->second));
    }
  }
  for (const auto& [name, text] : other) {
    if (!one.contains(name)) add("only the second has " + name);
  }
  return differences;
}

}  // namespace bif::testing

#include "tests/support/store_digest.h"

#include <stdexcept>
#include <vector>

#include "src/base/digest.h"
#include "src/base/files.h"
#include "src/storage/big_endian.h"

namespace bif::storage {
namespace {

template <typename Value>
Value Read(absl::StatusOr<Value> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}
void Read(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

template <typename Number>
std::string_view BytesOf(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

class StoreDigest {
 public:
  explicit StoreDigest(Store& store) : store_(store) {}

  std::string Finish() {
    AddCatalog();
    AddSamples();
    for (const auto& [key, posterior] :
         Read(catalog().Scan<pb::PosteriorRecord>(KindPrefix(RecordKind::kPosterior)))) {
      AddFiles(posterior);
      AddTraces(posterior);
    }
    AddBlobs();
    return ToHex(digest_.Finish());
  }

 private:
  Catalog& catalog() { return store_.catalog(); }

  void AddCatalog() {
    for (const auto& [key, value] : Read(catalog().ScanBytes({""}, "", 0))) {
      digest_.UpdateField(key);
      digest_.UpdateField(value);
    }
  }

  void AddSamples() {
    for (const auto& [key, rows] :
         Read(catalog().ScanBytes(KindPrefix(RecordKind::kSampleExtent), "", 0))) {
      const auto dataset = ReadBigEndian<uint32_t>(key, 0);
      const auto count = ReadBigEndian<uint32_t>(rows, 0);
      for (const SampleHeader& header : Read(store_.samples().ReadHeaders(dataset, 0, count)))
        digest_.UpdateField(header.id);
      std::vector<uint32_t> ordinals(count);
      for (uint32_t i = 0; i < count; ++i) ordinals[i] = i;
      for (const Column& column : Read(store_.samples().Read(dataset, ordinals)).columns)
        digest_.UpdateField(BytesOf(column.data));
    }
  }

  void AddFiles(const pb::PosteriorRecord& posterior) {
    for (const auto& [key, draw] :
         Read(catalog().Scan<pb::DrawRecord>(DrawPrefix(posterior.number())))) {
      digest_.UpdateField(Read(store_.draws().ReadDraw(posterior.number(), draw)).payload);
    }
    for (const pb::ChainRecord& chain : posterior.chains()) {
      for (const pb::FileRecord& file : chain.states()) {
        const DrawStore::State state = Read(store_.draws().ReadState(posterior.number(), file));
        digest_.UpdateU64(state.step);
        digest_.UpdateField(BytesOf(state.weights));
        digest_.UpdateField(BytesOf(state.second_moments));
      }
    }
  }

  void AddTraces(const pb::PosteriorRecord& posterior) {
    for (const auto& [key, extent] :
         Read(catalog().Scan<pb::TraceExtent>(TraceExtentPrefix(posterior.number())))) {
      const TraceArray array = {posterior.number(), ReadBigEndian<uint32_t>(key, 0),
                                ReadBigEndian<uint32_t>(key, 4)};
      for (const pb::ChainRecord& chain : posterior.chains()) {
        std::vector<float> values(size_t{extent.slots()} * extent.draws());
        Read(store_.traces().Read(array, chain.index(), extent.first_slot(), extent.slots(),
                                  extent.draws(), extent.draws(), 0, absl::MakeSpan(values)));
        digest_.UpdateField(BytesOf(values));
      }
    }
  }

  void AddBlobs() {
    for (const auto& [key, program] :
         Read(catalog().Scan<pb::ProgramRecord>(KindPrefix(RecordKind::kProgram)))) {
      digest_.UpdateField(Read(ReadFile(store_.blobs().PathOf(program.blob()))));
    }
  }

  Store& store_;
  Sha256 digest_;
};

}  // namespace

std::string DigestOf(Store& store) { return StoreDigest(store).Finish(); }

}  // namespace bif::storage

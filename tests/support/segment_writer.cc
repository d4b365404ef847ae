#include "tests/support/segment_writer.h"

#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace bif::storage {
namespace {

constexpr uint32_t kChains = 2;
constexpr uint32_t kDraws = 3;  // a segment
constexpr uint32_t kSlots = 300;
constexpr int64_t kRows = 5;  // that are appended with a segment
constexpr uint32_t kLosses = 1 << 16;
constexpr uint64_t kPassing = 1000;  // + segment: numbers of posteriors that are soon deleted

template <typename Value>
Value Must(absl::StatusOr<Value> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}
void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

EncodedDraw DrawOf(uint32_t chain, uint32_t draw) {
  EncodedDraw encoded;
  encoded.codec = 1;
  encoded.payload = absl::StrCat("draw ", draw, " of chain ", chain, std::string(1000, 'x'));
  encoded.elements = encoded.payload.size();
  return encoded;
}

std::string PassingKey(uint32_t segment) { return absl::StrCat("passing-", segment); }

}  // namespace

void SegmentWriter::Write() {
  if (segments_ == 0) {
    posterior_.set_key("lasting");
    posterior_.set_number(kWrittenPosterior);
    for (uint32_t c = 0; c < kChains; ++c) posterior_.add_chains()->set_index(c);
  }
  WriteSet writes;
  AddSamples(writes);
  AddBlob(writes);
  AddDraws(writes);
  AddPassingPosterior(writes);
  Must(store_.catalog().Commit(writes));
  if (segments_ > 0) {  // the one that this commit has deleted
    Must(store_.draws().DeletePosterior(kPassing + segments_ - 1));
    Must(store_.traces().DeletePosterior(kPassing + segments_ - 1));
  }
  ++segments_;
}

void SegmentWriter::AddSamples(WriteSet& writes) {
  SampleBatch batch;
  batch.rows = kRows;
  batch.columns.push_back({{"x", DType::kUint8, {64}}, std::vector<std::byte>(kRows * 64)});
  std::vector<std::string> ids;
  for (int64_t r = 0; r < kRows; ++r) {
    ids.push_back(absl::StrCat("s", segments_ * kRows + r));
    batch.columns[0].data[static_cast<size_t>(r) * 64] = static_cast<std::byte>(segments_);
  }
  Must(store_.samples().Write(kWrittenDataset, segments_ * kRows, batch, ids, false, writes));
  pb::DatasetRecord dataset;
  dataset.set_id("train");
  dataset.set_number(kWrittenDataset);
  dataset.set_rows((segments_ + 1) * kRows);
  writes.Put(DatasetKey("train"), dataset);
}

void SegmentWriter::AddBlob(WriteSet& writes) {
  const auto blob = Must(store_.blobs().NewBlob());
  Must(blob->Append(absl::StrCat("program ", segments_)));
  pb::ProgramRecord program;
  program.set_blob(Must(blob->Finish()));
  writes.Put(ProgramKey(absl::StrCat("program-", segments_)), program);
}

void SegmentWriter::AddDraws(WriteSet& writes) {
  const uint32_t first = segments_ * kDraws;
  const uint32_t end = first + kDraws;
  const TraceArray losses = {kWrittenPosterior, kLosses, kWrittenDataset};
  for (pb::ChainRecord& chain : *posterior_.mutable_chains()) {
    std::vector<EncodedDraw> draws;
    for (uint32_t d = first; d < end; ++d) draws.push_back(DrawOf(chain.index(), d));
    const auto records =
        Must(store_.draws().WriteDraws(kWrittenPosterior, chain.index(), first, draws));
    for (uint32_t d = 0; d < kDraws; ++d)
      writes.Put(DrawKey(kWrittenPosterior, chain.index(), first + d), records[d]);
    std::vector<float> traces(size_t{kSlots} * kDraws);
    for (size_t i = 0; i < traces.size(); ++i)
      traces[i] = static_cast<float>(i) + static_cast<float>(first) / 7;
    Must(store_.traces().Write(losses, chain.index(), 0, kSlots, first, kDraws, traces));
    const DrawStore::State state = {end, std::vector<float>(100, static_cast<float>(end)), {}};
    *chain.add_states() = Must(store_.draws().WriteState(kWrittenPosterior, chain.index(), state));
    chain.set_draws(end);
  }
  posterior_.set_draws_committed(end);
  writes.Put(PosteriorKey(posterior_.key()), posterior_);
  pb::TraceExtent extent;
  extent.set_slots(kSlots);
  extent.set_draws(end);
  writes.Put(TraceExtentKey(kWrittenPosterior, kLosses, kWrittenDataset, 0), extent);
}

void SegmentWriter::AddPassingPosterior(WriteSet& writes) {
  const uint64_t number = kPassing + segments_;
  pb::PosteriorRecord record;
  record.set_key(PassingKey(segments_));
  record.set_number(number);
  writes.Put(PosteriorKey(record.key()), record);
  writes.Put(DrawKey(number, 0, 0),
             Must(store_.draws().WriteDraws(number, 0, 0, {DrawOf(7, segments_)}))[0]);
  if (segments_ == 0) return;
  writes.Delete(PosteriorKey(PassingKey(segments_ - 1)));
  writes.DeletePrefix(DrawPrefix(number - 1));
}

uint32_t SegmentWriter::SegmentsIn(Store& store) {
  const auto record = store.catalog().Get<pb::PosteriorRecord>(PosteriorKey("lasting"));
  return absl::IsNotFound(record.status()) ? 0 : Must(record).draws_committed() / kDraws;
}

}  // namespace bif::storage

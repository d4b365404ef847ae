#include "tests/support/jobs_fixture.h"

#include "src/jobs/posterior_record.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {

JobsFixture::Contents JobsFixture::Read(const std::string& name) {
  Contents contents;
  const absl::StatusOr<Posterior> posterior = jobs_->posteriors().Get(name);
  EXPECT_TRUE(posterior.ok()) << posterior.status();
  if (!posterior.ok()) return contents;
  storage::Catalog& catalog = store_->catalog();
  const auto record =
      *catalog.Get<storage::pb::PosteriorRecord>(storage::PosteriorKey(posterior->key));
  const auto dataset =
      *catalog.Get<storage::pb::DatasetRecord>(storage::DatasetKey(record.dataset()));
  const auto rows = static_cast<uint32_t>(TrainingRowCount(record));
  const storage::TraceArray losses{record.number(), kLossArray, dataset.number()};
  for (const auto& chain : record.chains()) {
    std::vector<float> traces(size_t{rows} * chain.draws());
    if (chain.draws() > 0) {
      const absl::Status read = store_->traces().Read(losses, chain.index(), 0, rows, chain.draws(),
                                                      chain.draws(), 0, absl::MakeSpan(traces));
      EXPECT_TRUE(read.ok()) << read;
    }
    contents.traces.push_back(std::move(traces));
    for (uint32_t d = 0; d < chain.draws(); ++d) {
      const auto place =
          catalog.Get<storage::pb::DrawRecord>(storage::DrawKey(record.number(), chain.index(), d));
      EXPECT_TRUE(place.ok()) << place.status();
      if (!place.ok()) continue;
      const auto draw = store_->draws().ReadDraw(record.number(), *place);
      EXPECT_TRUE(draw.ok()) << draw.status();
      if (draw.ok()) contents.draws.push_back(draw->payload);
    }
    contents.sampling_loss.insert(contents.sampling_loss.end(), chain.sampling_loss().begin(),
                                  chain.sampling_loss().end());
  }
  contents.anchor_losses.resize(rows);
  const absl::Status anchor =
      store_->traces().Read({record.number(), kAnchorLossArray, dataset.number()}, 0, 0, rows, 1, 1,
                            0, absl::MakeSpan(contents.anchor_losses));
  EXPECT_TRUE(anchor.ok()) << anchor;
  return contents;
}

}  // namespace bif::jobs

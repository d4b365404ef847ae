#include "src/jobs/sequences.h"

#include "src/base/status.h"
#include "src/engine/sequences.h"

namespace bif::jobs {

absl::StatusOr<std::vector<SequenceShape>> SequenceShapes(
    const Checkpoints::Sources& program, const SampleBatch& batch,
    absl::FunctionRef<std::string(int64_t row)> name_of) {
  const engine::ProgramSource& source = program.program_source;
  BIF_ASSIGN_OR_RETURN(
      const auto reader,
      engine::SequenceReader::Open(batch, source.target_column, source.sequence, program.info));
  std::vector<SequenceShape> shapes;
  for (int64_t row = 0; row < batch.rows; ++row) {
    engine::Sequences sequence;
    if (const absl::Status read = reader.Read(row, sequence); !read.ok())
      return FieldError(name_of(row), std::string(read.message()));
    SequenceShape shape{static_cast<uint32_t>(sequence.length(0) - 1), 0};
    for (int64_t position = 1; position < sequence.length(0); ++position)
      shape.counted += sequence.Counts(0, position) ? 1 : 0;
    shapes.push_back(shape);
  }
  return shapes;
}

float ReduceTokenLosses(engine::TokenReduction reduction, const SequenceShape& shape,
                        const float* losses, size_t stride) {
  double sum = 0;
  for (uint32_t t = 0; t < shape.losses; ++t) sum += static_cast<double>(losses[t * stride]);
  const bool mean = reduction == engine::TokenReduction::kMean;
  return static_cast<float>(mean ? sum / shape.counted : sum);
}

}  // namespace bif::jobs

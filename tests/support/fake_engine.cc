#include "tests/support/fake_engine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/digest.h"
#include "src/base/files.h"
#include "src/base/safetensors.h"
#include "src/base/status.h"
#include "src/engine/sequences.h"
#include "tests/support/fake_chains.h"
#include "tests/support/fake_model.h"
#include "tests/support/fake_tangents.h"
#include "tests/support/safetensors_bytes.h"

namespace bif::testing {
namespace {

using engine::ChainSnapshot;
using engine::LossKind;
using engine::MovingSet;
using engine::ResidentRows;

constexpr char kProgramMagic[] = "fake-program";

// All parameters are one vector of so many elements, cut into "front" and "back".
int64_t FrontElements(int64_t elements) { return (elements + 1) / 2; }

struct ParsedProgram {
  FakeShape shape;
  std::vector<float> weights;
};

std::vector<float> ReadNumbers(std::istream& in) {
  std::vector<float> numbers;
  for (float number; in >> number;) numbers.push_back(number);
  return numbers;
}

absl::Status CheckWeights(const std::vector<float>& weights, const FakeShape& shape) {
  if (static_cast<int64_t>(weights.size()) != shape.elements()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", weights.size(), " weights where the program has ", shape.elements()));
  }
  return absl::OkStatus();
}

absl::StatusOr<ParsedProgram> ParseProgram(const std::string& path) {
  BIF_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::istringstream in(text);
  std::string magic;
  ParsedProgram program;
  if (!(in >> magic >> program.shape.dimensions >> program.shape.classes) ||
      magic != kProgramMagic || program.shape.dimensions < 1 || program.shape.classes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": this is not a program: the archive has no graph"));
  }
  program.weights = ReadNumbers(in);
  BIF_RETURN_IF_ERROR(CheckWeights(program.weights, program.shape));
  return program;
}

// The parameters "front" and "back", each in one of the files.
absl::StatusOr<std::vector<float>> SafetensorsWeights(const FakeShape& shape,
                                                      const engine::WeightsSource& source) {
  std::map<std::string, std::vector<float>> parameters;
  for (const std::string& path : source.safetensors_paths) {
    BIF_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
    for (const SafetensorsTensor& tensor : file.tensors()) {
      std::vector<float>& values = parameters[tensor.name];
      if (tensor.dtype != SafetensorsDType::kFloat32 || !values.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", tensor.name, "' is not fp32, or is in two files"));
      }
      values.resize(tensor.elements);
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    }
  }
  std::vector<float> weights = parameters["front"];
  weights.insert(weights.end(), parameters["back"].begin(), parameters["back"].end());
  BIF_RETURN_IF_ERROR(CheckWeights(weights, shape));
  return weights;
}

absl::StatusOr<std::vector<float>> WeightsOf(const ParsedProgram& program,
                                             const engine::WeightsSource& source) {
  if (source.safetensors_paths.empty()) return program.weights;
  return SafetensorsWeights(program.shape, source);
}

engine::ProgramInfo InfoOf(const FakeShape& shape, const engine::ProgramSource& source) {
  engine::ProgramInfo info;
  if (source.loss == LossKind::kNextToken) {
    info.columns.push_back({source.target_column, DType::kInt32, {-1}});
    if (!source.sequence.mask_column.empty())
      info.columns.push_back({source.sequence.mask_column, DType::kUint8, {-1}});
    info.sequences = true;
  } else {
    info.columns.push_back({"features", DType::kFloat32, {shape.dimensions}});
    info.columns.push_back(
        {"target", source.loss == LossKind::kCrossEntropy ? DType::kInt64 : DType::kFloat32, {}});
  }
  const int64_t front = FrontElements(shape.elements());
  info.parameters.push_back({"front", {front}, front});
  if (shape.elements() > front)
    info.parameters.push_back({"back", {shape.elements() - front}, shape.elements() - front});
  info.classes = shape.classes;
  info.nodes = 1;
  return info;
}

// Position of each moving element in the flat vector of all parameters.
std::vector<int64_t> FlatPositions(const engine::ProgramInfo& info, const MovingSet& moving) {
  std::vector<int64_t> positions(moving.elements);
  for (const engine::MovingRange& range : moving.ranges) {
    int64_t offset = 0;
    for (int64_t p = 0; p < range.parameter; ++p) offset += info.parameters[p].elements;
    for (int64_t i = 0; i < range.elements; ++i) positions[range.begin + i] = offset + i;
  }
  return positions;
}

class FakeModel : public engine::Model {
 public:
  FakeModel(std::shared_ptr<FakeEngineHooks> hooks, FakeShape shape,
            const engine::ProgramSource& source, std::vector<float> weights)
      : hooks_(std::move(hooks)),
        shape_(shape),
        source_(source),
        info_(InfoOf(shape, source)),
        anchor_(std::move(weights)) {}

  const engine::ProgramInfo& info() const override { return info_; }

  absl::StatusOr<std::unique_ptr<ResidentRows>> Upload(const SampleBatch& batch) override {
    if (info_.sequences) return UploadSequences(batch);
    const Column* features = batch.Find("features");
    const Column* target = batch.Find("target");
    if (features == nullptr || target == nullptr || !(features->spec == info_.columns[0]) ||
        !(target->spec == info_.columns[1])) {
      return absl::InvalidArgumentError("the columns features and target are needed");
    }
    auto data = std::make_unique<FakeData>();
    data->dimensions = shape_.dimensions;
    data->features.resize(batch.rows * shape_.dimensions);
    std::memcpy(data->features.data(), features->data.data(), features->data.size());
    for (int64_t row = 0; row < batch.rows; ++row) {
      BIF_ASSIGN_OR_RETURN(const double value, TargetOf(*target, row));
      data->targets.push_back(value);
      data->counts.push_back(true);
      data->row_ends.push_back(row + 1);
    }
    return data;
  }

  absl::StatusOr<std::unique_ptr<engine::ChainGroup>> StartChains(
      const engine::SamplerSettings& settings, const MovingSet& moving,
      const engine::ExecutionPlan&, const ResidentRows& train, uint32_t first_chain, uint32_t count,
      const std::vector<ChainSnapshot>& snapshots) override {
    auto chains = std::make_unique<FakeChains>(
        hooks_, shape_, anchor_, FlatPositions(info_, moving), settings,
        static_cast<const FakeData&>(train), first_chain, count);
    BIF_RETURN_IF_ERROR(chains->Restore(snapshots));
    return chains;
  }

  absl::StatusOr<engine::ExecutionPlan> Tune(const engine::SamplerSettings&, const MovingSet&,
                                             const ResidentRows&) override {
    return engine::ExecutionPlan{hooks_->batched_chains, 64};
  }

  absl::StatusOr<engine::TangentPlan> CheckTangents(const MovingSet&, const engine::ExecutionPlan&,
                                                    const ResidentRows&) override {
    ++hooks_->tangent_checks;
    BIF_RETURN_IF_ERROR(hooks_->on_check_tangents());
    return hooks_->tangent_plan;
  }
  absl::StatusOr<std::unique_ptr<engine::TangentStretch>> StartTangents(
      const engine::SamplerSettings& settings, const MovingSet& moving,
      const engine::ExecutionPlan&, const engine::TangentPlan&, const ResidentRows& train,
      const ChainSnapshot& from, const ResidentRows& queries, const engine::Observable& observable,
      absl::Span<const float> tangents) override {
    auto chain =
        std::make_unique<FakeChains>(hooks_, shape_, anchor_, FlatPositions(info_, moving),
                                     settings, static_cast<const FakeData&>(train), from.chain, 1);
    BIF_RETURN_IF_ERROR(chain->Restore({from}));
    return StartFakeTangents(hooks_, std::move(chain), static_cast<const FakeData&>(queries),
                             observable, tangents);
  }

  absl::Status Observe(const MovingSet& moving, absl::Span<const absl::Span<const float>> deltas,
                       const ResidentRows& rows, int64_t first_row, int64_t row_count,
                       const engine::Observable& observable, const engine::ExecutionPlan&,
                       absl::Span<float> values) override {
    const int64_t call = ++hooks_->observe_calls;
    BIF_RETURN_IF_ERROR(hooks_->on_observe(call));
    hooks_->observed_rows += row_count * static_cast<int64_t>(deltas.size());
    const auto& data = static_cast<const FakeData&>(rows);
    if (first_row < 0 || row_count < 0 || first_row + row_count > rows.rows())
      return absl::InvalidArgumentError("rows out of range");
    int64_t numbers = row_count;
    if (observable.kind == engine::ObservableKind::kTokenLosses) {
      if (!data.sequences) return absl::InvalidArgumentError("the rows are no sequences");
      numbers = 0;
      for (int64_t r = 0; r < row_count; ++r) numbers += data.token_losses(first_row + r);
    }
    if (static_cast<int64_t>(values.size()) != numbers * static_cast<int64_t>(deltas.size()))
      return absl::InvalidArgumentError("values of another number");
    hooks_->observed_values += static_cast<int64_t>(values.size());
    const std::vector<int64_t> positions = FlatPositions(info_, moving);
    float* to = values.data();
    for (size_t d = 0; d < deltas.size(); ++d) {
      std::vector<float> weights = anchor_;
      for (size_t i = 0; i < deltas[d].size(); ++i) weights[positions[i]] += deltas[d][i];
      for (int64_t r = 0; r < row_count; ++r) {
        BIF_ASSIGN_OR_RETURN(const std::vector<double> found,
                             FakeObservable(shape_, weights, data, first_row + r, observable));
        for (const double value : found) *to++ = static_cast<float>(value);
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::unique_ptr<ResidentRows>> UploadSequences(const SampleBatch& batch) {
    BIF_ASSIGN_OR_RETURN(
        const auto reader,
        engine::SequenceReader::Open(batch, source_.target_column, source_.sequence, info_));
    auto data = std::make_unique<FakeData>();
    data->dimensions = shape_.dimensions;
    data->sequences = true;
    data->reduction = source_.sequence.reduction;
    for (int64_t row = 0; row < batch.rows; ++row) {
      engine::Sequences sequence;
      BIF_RETURN_IF_ERROR(reader.Read(row, sequence));
      const absl::Span<const int32_t> tokens = sequence.Row(0);
      for (size_t p = 1; p < tokens.size(); ++p) {
        for (int64_t k = 0; k < shape_.dimensions; ++k)
          data->features.push_back(FakeTokenFeature(tokens[p - 1], k));
        data->targets.push_back(tokens[p]);
        data->counts.push_back(sequence.Counts(0, static_cast<int64_t>(p)));
      }
      data->row_ends.push_back(static_cast<int64_t>(data->targets.size()));
    }
    return data;
  }

  absl::StatusOr<double> TargetOf(const Column& target, int64_t row) const {
    if (shape_.classes == 0) {
      float value;
      std::memcpy(&value, target.data.data() + row * sizeof(value), sizeof(value));
      return value;
    }
    int64_t label;
    std::memcpy(&label, target.data.data() + row * sizeof(label), sizeof(label));
    if (label < 0 || label >= shape_.classes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "row ", row, " has label ", label, "; the program has ", shape_.classes, " classes"));
    }
    return static_cast<double>(label);
  }

  const std::shared_ptr<FakeEngineHooks> hooks_;
  const FakeShape shape_;
  const engine::ProgramSource source_;
  const engine::ProgramInfo info_;
  const std::vector<float> anchor_;
};

}  // namespace

FakeEngine::FakeEngine()
    : info_{"cpu", "fake engine 1", 1}, hooks_(std::make_shared<FakeEngineHooks>()) {}

absl::StatusOr<engine::ProgramInfo> FakeEngine::InspectProgram(
    const engine::ProgramSource& source) {
  BIF_ASSIGN_OR_RETURN(const ParsedProgram program, ParseProgram(source.path));
  const bool wants_logits =
      source.loss == LossKind::kCrossEntropy || source.loss == LossKind::kNextToken;
  if (wants_logits != (program.shape.classes > 0)) {
    return absl::InvalidArgumentError("the loss does not fit the program's output");
  }
  return InfoOf(program.shape, source);
}

absl::StatusOr<std::string> FakeEngine::InspectWeights(const engine::ProgramSource& source,
                                                       const engine::WeightsSource& weights) {
  BIF_ASSIGN_OR_RETURN(const ParsedProgram program, ParseProgram(source.path));
  BIF_ASSIGN_OR_RETURN(const std::vector<float> values, WeightsOf(program, weights));
  for (const float value : values) {
    if (!std::isfinite(value)) return absl::InvalidArgumentError("a weight is not finite");
  }
  return ToHex(
      Sha256Of({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}));
}

absl::StatusOr<std::unique_ptr<engine::Model>> FakeEngine::LoadModel(
    const engine::ProgramSource& source, const engine::WeightsSource& weights) {
  const int64_t call = ++hooks_->models_loaded;
  BIF_RETURN_IF_ERROR(hooks_->on_load(call));
  BIF_ASSIGN_OR_RETURN(const ParsedProgram program, ParseProgram(source.path));
  BIF_ASSIGN_OR_RETURN(std::vector<float> values, WeightsOf(program, weights));
  return std::make_unique<FakeModel>(hooks_, program.shape, source, std::move(values));
}

int64_t FakeEngine::EstimateDeviceBytes(const engine::ProgramInfo&, const MovingSet&,
                                        const engine::SamplerSettings&, int64_t) const {
  return hooks_->device_bytes;
}

std::string FakeProgramFile(int64_t features, int64_t classes, const std::vector<float>& weights) {
  return absl::StrCat(kProgramMagic, " ", features, " ", classes, "\n", absl::StrJoin(weights, " "),
                      "\n");
}

std::string FakeWeightsFile(const std::vector<float>& weights) {
  const auto middle = weights.begin() + FrontElements(static_cast<int64_t>(weights.size()));
  return SafetensorsBytes(
      {{"front", {weights.begin(), middle}}, {"back", {middle, weights.end()}}});
}

engine::ProgramSource FakeProgram(const std::string& path, LossKind loss) {
  if (loss == LossKind::kNextToken)
    return {path, loss, "tokens", {{"tokens", "tokens", {}, {}}}, {}};
  return {path, loss, "target", {{"features", "features", {}, {}}}, {}};
}

namespace {

template <typename Target>
SampleBatch Rows(const std::vector<float>& features, const std::vector<Target>& targets,
                 DType target_dtype) {
  SampleBatch batch;
  batch.rows = static_cast<int64_t>(targets.size());
  const int64_t dimensions =
      batch.rows == 0 ? 1 : static_cast<int64_t>(features.size()) / batch.rows;
  const auto* feature_bytes = reinterpret_cast<const std::byte*>(features.data());
  const auto* target_bytes = reinterpret_cast<const std::byte*>(targets.data());
  batch.columns.push_back({{"features", DType::kFloat32, {dimensions}},
                           {feature_bytes, feature_bytes + features.size() * sizeof(float)}});
  batch.columns.push_back({{"target", target_dtype, {}},
                           {target_bytes, target_bytes + targets.size() * sizeof(Target)}});
  return batch;
}

}  // namespace

SampleBatch FakeRows(const std::vector<float>& features, const std::vector<float>& targets) {
  return Rows(features, targets, DType::kFloat32);
}
SampleBatch FakeLabelledRows(const std::vector<float>& features,
                             const std::vector<int64_t>& labels) {
  return Rows(features, labels, DType::kInt64);
}

SampleBatch FakeSequences(const std::vector<std::vector<int32_t>>& sequences) {
  const bool fixed = std::all_of(sequences.begin(), sequences.end(), [&](const auto& sequence) {
    return sequence.size() == sequences[0].size();
  });
  SampleBatch batch;
  batch.rows = static_cast<int64_t>(sequences.size());
  Column& tokens = batch.columns.emplace_back();
  tokens.spec = {"tokens",
                 DType::kInt32,
                 {fixed && batch.rows > 0 ? static_cast<int64_t>(sequences[0].size()) : -1}};
  for (const std::vector<int32_t>& sequence : sequences) {
    tokens.Append(
        {reinterpret_cast<const std::byte*>(sequence.data()), sequence.size() * sizeof(int32_t)});
  }
  return batch;
}

}  // namespace bif::testing

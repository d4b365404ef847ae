#include "src/engine/validate_settings.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::engine {
namespace {

absl::Status Refuse(std::string_view field, std::string_view message) {
  return FieldError(absl::StrCat("settings.", std::string(field)), message);
}

// Fails unless value is a finite number for which `holds` is true.
absl::Status Require(std::string_view field, double value, bool holds, std::string_view rule) {
  if (std::isfinite(value) && holds) return absl::OkStatus();
  return Refuse(field, absl::StrCat("must be ", std::string(rule), ", is ", value));
}

absl::Status CheckNumbers(const SamplerSettings& s) {
  const std::string_view positive = "a finite number above 0";
  const std::string_view not_negative = "a finite number, at least 0";
  BIF_RETURN_IF_ERROR(Require("step_size", s.step_size, s.step_size > 0, positive));
  BIF_RETURN_IF_ERROR(Require("nbeta", s.nbeta, s.nbeta > 0, positive));
  BIF_RETURN_IF_ERROR(Require("gamma", s.gamma, s.gamma >= 0, not_negative));
  BIF_RETURN_IF_ERROR(Require("weight_decay", s.weight_decay, s.weight_decay >= 0, not_negative));
  BIF_RETURN_IF_ERROR(Require("noise_scale", s.noise_scale, s.noise_scale >= 0, not_negative));
  BIF_RETURN_IF_ERROR(Require("rms_decay", s.rms_decay, s.rms_decay >= 0 && s.rms_decay < 1,
                              "at least 0 and below 1"));
  BIF_RETURN_IF_ERROR(Require("rms_delta", s.rms_delta, s.rms_delta > 0, positive));
  if (s.box) BIF_RETURN_IF_ERROR(Require("box", *s.box, *s.box > 0, positive));
  return absl::OkStatus();
}

absl::Status CheckEnums(const SamplerSettings& s) {
  if (s.algorithm != Algorithm::kSgld && s.algorithm != Algorithm::kRmspropSgld) {
    return Refuse("algorithm", "must be SGLD or RMSPROP_SGLD");
  }
  if (s.batch_order < BatchOrder::kShuffledEpochs || s.batch_order > BatchOrder::kReplay) {
    return Refuse("batch_order", "must be SHUFFLED_EPOCHS, WITH_REPLACEMENT or REPLAY");
  }
  if (s.draw_codec < DrawCodec::kInt8Block || s.draw_codec > DrawCodec::kFp32) {
    return Refuse("draw_codec", "must be INT8_BLOCK, INT4_BLOCK, BF16 or FP32");
  }
  if (s.random_streams != RandomStreams::kPhilox && s.random_streams != RandomStreams::kDevinterp)
    return Refuse("random_streams", "must be PHILOX or DEVINTERP");
  if (s.compute != ComputeType::kFp32 && s.compute != ComputeType::kBf16)
    return Refuse("compute", "must be COMPUTE_FP32 or COMPUTE_BF16");
  return absl::OkStatus();
}

// A run of devinterp can only be repeated with what such a run can be told.
absl::Status CheckDevinterp(const SamplerSettings& s) {
  if (s.random_streams != RandomStreams::kDevinterp) return absl::OkStatus();
  if (s.batch_order == BatchOrder::kWithReplacement) {
    return Refuse("batch_order",
                  "cannot be WITH_REPLACEMENT with the random streams of devinterp, which has no "
                  "such order; take SHUFFLED_EPOCHS or REPLAY");
  }
  if (s.compute != ComputeType::kFp32) {
    return Refuse("compute",
                  "must be COMPUTE_FP32 with the random streams of devinterp: rounded gradients "
                  "would lead elsewhere");
  }
  return absl::OkStatus();
}

absl::Status CheckCounts(const SamplerSettings& s, int64_t train_rows) {
  if (s.chains < 1 || s.chains > kMaxChains) {
    return Refuse("chains", absl::StrCat("must be 1 to ", kMaxChains, ", is ", s.chains));
  }
  if (s.draws_per_chain < 2 || s.draws_per_chain > kMaxDrawsPerChain) {
    return Refuse("draws_per_chain",
                  absl::StrCat("must be 2 to ", kMaxDrawsPerChain, " (a covariance needs two), is ",
                               s.draws_per_chain));
  }
  if (train_rows < 1 || train_rows > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the training data must have 1 to 4294967295 samples, has ", train_rows));
  }
  if (s.batch_order == BatchOrder::kReplay)
    return absl::OkStatus();  // batches bring their own size
  if (s.batch_size < 1 || s.batch_size > train_rows) {
    return Refuse("batch_size", absl::StrCat("must be 1 to the number of training samples, ",
                                             train_rows, ", is ", s.batch_size));
  }
  return absl::OkStatus();
}

absl::Status CheckReplay(const SamplerSettings& s, int64_t train_rows) {
  if (s.batch_order != BatchOrder::kReplay) {
    if (s.replay_batches.empty()) return absl::OkStatus();
    return Refuse("replay_batches", "is given, but batch_order is not REPLAY");
  }
  if (s.replay_batches.empty())
    return Refuse("replay_batches", "must hold at least one batch with REPLAY");
  for (size_t b = 0; b < s.replay_batches.size(); ++b) {
    const std::vector<uint32_t>& batch = s.replay_batches[b];
    const std::string path = absl::StrCat("replay_batches[", b, "]");
    if (batch.empty()) return Refuse(path, "is empty");
    // Chains that step together share one batch shape.
    if (batch.size() != s.replay_batches[0].size()) {
      return Refuse(path, absl::StrCat("has ", batch.size(), " rows, the first batch has ",
                                       s.replay_batches[0].size(), "; all must have the same"));
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      if (batch[i] < train_rows) continue;
      return Refuse(absl::StrCat(path, ".indices[", i, "]"),
                    absl::StrCat("must be below the number of training samples, ", train_rows,
                                 ", is ", batch[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateSettings(const SamplerSettings& settings, int64_t train_rows) {
  BIF_RETURN_IF_ERROR(CheckEnums(settings));
  BIF_RETURN_IF_ERROR(CheckNumbers(settings));
  BIF_RETURN_IF_ERROR(CheckDevinterp(settings));
  BIF_RETURN_IF_ERROR(CheckCounts(settings, train_rows));
  return CheckReplay(settings, train_rows);
}

absl::Status ValidateForDevice(const SamplerSettings& settings, std::string_view device) {
  if (settings.random_streams != RandomStreams::kDevinterp || device == "cpu")
    return absl::OkStatus();
  return Refuse("random_streams",
                absl::StrCat("cannot be DEVINTERP on the device ", std::string(device),
                             ": they are the streams of a CPU; run bifd with --device cpu"));
}

}  // namespace bif::engine

#include "client/cli/query_options.h"

#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/sample_files.h"
#include "client/cli/text_samples.h"
#include "client/status_macros.h"
#include "client/text/tokenizer.h"

namespace bif::client {

namespace {

// "KIND:N:M@P", each number optional.
struct ObservableParts {
  std::string kind;
  std::vector<uint32_t> numbers;
  std::optional<uint32_t> position;
};
std::optional<ObservableParts> Parts(const std::string& text) {
  ObservableParts parts;
  std::vector<std::string> at = absl::StrSplit(text, '@');
  uint32_t number = 0;
  if (at.size() > 2) return std::nullopt;
  if (at.size() == 2) {
    if (!absl::SimpleAtoi(at[1], &number)) return std::nullopt;
    parts.position = number;
  }
  const std::vector<std::string> words = absl::StrSplit(at[0], ':');
  parts.kind = words[0];
  for (size_t i = 1; i < words.size(); ++i) {
    if (!absl::SimpleAtoi(words[i], &number)) return std::nullopt;
    parts.numbers.push_back(number);
  }
  return parts;
}

}  // namespace

absl::StatusOr<v1::Observable> ParseObservable(const std::string& text) {
  struct Kind {
    const char* name;
    v1::ObservableKind kind;
    size_t fewest_numbers, most_numbers;
    bool may_have_position;
  };
  constexpr Kind kKinds[] = {{"loss", v1::LOSS, 0, 0, false},
                             {"correct-probability", v1::CORRECT_PROBABILITY, 0, 0, false},
                             {"margin", v1::MARGIN, 0, 0, false},
                             {"logit", v1::LOGIT, 1, 1, true},
                             {"logit-difference", v1::LOGIT_DIFFERENCE, 2, 2, true},
                             {"span", v1::SPAN_LOSS, 1, 2, false},
                             {"token-probability", v1::TOKEN_PROBABILITY, 0, 0, true}};
  if (const std::optional<ObservableParts> parts = Parts(text)) {
    for (const Kind& kind : kKinds) {
      const size_t numbers = parts->numbers.size();
      if (parts->kind != kind.name || numbers < kind.fewest_numbers ||
          numbers > kind.most_numbers || (parts->position && !kind.may_have_position)) {
        continue;
      }
      v1::Observable observable;
      observable.set_kind(kind.kind);
      if (parts->position) observable.set_position(*parts->position);
      if (kind.kind == v1::SPAN_LOSS) {
        observable.set_span_begin(parts->numbers[0]);
        if (numbers > 1) observable.set_span_end(parts->numbers[1]);
      } else if (numbers > 0) {
        observable.set_logit_index(parts->numbers[0]);
        if (numbers > 1) observable.set_other_logit_index(parts->numbers[1]);
      }
      return observable;
    }
  }
  return UsageError(absl::StrCat(
      "an observable is loss, correct-probability, margin, logit:N, logit-difference:N:M, "
      "span:BEGIN:END or token-probability@P, logits of a sequence with @P behind; not '",
      text, "'"));
}

void AddPosteriorOption(CLI::App* command, std::string& posterior) {
  command->add_option("--posterior", posterior, "the posterior")->required();
}

void AddQueryOptions(CLI::App* command, QueryOptions& options) {
  CLI::Option* stored =
      command
          ->add_option("--query", options.queries, "stored samples; DATASET/* is all of a dataset")
          ->type_name("DATASET/ID");
  CLI::Option* file =
      command
          ->add_option("--query-file", options.query_file,
                       "samples of a local safetensors or JSON lines file, which are not kept")
          ->check(CLI::ExistingFile);
  CLI::Option* text =
      command
          ->add_option("--text", options.texts,
                       "texts for a language model; they need --tokenizer and are not kept")
          ->type_name("TEXT");
  CLI::Option* tokenizer = AddTokenizerOption(command, options.tokenizer);
  stored->excludes(file)->excludes(text);
  file->excludes(text);
  text->needs(tokenizer);
  AddPriority(command, options.priority);
}

CLI::Option* AddTokenizerOption(CLI::App* command, std::string& tokenizer) {
  return command
      ->add_option("--tokenizer", tokenizer,
                   "the tokenizer.json of the model's folder, for texts; needs Python's tokenizers")
      ->check(CLI::ExistingFile);
}

void AddCandidateOption(CLI::App* command, std::vector<std::string>& candidates) {
  command
      ->add_option(
          "--candidates", candidates,
          "samples to score; DATASET/* is all of a dataset (default: the training samples)")
      ->type_name("DATASET/ID");
}

void AddObservableOption(CLI::App* command, v1::Observable& observable) {
  command
      ->add_option_function<std::string>(
          "--observable",
          [&observable](const std::string& text) {
            absl::StatusOr<v1::Observable> parsed = ParseObservable(text);
            if (!parsed.ok()) {
              throw CLI::ValidationError("--observable", std::string(parsed.status().message()));
            }
            observable = *parsed;
          },
          "what is recorded of a query at every draw")
      ->type_name(
          "loss|correct-probability|margin|logit:N[@P]|logit-difference:N:M[@P]|span:BEGIN[:END]|"
          "token-probability@P")
      ->default_str("loss");
}

void AddTraceToScoreOptions(CLI::App* command, QueryOptions& options) {
  AddEnumOption(command, "--estimator", options.estimator, "how two traces become a score")
      ->default_str("bif");
  AddEnumOption(command, "--centring", options.centring, "which mean is taken off a trace")
      ->default_str("pooled");
}

void AddEstimatorOptions(CLI::App* command, QueryOptions& options) {
  AddTraceToScoreOptions(command, options);
  AddObservableOption(command, options.observable);
}

namespace {

// A mask that hides no token.
absl::StatusOr<v1::Tensor> OpenMask(size_t tokens, v1::TensorSpec column) {
  const v1::DType dtype = column.dtype();
  if (dtype == v1::BOOL) column.set_dtype(v1::UINT8);  // the same bytes
  CLIENT_ASSIGN_OR_RETURN(v1::Tensor mask, TokenTensor(std::vector<int64_t>(tokens, 1), column));
  mask.mutable_spec()->set_dtype(dtype);
  return mask;
}

// Texts as the posterior's program wants them: tokens, and a mask that hides none.
absl::StatusOr<v1::SampleSet> TextQueries(Session& session, const QueryOptions& options) {
  Client& client = session.client();
  CLIENT_ASSIGN_OR_RETURN(const v1::Posterior posterior,
                          client.GetPosterior(Qualified("posteriors", options.posterior)));
  CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset, client.GetDataset(posterior.dataset()));
  CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                          client.GetCheckpoint(posterior.checkpoint()));
  CLIENT_ASSIGN_OR_RETURN(const v1::Program program, client.GetProgram(checkpoint.program()));
  if (program.loss() != v1::NEXT_TOKEN) {
    return UsageError(absl::StrCat("--text is for language models; the loss of ", program.name(),
                                   " is ", Kebab(v1::LossKind_Name(program.loss()))));
  }
  CLIENT_ASSIGN_OR_RETURN(const auto sequences, Tokenizer(options.tokenizer).Encode(options.texts));
  v1::SampleSet set;
  for (const std::vector<int64_t>& ids : sequences) {
    v1::Sample& sample = *set.add_inline_();
    for (v1::TensorSpec column : dataset.columns()) {
      // Where the program takes any length, queries may have any, even if the training samples have
      // all the same.
      for (const v1::TensorSpec& wanted : program.columns()) {
        if (wanted.name() == column.name()) *column.mutable_shape() = wanted.shape();
      }
      if (column.name() == program.target_column()) {
        CLIENT_ASSIGN_OR_RETURN(*sample.add_tensors(), TokenTensor(ids, column));
      } else if (column.name() == program.sequence().mask_column()) {
        CLIENT_ASSIGN_OR_RETURN(*sample.add_tensors(), OpenMask(ids.size(), column));
      }
    }
  }
  return set;
}

}  // namespace

absl::StatusOr<v1::SampleSet> ResolveQueries(Session& session, const QueryOptions& options) {
  if (!options.texts.empty()) return TextQueries(session, options);
  if (options.query_file.empty()) {
    if (options.queries.empty())
      return UsageError("give --query DATASET/ID, --query-file FILE or --text TEXT");
    return ParseSampleSet(options.queries);
  }
  CLIENT_ASSIGN_OR_RETURN(const v1::Posterior posterior, session.client().GetPosterior(Qualified(
                                                             "posteriors", options.posterior)));
  CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                          session.client().GetDataset(posterior.dataset()));
  SampleFileOptions file;
  file.columns.assign(dataset.columns().begin(), dataset.columns().end());
  CLIENT_ASSIGN_OR_RETURN(auto samples, OpenSampleFile(options.query_file, std::move(file)));
  v1::SampleSet set;
  while (true) {
    CLIENT_ASSIGN_OR_RETURN(std::optional<v1::Sample> sample, samples->Next());
    if (!sample) return set;
    sample->clear_id();
    *set.add_inline_() = *std::move(sample);
  }
}

}  // namespace bif::client

// bifctl dataset append-text
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/query_options.h"
#include "client/cli/text_samples.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

struct Arguments {
  std::string dataset, file, tokenizer, column = "tokens";
  bool no_special_tokens = false;
  TextFileOptions options;
};

// The dataset's column that the text fills. It must be the only one: text says nothing of others.
absl::StatusOr<v1::TensorSpec> TokenColumn(const v1::Dataset& dataset, const std::string& name) {
  for (const v1::TensorSpec& column : dataset.columns()) {
    if (column.name() != name) {
      return UsageError(
          absl::StrCat(dataset.name(), " has a column ", column.name(),
                       ", which text does not fill; use dataset append with JSON lines"));
    }
  }
  if (dataset.columns_size() == 1) return dataset.columns(0);
  return UsageError(absl::StrCat(dataset.name(), " has no column ", name));
}

void Print(Session& session, const v1::AppendSamplesResponse& response, const TextSamples& samples,
           const TextFileOptions& options) {
  if (session.json) return PrintJson(session.out, response);
  if (session.quiet) {
    session.out << response.appended() << "\n";
    return;
  }
  session.out << "appended " << Count(response.appended()) << " texts; "
              << response.dataset().name() << " has " << Count(response.dataset().samples())
              << " samples\n";
  if (samples.left_out() > 0) {
    session.out << "left out " << Count(samples.left_out()) << " with fewer than "
                << options.min_tokens << " tokens\n";
  }
  if (samples.cut() > 0)
    session.out << "cut " << Count(samples.cut()) << " to " << options.max_tokens << " tokens\n";
}

}  // namespace

void AddDatasetTextCommand(CLI::App& noun, Action& action) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand(
      "append-text", "Tokenises a local text file and sends it, a sample a line or a paragraph");
  command->add_option("name", a->dataset, "the dataset, with one column of tokens")->required();
  command->add_option("file", a->file, "UTF-8 text; blank lines are no samples")
      ->required()
      ->check(CLI::ExistingFile);
  AddTokenizerOption(command, a->tokenizer)->required();
  command->add_option("--column", a->column, "the dataset's column, such as tokens:int32:?")
      ->capture_default_str();
  command->add_flag("--paragraphs", a->options.paragraphs,
                    "a sample ends at a blank line, not at every line");
  command->add_option("--max-tokens", a->options.max_tokens, "cut longer samples; 0: never")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--min-tokens", a->options.min_tokens,
                   "leave out shorter samples; a next-token loss needs 2 tokens")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--no-special-tokens", a->no_special_tokens,
                    "without those that the tokenizer puts around a text");
  command->add_option("--id-prefix", a->options.id_prefix,
                      "text n gets the id PREFIX + (first id + n), n from 0");
  command->add_option("--first-id", a->options.first_id, "number of the first text")
      ->check(CLI::NonNegativeNumber);
  On(command, action, [a](Session& session) -> absl::Status {
    const std::string name = Qualified("datasets", a->dataset);
    CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset, session.client().GetDataset(name));
    TextFileOptions options = a->options;
    options.special_tokens = !a->no_special_tokens;
    CLIENT_ASSIGN_OR_RETURN(options.column, TokenColumn(dataset, a->column));
    CLIENT_ASSIGN_OR_RETURN(const auto samples,
                            OpenTextSamples(a->file, Tokenizer(a->tokenizer), options));
    absl::StatusOr<v1::AppendSamplesResponse> response = [&] {
      Progress progress(session);
      return session.client().AppendSamples(name, *samples, [&](int64_t sent) {
        progress.Update({.stage = absl::StrCat("sent ", Count(sent), " samples")});
      });
    }();
    if (!response.ok()) return response.status();
    Print(session, *response, *samples, options);
    return absl::OkStatus();
  });
}

}  // namespace bif::client

#include "client/text/tokenizer.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/status_macros.h"
#include "client/text/process.h"

namespace bif::client {

extern const char kTokensScript[];  // tokens.py

namespace {

constexpr int kPackageMissing = 3;  // exit code of tokens.py

// Runs tokens.py on lines of JSON; gives its answer to each.
absl::StatusOr<std::vector<nlohmann::json>> RunScript(std::vector<std::string> arguments,
                                                      const std::vector<nlohmann::json>& inputs) {
  const char* chosen = std::getenv("BIF_PYTHON");
  const std::string python = chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  std::string lines;
  for (size_t i = 0; i < inputs.size(); ++i) {
    try {
      absl::StrAppend(&lines, inputs[i].dump(), "\n");
    } catch (const nlohmann::json::exception&) {
      return absl::InvalidArgumentError(absl::StrCat("text ", i + 1, " is not UTF-8"));
    }
  }
  arguments.insert(arguments.begin(), {python, "-c", kTokensScript});
  const absl::StatusOr<ProcessResult> ran = RunProcess(arguments, lines);
  if (absl::IsNotFound(ran.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("text is tokenised by Python, but '", python,
                     "' cannot be run: install Python 3, or set BIF_PYTHON to one"));
  }
  if (!ran.ok()) return ran.status();
  if (ran->exit_code == kPackageMissing) {
    return absl::FailedPreconditionError(absl::StrCat(
        "text is tokenised by the Python package 'tokenizers' from version 0.21 on, which '",
        python, "' lacks: run '", python,
        " -m pip install tokenizers', or set BIF_PYTHON to a Python that has it"));
  }
  if (ran->exit_code != 0) {
    return absl::InvalidArgumentError(std::string(absl::StripAsciiWhitespace(ran->err)));
  }
  std::vector<nlohmann::json> outputs;
  for (const absl::string_view line : absl::StrSplit(ran->out, '\n', absl::SkipEmpty())) {
    outputs.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
    if (outputs.back().is_discarded()) break;
  }
  if (outputs.size() == inputs.size() && (outputs.empty() || !outputs.back().is_discarded()))
    return outputs;
  return absl::InternalError(absl::StrCat("'", python, "' writes something else than the tokens"));
}

}  // namespace

absl::StatusOr<std::vector<std::vector<int64_t>>> Tokenizer::Encode(
    const std::vector<std::string>& texts, bool special_tokens) const {
  std::vector<std::string> arguments = {"encode", path_};
  if (!special_tokens) arguments.push_back("--no-special-tokens");
  CLIENT_ASSIGN_OR_RETURN(const auto lines, RunScript(arguments, std::vector<nlohmann::json>(
                                                                     texts.begin(), texts.end())));
  std::vector<std::vector<int64_t>> all;
  for (const nlohmann::json& line : lines) all.push_back(line.get<std::vector<int64_t>>());
  return all;
}

absl::StatusOr<std::vector<DecodedText>> Tokenizer::Decode(
    const std::vector<std::vector<int64_t>>& token_ids) const {
  CLIENT_ASSIGN_OR_RETURN(
      const auto lines, RunScript({"decode", path_},
                                  std::vector<nlohmann::json>(token_ids.begin(), token_ids.end())));
  std::vector<DecodedText> all;
  for (const nlohmann::json& line : lines)
    all.push_back({line["text"], line["pieces"].get<std::vector<std::string>>()});
  return all;
}

}  // namespace bif::client

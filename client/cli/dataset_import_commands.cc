// bifctl dataset import-idx | import-cifar | import-safetensors | append
//
// Imports name files that the server reads itself, or with --upload local ones; append sends a
// local file sample by sample.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/sample_files.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

// The server resolves paths in its own working directory; a relative one that exists here is meant
// from here.
std::string ServerPath(const std::string& path) {
  std::error_code error;
  const bool here = std::filesystem::exists(path, error);
  if (!here || error) return path;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

struct ImportArguments {
  std::string dataset;
  std::vector<std::string> files;
  std::string image_column = "image", label_column = "label";
  std::string id_prefix, request_id;
  int64_t first_id = 0, skip_rows = 0, max_rows = 0;
  bool upload = false;

  // What the request says of a file.
  std::string Path(const std::string& path) const { return upload ? path : ServerPath(path); }
};

void AddIdOptions(CLI::App* command, std::string& id_prefix, int64_t& first_id) {
  command->add_option("--id-prefix", id_prefix, "row r gets the id PREFIX + (first id + r)");
  command->add_option("--first-id", first_id, "number of the first row")
      ->check(CLI::NonNegativeNumber);
}

CLI::App* AddImport(CLI::App& noun, const std::string& verb, const std::string& about,
                    std::shared_ptr<ImportArguments> a, const std::string& files_about) {
  CLI::App* command = noun.add_subcommand(verb, about);
  command->add_option("name", a->dataset, "the dataset")->required();
  command->add_option("files", a->files, files_about)->required();
  AddIdOptions(command, a->id_prefix, a->first_id);
  command->add_option("--skip", a->skip_rows, "leave out so many rows at the start")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-rows", a->max_rows, "import at most so many rows; 0 is all")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--upload", a->upload, "the files are here, not on the server: send them");
  AddRequestId(command, a->request_id);
  return command;
}

// `done` samples were `verb`.
template <typename Response>
void Print(Session& session, const Response& response, const char* verb, int64_t done) {
  if (session.json) {
    PrintJson(session.out, response);
  } else if (session.quiet) {
    session.out << done << "\n";
  } else {
    session.out << verb << " " << Count(done) << " samples; " << response.dataset().name()
                << " has " << Count(response.dataset().samples()) << "\n";
  }
}

absl::Status Import(Session& session, const ImportArguments& a, v1::ImportSamplesRequest request) {
  request.set_request_id(a.request_id);
  request.set_dataset(Qualified("datasets", a.dataset));
  request.set_id_prefix(a.id_prefix);
  request.set_first_id(a.first_id);
  request.set_skip_rows(a.skip_rows);
  request.set_max_rows(a.max_rows);
  const absl::StatusOr<v1::ImportSamplesResponse> response = [&] {
    if (!a.upload) return session.client().ImportSamples(std::move(request));
    Progress progress(session);
    return session.client().UploadSamples(std::move(request),
                                          UploadReporter(progress, "uploading"));
  }();
  if (!response.ok()) return response.status();
  Print(session, *response, "imported", response->imported());
  return absl::OkStatus();
}

void AddImportIdx(CLI::App& noun, Action& action) {
  auto a = std::make_shared<ImportArguments>();
  CLI::App* command = AddImport(
      noun, "import-idx", "Imports IDX files, gzipped or not", a,
      "COLUMN=PATH, e.g. image=train-images-idx3-ubyte.gz label=train-labels-idx1-ubyte.gz");
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ImportSamplesRequest request;
    for (const std::string& text : a->files) {
      CLIENT_ASSIGN_OR_RETURN(const auto sides, ParseAssignment(text));
      auto& column = *request.mutable_idx()->add_columns();
      column.set_column(sides.first);
      column.set_path(a->Path(sides.second));
    }
    return Import(session, *a, std::move(request));
  });
}

void AddImportCifar(CLI::App& noun, Action& action) {
  auto a = std::make_shared<ImportArguments>();
  CLI::App* command = AddImport(noun, "import-cifar", "Imports CIFAR-10 binary records", a,
                                "PATH of data_batch_N.bin, in order");
  command->add_option("--image-column", a->image_column, "uint8 [3,32,32]")->capture_default_str();
  command->add_option("--label-column", a->label_column, "int64 []")->capture_default_str();
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ImportSamplesRequest request;
    request.mutable_cifar()->set_image_column(a->image_column);
    request.mutable_cifar()->set_label_column(a->label_column);
    for (const std::string& file : a->files) request.mutable_cifar()->add_paths(a->Path(file));
    return Import(session, *a, std::move(request));
  });
}

void AddImportSafetensors(CLI::App& noun, Action& action) {
  auto a = std::make_shared<ImportArguments>();
  CLI::App* command =
      AddImport(noun, "import-safetensors", "Imports a safetensors file", a,
                "PATH of a file whose tensors are [rows, ...] and named like the columns");
  command->get_option("files")->expected(1);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ImportSamplesRequest request;
    request.mutable_safetensors()->set_path(a->Path(a->files.front()));
    return Import(session, *a, std::move(request));
  });
}

void AddAppend(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string dataset, file, id_prefix;
    int64_t first_id = 0;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      noun.add_subcommand("append", "Sends the samples of a local safetensors or JSON lines file");
  command->add_option("name", a->dataset, "the dataset")->required();
  command
      ->add_option(
          "file", a->file,
          "*.safetensors with tensors [rows, ...], or JSON lines: {\"id\": ..., COLUMN: ...}")
      ->required()
      ->check(CLI::ExistingFile);
  AddIdOptions(command, a->id_prefix, a->first_id);
  On(command, action, [a](Session& session) -> absl::Status {
    const std::string name = Qualified("datasets", a->dataset);
    CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset, session.client().GetDataset(name));
    SampleFileOptions options;
    options.columns.assign(dataset.columns().begin(), dataset.columns().end());
    options.id_prefix = a->id_prefix;
    options.first_id = a->first_id;
    CLIENT_ASSIGN_OR_RETURN(auto samples, OpenSampleFile(a->file, std::move(options)));
    absl::StatusOr<v1::AppendSamplesResponse> response = [&] {
      Progress progress(session);
      return session.client().AppendSamples(name, *samples, [&](int64_t sent) {
        progress.Update({.stage = absl::StrCat("sent ", Count(sent), " samples")});
      });
    }();
    if (!response.ok()) return response.status();
    Print(session, *response, "appended", response->appended());
    return absl::OkStatus();
  });
}

}  // namespace

void AddDatasetImportCommands(CLI::App& dataset, Action& action) {
  AddImportIdx(dataset, action);
  AddImportCifar(dataset, action);
  AddImportSafetensors(dataset, action);
  AddAppend(dataset, action);
}

}  // namespace bif::client

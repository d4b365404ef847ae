// bifctl dataset ... (the imports are in dataset_import_commands.cc)
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/paging.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

std::string ColumnText(const v1::TensorSpec& column) {
  return absl::StrCat(column.name(), " ", Kebab(v1::DType_Name(column.dtype())), " ",
                      ShapeText(column.shape()));
}

absl::Status Print(Session& session, const v1::Dataset& dataset) {
  if (session.json) {
    PrintJson(session.out, dataset);
  } else if (session.quiet) {
    session.out << dataset.name() << "\n";
  } else {
    Fields fields;
    fields.Add("name", dataset.name())
        .Add("display name", dataset.display_name())
        .Add("samples", Count(dataset.samples()));
    for (const v1::TensorSpec& column : dataset.columns()) fields.Add("column", ColumnText(column));
    fields.Add("created (UTC)", TimeText(dataset.create_time()))
        .Add("digest", dataset.digest())
        .Print(session.out);
  }
  return absl::OkStatus();
}

void AddCreate(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string id, display_name, request_id;
    std::vector<std::string> columns;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand("create", "Creates an empty dataset");
  command->add_option("name", a->id, "lower case letters, digits and dashes")->required();
  AddRepeated(
      command, "--column", a->columns,
      "a column: image:uint8:28,28, for a scalar label:int64, for any length tokens:int32:?")
      ->required()
      ->type_name("NAME:DTYPE[:SHAPE]");
  command->add_option("--display-name", a->display_name, "a name for people");
  AddRequestId(command, a->request_id);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::CreateDatasetRequest request;
    request.set_request_id(a->request_id);
    request.set_dataset_id(ShortName(a->id));
    request.set_display_name(a->display_name);
    for (const std::string& text : a->columns) {
      CLIENT_ASSIGN_OR_RETURN(*request.add_columns(), ParseColumn(text));
    }
    CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                            session.client().CreateDataset(std::move(request)));
    return Print(session, dataset);
  });
}

void AddList(CLI::App& noun, Action& action) {
  auto limit = std::make_shared<int64_t>(0);
  CLI::App* command = noun.add_subcommand("list", "Lists datasets");
  AddLimit(command, *limit);
  On(command, action, [limit](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(
        const auto list,
        (CollectPages<v1::ListDatasetsResponse, v1::ListDatasetsRequest>(
            {}, [&](const auto& request) { return session.client().ListDatasets(request); },
            [](const auto& all) { return all.datasets_size(); }, *limit)));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table({"DATASET", ">SAMPLES", "COLUMNS", "CREATED (UTC)", "DISPLAY NAME"});
    for (const v1::Dataset& dataset : list.datasets()) {
      if (session.quiet) session.out << dataset.name() << "\n";
      std::string columns;
      for (const auto& column : dataset.columns()) {
        absl::StrAppend(&columns, columns.empty() ? "" : ", ", ColumnText(column));
      }
      table.Add({ShortName(dataset.name()), Count(dataset.samples()), columns,
                 TimeText(dataset.create_time()), dataset.display_name()});
    }
    if (!session.quiet) table.Print(session.out);
    return absl::OkStatus();
  });
}

void AddSamples(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string dataset;
    int64_t limit = 50;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = noun.add_subcommand("samples", "Lists a dataset's samples, in order");
  command->add_option("name", a->dataset, "the dataset")->required();
  AddLimit(command, a->limit);
  On(command, action, [a](Session& session) -> absl::Status {
    v1::ListSamplesRequest request;
    request.set_dataset(Qualified("datasets", a->dataset));
    CLIENT_ASSIGN_OR_RETURN(
        const auto list,
        (CollectPages<v1::ListSamplesResponse, v1::ListSamplesRequest>(
            request, [&](const auto& page) { return session.client().ListSamples(page); },
            [](const auto& all) { return all.samples_size(); }, a->limit)));
    if (session.json) {
      PrintJson(session.out, list);
      return absl::OkStatus();
    }
    Table table({"SAMPLE", "DIGEST"});
    for (const v1::Sample& sample : list.samples()) {
      if (session.quiet) session.out << sample.id() << "\n";
      table.Add({sample.id(), sample.digest()});
    }
    if (session.quiet) return absl::OkStatus();
    table.Print(session.out);
    if (!list.next_page_token().empty()) session.err << "there are more: --limit 0 shows all\n";
    return absl::OkStatus();
  });
}

void AddSample(CLI::App& noun, Action& action) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = noun.add_subcommand("sample", "Shows one sample");
  command->add_option("sample", *name, "DATASET/ID")->required();
  On(command, action, [name](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(const SampleReference reference, ParseSampleReference(*name));
    CLIENT_ASSIGN_OR_RETURN(const v1::Sample sample, session.client().GetSample(reference.name()));
    if (session.json) {
      PrintJson(session.out, sample);
      return absl::OkStatus();
    }
    Fields fields;
    fields.Add("name", reference.name()).Add("digest", sample.digest());
    for (const v1::Tensor& tensor : sample.tensors()) {
      fields.Add("tensor",
                 absl::StrCat(ColumnText(tensor.spec()), ", ", Bytes(tensor.data().size())));
    }
    fields.Print(session.out);
    return absl::OkStatus();
  });
}

void AddDeleteSamples(CLI::App& noun, Action& action) {
  struct Arguments {
    std::string dataset;
    std::vector<std::string> ids;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      noun.add_subcommand("delete-samples", "Removes samples from every answer at once");
  command->add_option("name", a->dataset, "the dataset")->required();
  command->add_option("ids", a->ids, "the samples' ids")->required();
  On(command, action, [a](Session& session) -> absl::Status {
    v1::DeleteSamplesRequest request;
    request.set_dataset(Qualified("datasets", a->dataset));
    for (const std::string& id : a->ids) request.add_sample_ids(id);
    CLIENT_ASSIGN_OR_RETURN(const auto response, session.client().DeleteSamples(request));
    if (session.json) {
      PrintJson(session.out, response);
    } else if (!session.quiet) {
      session.out << "deleted " << Count(response.deleted()) << " samples\n";
    }
    return absl::OkStatus();
  });
}

}  // namespace

void AddDatasetCommands(CLI::App& root, Action& action) {
  CLI::App& noun = *AddNoun(root, "dataset", "Collections of samples");
  AddCreate(noun, action);
  AddDatasetImportCommands(noun, action);
  AddDatasetTextCommand(noun, action);
  AddList(noun, action);
  AddNamedCommand(noun, action, "get", "datasets", "Shows a dataset",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_ASSIGN_OR_RETURN(const v1::Dataset dataset,
                                            session.client().GetDataset(name));
                    return Print(session, dataset);
                  });
  AddNamedCommand(noun, action, "delete", "datasets",
                  "Deletes a dataset on which no posterior was sampled",
                  [](Session& session, const std::string& name) -> absl::Status {
                    CLIENT_RETURN_IF_ERROR(session.client().DeleteDataset(name));
                    PrintDone(session, "deleted", name);
                    return absl::OkStatus();
                  });
  AddSamples(noun, action);
  AddSample(noun, action);
  AddDeleteSamples(noun, action);
}

}  // namespace bif::client

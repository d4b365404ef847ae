#include "server/config_file.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/files.h"
#include "src/base/status.h"

namespace bif::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// protobuf counts from 0, editors from 1.
std::string Place(const std::string& path, int line, int column) {
  return absl::StrCat(path, ":", line + 1, ":", column + 1);
}

// Keeps the first error: what follows it is often its consequence.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(const std::string& path) : path_(path) {}
  void AddError(int line, int column, const std::string& message) override {
    if (!error_.empty()) return;
    // What ends too early has no place of its own.
    error_ = absl::StrCat(line < 0 ? path_ : Place(path_, line, column), ": ", message);
  }
  const std::string& error() const { return error_; }

 private:
  const std::string& path_;
  std::string error_;
};

std::vector<std::string> Names(const std::string& field_path) {
  return absl::StrSplit(field_path, '.');
}

// Strings as they are; TextFormat would quote them.
std::string ValueText(const Message& message, const FieldDescriptor& field, int index) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return index < 0 ? reflection.GetString(message, &field)
                     : reflection.GetRepeatedString(message, &field, index);
  }
  std::string text;
  TextFormat::PrintFieldValueToString(message, &field, index, &text);
  return text;
}

}  // namespace

struct ConfigFile::Locations {
  TextFormat::ParseInfoTree tree;
};

ConfigFile::ConfigFile(std::string path, std::unique_ptr<Locations> locations)
    : path_(std::move(path)), locations_(std::move(locations)) {}
ConfigFile::ConfigFile(ConfigFile&&) noexcept = default;
ConfigFile& ConfigFile::operator=(ConfigFile&&) noexcept = default;
ConfigFile::~ConfigFile() = default;

absl::StatusOr<ConfigFile> ConfigFile::Read(const std::string& path) {
  BIF_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  ConfigFile file(path, std::make_unique<Locations>());
  FirstError first_error(path);
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&first_error);
  parser.WriteLocationsTo(&file.locations_->tree);
  if (!parser.ParseFromString(text, &file.message_)) {
    return absl::InvalidArgumentError(first_error.error());
  }
  return file;
}

std::vector<std::string> ConfigFile::Values(const std::string& field_path) const {
  const Message* message = &message_;
  std::vector<std::string> values;
  for (const std::string& name : Names(field_path)) {
    const google::protobuf::Reflection& reflection = *message->GetReflection();
    const FieldDescriptor* const field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) break;
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        values.push_back(ValueText(*message, *field, i));
      }
      break;
    }
    if (!reflection.HasField(*message, field)) break;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      message = &reflection.GetMessage(*message, field);
    } else {
      values.push_back(ValueText(*message, *field, -1));
      break;
    }
  }
  return values;
}

std::string ConfigFile::Where(const std::string& field_path) const {
  const TextFormat::ParseInfoTree* tree = &locations_->tree;
  const google::protobuf::Descriptor* type = message_.GetDescriptor();
  TextFormat::ParseLocation location;
  for (const std::string& name : Names(field_path)) {
    const FieldDescriptor* const field = type == nullptr ? nullptr : type->FindFieldByName(name);
    if (field == nullptr || tree == nullptr) break;
    const int index = field->is_repeated() ? 0 : -1;
    location = tree->GetLocation(field, index);
    tree = tree->GetTreeForNested(field, index);
    type = field->message_type();
  }
  return location.line < 0 ? path_ : Place(path_, location.line, location.column);
}

}  // namespace bif::server

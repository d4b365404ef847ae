// Datasets over gRPC: appends that become visible together or not at all, and refusals with the
// field at fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "google/protobuf/empty.pb.h"
#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {
namespace {

v1::Dataset Get(TestServer& server, const std::string& name) {
  v1::GetDatasetRequest request;
  request.set_name(name);
  v1::Dataset dataset;
  const CallEnd end = server.Call("bif.v1.Datasets/GetDataset", request, dataset);
  EXPECT_TRUE(end.ok()) << end;
  return dataset;
}

CallEnd Append(TestServer& server, const std::vector<v1::AppendSamplesRequest>& messages) {
  v1::AppendSamplesResponse response;
  auto append = server.Write("bif.v1.Datasets/AppendSamples", response);
  for (const auto& message : messages) {
    if (!append->Write(message)) break;
  }
  return append->Finish();
}

v1::AppendSamplesRequest One(const std::string& dataset, const v1::Sample& sample) {
  v1::AppendSamplesRequest request;
  request.set_dataset(dataset);
  *request.add_samples() = sample;
  return request;
}

TEST(DatasetsService, SamplesComeBackAsTheyWereSent) {
  TestServer server;
  const std::string name = MakeDataset(server, "train", 5);
  EXPECT_EQ(Get(server, name).samples(), 5);
  v1::GetSampleRequest request;
  request.set_name(name + "/samples/3");
  v1::Sample sample;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/GetSample", request, sample).ok());
  EXPECT_EQ(sample.digest().size(), 64u);
  sample.clear_digest();
  EXPECT_EQ(sample.SerializeAsString(), RegressionSample(3, "3").SerializeAsString());
}

TEST(DatasetsService, PagesWalkAllSamplesAndShrinkUntilTheirTensorsFitIntoAMessage) {
  TestServer server;
  v1::CreateDatasetRequest create;
  create.set_dataset_id("big");
  v1::TensorSpec* column = create.add_columns();
  column->set_name("image");
  column->set_dtype(v1::UINT8);
  column->add_shape(1 << 20);
  v1::Dataset dataset;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/CreateDataset", create, dataset).ok());
  std::vector<v1::AppendSamplesRequest> messages;
  for (int i = 0; i < 5; ++i) {
    v1::Sample sample;
    sample.set_id(std::to_string(i));
    *sample.add_tensors()->mutable_spec() = *column;
    sample.mutable_tensors(0)->set_data(std::string(1 << 20, static_cast<char>(i)));
    messages.push_back(One(i == 0 ? dataset.name() : "", sample));
  }
  ASSERT_TRUE(Append(server, messages).ok());

  v1::ListSamplesRequest request;
  request.set_dataset(dataset.name());
  request.set_include_tensors(true);
  std::string ids;
  do {
    v1::ListSamplesResponse page;
    const CallEnd end = server.Call("bif.v1.Datasets/ListSamples", request, page);
    ASSERT_TRUE(end.ok()) << end;
    ASSERT_LT(page.ByteSizeLong(), 4u << 20);
    for (const v1::Sample& sample : page.samples()) ids += sample.id();
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(ids, "01234");
}

TEST(DatasetsService, SequencesOfAnyLengthKeepTheirOwnShapesAndEmptyOnesAreRefused) {
  TestServer server;
  v1::CreateDatasetRequest create;
  create.set_dataset_id("corpus");
  v1::TensorSpec* column = create.add_columns();
  column->set_name("tokens");
  column->set_dtype(v1::UINT8);
  column->add_shape(-1);
  v1::Dataset dataset;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/CreateDataset", create, dataset).ok());
  EXPECT_EQ(dataset.columns(0).shape(0), -1);
  const auto sequence = [&](const std::string& tokens) {
    v1::Sample sample;
    sample.set_id(tokens.empty() ? "empty" : tokens);
    v1::Tensor* tensor = sample.add_tensors();
    *tensor->mutable_spec() = *column;
    tensor->mutable_spec()->set_shape(0, static_cast<int64_t>(tokens.size()));
    tensor->set_data(tokens);
    return sample;
  };
  ASSERT_TRUE(Append(server, {One(dataset.name(), sequence("abc")), One("", sequence("d"))}).ok());
  v1::AppendSamplesRequest bad = One(dataset.name(), sequence("x"));
  *bad.add_samples() = sequence("");
  EXPECT_EQ(Append(server, {bad}).field, "samples[1].tensors[0]");
  *bad.mutable_samples(1) = sequence("any");
  *bad.mutable_samples(1)->mutable_tensors(0)->mutable_spec() = *column;
  EXPECT_EQ(Append(server, {bad}).field, "samples[1].tensors[0]")
      << "the sample must say its own length";

  v1::ListSamplesRequest request;
  request.set_dataset(dataset.name());
  request.set_include_tensors(true);
  v1::ListSamplesResponse page;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/ListSamples", request, page).ok());
  ASSERT_EQ(page.samples_size(), 2);
  for (int i = 0; i < 2; ++i) {
    page.mutable_samples(i)->clear_digest();
    EXPECT_EQ(page.samples(i).SerializeAsString(),
              sequence(i == 0 ? "abc" : "d").SerializeAsString());
  }
}

// Messages of UploadSamples into a dataset of one IDX column of two rows.
CallEnd UploadIdx(TestServer& server, const std::string& dataset, const std::string& file_name,
                  const std::string& content, v1::ImportSamplesResponse* response) {
  v1::UploadSamplesRequest spec;
  spec.mutable_spec()->set_dataset(dataset);
  auto* column = spec.mutable_spec()->mutable_idx()->add_columns();
  column->set_column("label");
  column->set_path("labels.idx");
  auto upload = server.Write("bif.v1.Datasets/UploadSamples", *response);
  upload->Write(spec);
  v1::UploadSamplesRequest part;
  part.set_file(file_name);
  upload->Write(part);
  part.set_chunk(content.substr(0, 5));
  upload->Write(part);
  part.set_chunk(content.substr(5));
  upload->Write(part);
  return upload->Finish();
}

TEST(DatasetsService, FilesOfTheClientAreImportedAsThoseOfTheServerAre) {
  TestServer server;
  v1::CreateDatasetRequest create;
  create.set_dataset_id("labels");
  create.add_columns()->set_name("label");
  create.mutable_columns(0)->set_dtype(v1::INT64);
  v1::Dataset dataset;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/CreateDataset", create, dataset).ok());
  // IDX: two zeros, type 8 = unsigned byte, rank 1, two rows, values.
  const std::string idx("\0\0\x08\x01\0\0\0\x02\x07\x09", 10);
  v1::ImportSamplesResponse response;
  const CallEnd end = UploadIdx(server, dataset.name(), "labels.idx", idx, &response);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_EQ(response.imported(), 2);
  v1::GetSampleRequest get;
  get.set_name(dataset.name() + "/samples/1");
  v1::Sample sample;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/GetSample", get, sample).ok());
  EXPECT_EQ(sample.tensors(0).data(), std::string("\x09\0\0\0\0\0\0\0", 8));

  const CallEnd other = UploadIdx(server, dataset.name(), "images.idx", idx, &response);
  EXPECT_EQ(other.field, "idx.columns[0].path") << other;
  const CallEnd torn = UploadIdx(server, dataset.name(), "labels.idx", idx.substr(0, 9), &response);
  EXPECT_EQ(torn.field, "idx") << torn;
  EXPECT_EQ(torn.message, "idx: labels.idx: the file is cut off at byte 9")
      << "the daemon's own copy has a name that tells the client nothing";
  EXPECT_EQ(Get(server, dataset.name()).samples(), 2);
}

TEST(DatasetsService, BadSamplesAreRefusedByFieldAndTheWholeAppendWithThem) {
  TestServer server;
  const std::string name = MakeDataset(server, "train", 2);
  v1::Sample nan = RegressionSample(9, "nan");
  const float bad[] = {1, std::numeric_limits<float>::quiet_NaN(), 2};
  nan.mutable_tensors(0)->set_data(bad, sizeof(bad));
  v1::Sample cut = RegressionSample(9, "cut");
  cut.mutable_tensors(0)->mutable_data()->pop_back();
  v1::Sample shape = RegressionSample(9, "shape");
  shape.mutable_tensors(0)->mutable_spec()->set_shape(0, 7);
  v1::Sample dtype = RegressionSample(9, "dtype");
  dtype.mutable_tensors(0)->mutable_spec()->set_dtype(static_cast<v1::DType>(77));
  v1::Sample missing = RegressionSample(9, "missing");
  missing.mutable_tensors()->RemoveLast();
  for (const v1::Sample& sample : {nan, cut, shape, dtype, missing}) {
    v1::AppendSamplesRequest good_then_bad = One(name, RegressionSample(8, "good"));
    *good_then_bad.add_samples() = sample;
    const CallEnd end = Append(server, {good_then_bad});
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << sample.id() << ": " << end;
    EXPECT_THAT(end.field, ::testing::StartsWith("samples[1]")) << sample.id() << ": " << end;
  }
  EXPECT_EQ(Get(server, name).samples(), 2);
}

TEST(DatasetsService, IdsThatAreTakenAreAlreadyExistsAndAnIdTwiceInOneAppendIsAnError) {
  TestServer server;
  const std::string name = MakeDataset(server, "train", 2);
  EXPECT_EQ(Append(server, {One(name, RegressionSample(7, "1"))}).code,
            absl::StatusCode::kAlreadyExists);
  const CallEnd twice =
      Append(server, {One(name, RegressionSample(7, "x")), One("", RegressionSample(8, "x"))});
  EXPECT_EQ(twice.code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(twice.field, "samples[0].id") << "of the message that came last";
  EXPECT_EQ(Get(server, name).samples(), 2);
}

TEST(DatasetsService, OnlyTheFirstMessageNamesTheDataset) {
  TestServer server;
  const std::string name = MakeDataset(server, "train", 0);
  EXPECT_EQ(
      Append(server, {One(name, RegressionSample(0, "0")), One(name, RegressionSample(1, "1"))})
          .field,
      "dataset");
  EXPECT_EQ(Append(server, {}).field, "dataset");
  EXPECT_EQ(Append(server, {One("datasets/none", RegressionSample(0, "0"))}).code,
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Get(server, name).samples(), 0);
}

TEST(DatasetsService, AnAppendThatTheClientCancelsLeavesNothing) {
  TestServer server;
  const std::string name = MakeDataset(server, "train", 1);
  v1::AppendSamplesResponse response;
  auto append = server.Write("bif.v1.Datasets/AppendSamples", response);
  append->Write(One(name, RegressionSample(5, "5")));
  append->Cancel();
  EXPECT_EQ(append->Finish().code, absl::StatusCode::kCancelled);
  EXPECT_EQ(Get(server, name).samples(), 1);
}

TEST(DatasetsService, DeletedSamplesAreGoneAndAnUnknownIdDeletesNothing) {
  TestServer server;
  const std::string name = MakeDataset(server, "train", 3);
  v1::DeleteSamplesRequest request;
  request.set_dataset(name);
  request.add_sample_ids("0");
  request.add_sample_ids("nobody");
  v1::DeleteSamplesResponse response;
  EXPECT_EQ(server.Call("bif.v1.Datasets/DeleteSamples", request, response).code,
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Get(server, name).samples(), 3);
  request.mutable_sample_ids()->RemoveLast();
  ASSERT_TRUE(server.Call("bif.v1.Datasets/DeleteSamples", request, response).ok());
  EXPECT_EQ(response.deleted(), 1);
  EXPECT_EQ(Get(server, name).samples(), 2);
}

TEST(DatasetsService, BadNamesColumnsAndImportsAreRefusedByField) {
  TestServer server;
  v1::CreateDatasetRequest create;
  v1::Dataset dataset;
  create.set_dataset_id("Not An Id");
  EXPECT_EQ(server.Call("bif.v1.Datasets/CreateDataset", create, dataset).field, "dataset_id");

  const std::string name = MakeDataset(server, "train", 1);
  v1::ImportSamplesRequest import;
  import.set_dataset(name);
  v1::ImportSamplesResponse imported;
  EXPECT_EQ(server.Call("bif.v1.Datasets/ImportSamples", import, imported).field, "source");
  import.mutable_safetensors()->set_path("/etc/passwd");
  EXPECT_EQ(server.Call("bif.v1.Datasets/ImportSamples", import, imported).code,
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Get(server, name).samples(), 1);
}

TEST(DatasetsService, TheSameRequestIdGivesTheSameResultAndAnotherBodyIsRefused) {
  TestServer server;
  v1::CreateDatasetRequest create;
  create.set_request_id("r1");
  create.set_dataset_id("train");
  *create.add_columns() = RegressionSample(0, "").tensors(0).spec();
  v1::Dataset first;
  v1::Dataset second;
  ASSERT_TRUE(server.Call("bif.v1.Datasets/CreateDataset", create, first).ok());
  ASSERT_TRUE(server.Call("bif.v1.Datasets/CreateDataset", create, second).ok());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  create.set_dataset_id("other");
  EXPECT_EQ(server.Call("bif.v1.Datasets/CreateDataset", create, second).code,
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bif::server::testing

#include "src/jobs/datasets.h"

#include <cmath>
#include <cstring>

#include "src/base/status.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

class DatasetsTest : public JobsFixture {
 protected:
  Datasets& datasets() { return jobs_->datasets(); }

  static Sample SampleOf(const std::string& id, float first = 0) {
    Sample sample = SampleAt(SomeRows(1), 0, id);
    std::memcpy(sample.tensors[0].data.data(), &first, sizeof(first));
    return sample;
  }

  absl::StatusOr<AppendResult> Append(const std::vector<Sample>& samples,
                                      const RequestId& request = {}) {
    BIF_ASSIGN_OR_RETURN(const auto append, datasets().StartAppend(request, "datasets/a"));
    BIF_RETURN_IF_ERROR(append->Add(samples));
    return append->Commit();
  }

  // A safetensors file (github.com/huggingface/safetensors) of the fake's two columns.
  std::string Safetensors(const std::string& name, int64_t rows) {
    const SampleBatch batch = SomeRows(rows);
    const size_t middle = batch.columns[0].data.size();
    const size_t end = middle + batch.columns[1].data.size();
    std::string header = "{\"features\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(rows) +
                         ",4],\"data_offsets\":[0," + std::to_string(middle) +
                         "]},\"target\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(rows) +
                         "],\"data_offsets\":[" + std::to_string(middle) + "," +
                         std::to_string(end) + "]}}";
    while (header.size() % 8 != 0) header += ' ';
    std::string file(8, '\0');
    const uint64_t length = header.size();
    std::memcpy(file.data(), &length, sizeof(length));
    file += header;
    for (const Column& column : batch.columns) {
      file.append(reinterpret_cast<const char*>(column.data.data()), column.data.size());
    }
    return WriteFile(name, file);
  }
};

TEST_F(DatasetsTest, AppendedSamplesAreReadBackInOrder) {
  MakeDataset("a", 0);
  ASSERT_TRUE(Append({SampleOf("x/1", 1), SampleOf("y", 2)}).ok());
  const AppendResult more = *Append({SampleOf("z", 3)});
  EXPECT_EQ(more.appended, 1);
  EXPECT_EQ(more.dataset.samples, 3);
  const StoredSample stored = *datasets().GetSample("datasets/a/samples/x/1");
  EXPECT_EQ(stored.sample.tensors[0].data, SampleOf("", 1).tensors[0].data);
  Restart();
  PageRequest request{2, ""};
  const Page<StoredSample> first = *datasets().ListSamples("datasets/a", request, 1 << 20);
  ASSERT_EQ(first.items.size(), 2u);
  EXPECT_EQ(first.items[1].sample.tensors[0].data, SampleOf("", 2).tensors[0].data);
  request.page_token = first.next_page_token;
  const Page<StoredSample> rest = *datasets().ListSamples("datasets/a", request, 0);
  ASSERT_EQ(rest.items.size(), 1u);
  EXPECT_EQ(rest.items[0].name, "datasets/a/samples/z");
  EXPECT_TRUE(rest.items[0].sample.tensors.empty());
  EXPECT_TRUE(rest.next_page_token.empty());
  EXPECT_EQ(stored.digest, first.items[0].digest);
}

TEST_F(DatasetsTest, ATokenOfOneDatasetIsNoneOfAnother) {
  MakeDataset("a", 3);
  MakeDataset("b", 3);
  const std::string token = datasets().ListSamples("datasets/a", {2, ""}, 0)->next_page_token;
  EXPECT_EQ(FieldPath(datasets().ListSamples("datasets/b", {2, token}, 0).status()), "page_token");
}

TEST_F(DatasetsTest, NothingOfAFailedAppendIsSeen) {
  MakeDataset("a", 2);
  const std::string digest = datasets().Get("datasets/a")->digest;
  const auto refused = [&](const std::vector<Sample>& samples) {
    const absl::Status status = Append(samples).status();
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(datasets().Get("datasets/a")->samples, 2);
    EXPECT_EQ(datasets().Get("datasets/a")->digest, digest);
    return FieldPath(status).value_or(std::string(absl::StatusCodeToString(status.code())));
  };
  EXPECT_EQ(refused({SampleOf("x"), SampleOf("x")}), "samples[1].id");
  EXPECT_EQ(refused({SampleOf("x"), SampleOf("r1")}), "ALREADY_EXISTS");
  EXPECT_EQ(refused({SampleOf("x"), SampleOf("y", NAN)}), "samples[1].tensors[0]");
  EXPECT_EQ(refused({SampleOf("")}), "samples[0].id");
  EXPECT_EQ(refused({SampleOf("a\nb")}), "samples[0].id");
  Sample wrong = SampleOf("x");
  wrong.tensors[0].spec.shape = {2, 2};
  EXPECT_EQ(refused({wrong}), "samples[0].tensors[0]");
  {
    auto dropped = datasets().StartAppend({}, "datasets/a");
    ASSERT_TRUE((*dropped)->Add(std::vector<Sample>{SampleOf("never")}).ok());
  }
  EXPECT_TRUE(absl::IsNotFound(datasets().GetSample("datasets/a/samples/never").status()));
}

TEST_F(DatasetsTest, ASessionThatFailedIsDead) {
  MakeDataset("a", 0);
  auto append = *datasets().StartAppend({}, "datasets/a");
  ASSERT_TRUE(append->Add(std::vector<Sample>{SampleOf("x")}).ok());
  EXPECT_FALSE(append->Add(std::vector<Sample>{SampleOf("x")}).ok());
  EXPECT_FALSE(append->Commit().ok());
  EXPECT_EQ(datasets().Get("datasets/a")->samples, 0);
}

TEST_F(DatasetsTest, AnAppendHoldsOnlySoMuch) {
  options_.datasets.max_append_bytes = 25;
  Restart();
  MakeDataset("a", 0);
  EXPECT_TRUE(Append({SampleOf("x")}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Append({SampleOf("y"), SampleOf("z")}).status()));
}

TEST_F(DatasetsTest, TheDigestFollowsIdsAndContents) {
  MakeDataset("a", 3);
  MakeDataset("b", 3);
  MakeDataset("c", 3, 2);
  const std::string digest = datasets().Get("datasets/a")->digest;
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(datasets().Get("datasets/b")->digest, digest);
  EXPECT_NE(datasets().Get("datasets/c")->digest, digest);
  ASSERT_TRUE(Append({SampleOf("x")}).ok());
  const std::string grown = datasets().Get("datasets/a")->digest;
  EXPECT_NE(grown, digest);
  EXPECT_EQ(*datasets().DeleteSamples("datasets/a", {"x"}), 1);
  EXPECT_EQ(datasets().Get("datasets/a")->digest, digest);
}

TEST_F(DatasetsTest, DeletedSamplesAreGoneAndTheirIdsAreFree) {
  MakeDataset("a", 3);
  EXPECT_TRUE(absl::IsNotFound(datasets().DeleteSamples("datasets/a", {"r0", "unknown"}).status()));
  EXPECT_EQ(datasets().Get("datasets/a")->samples, 3);
  EXPECT_EQ(*datasets().DeleteSamples("datasets/a", {"r1", "r1"}), 1);
  EXPECT_TRUE(absl::IsNotFound(datasets().GetSample("datasets/a/samples/r1").status()));
  EXPECT_EQ(datasets().ListSamples("datasets/a", {}, 1 << 20)->items.size(), 2u);
  EXPECT_EQ(*datasets().LivingOrdinals(*datasets().Record("datasets/a", "name")),
            (std::vector<uint32_t>{0, 2}));
  EXPECT_TRUE(Append({SampleOf("r1", 9)}).ok());
  EXPECT_EQ(datasets().GetSample("datasets/a/samples/r1")->sample.tensors[0].data,
            SampleOf("", 9).tensors[0].data);
}

TEST_F(DatasetsTest, CreatingAgainNeedsTheSameBody) {
  const std::vector<TensorSpec> columns = {{"x", DType::kFloat32, {2}}};
  ASSERT_TRUE(datasets().Create({{"default", "r"}, "a", "name", columns}).ok());
  EXPECT_TRUE(datasets().Create({{"default", "r"}, "a", "name", columns}).ok());
  EXPECT_TRUE(datasets().Create({{}, "a", "name", columns}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(
      datasets().Create({{}, "a", "name", {{"x", DType::kFloat32, {3}}}}).status()));
  EXPECT_EQ(FieldPath(datasets().Create({{"default", "r"}, "b", "name", columns}).status()),
            "request_id");
  EXPECT_EQ(FieldPath(datasets().Create({{}, "c", "", {}}).status()), "columns");
  for (const std::string& id : {std::string(), std::string("A"), std::string("1a"),
                                std::string("a_b"), std::string(64, 'a')}) {
    EXPECT_EQ(FieldPath(datasets().Create({{}, id, "", columns}).status()), "dataset_id") << id;
  }
}

TEST_F(DatasetsTest, ARepeatedAppendIsDoneOnce) {
  MakeDataset("a", 0);
  const RequestId request{"default", "append-1"};
  ASSERT_TRUE(Append({SampleOf("x")}, request).ok());
  const absl::StatusOr<AppendResult> again = Append({SampleOf("x")}, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->appended, 1);
  EXPECT_EQ(again->dataset.samples, 1);
  EXPECT_EQ(FieldPath(Append({SampleOf("y")}, request).status()), "request_id");
}

TEST_F(DatasetsTest, ImportsAreAllOrNothing) {
  MakeDataset("a", 0);
  ImportSpec spec;
  spec.request.id = "import-1";
  spec.dataset = "datasets/a";
  spec.source = SafetensorsColumns{Safetensors("rows.safetensors", 5)};
  spec.id_prefix = "row-";
  spec.skip_rows = 1;
  spec.max_rows = 3;
  const absl::StatusOr<AppendResult> imported = datasets().Import(spec);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->appended, 3);
  EXPECT_EQ(datasets().Import(spec)->dataset.samples, 3);  // a repeated request
  const auto second = SampleAt(SomeRows(5), 2, "row-2");
  EXPECT_EQ(datasets().GetSample("datasets/a/samples/row-2")->sample.tensors[0].data,
            second.tensors[0].data);

  spec.request.id = "";
  spec.skip_rows = 0;
  EXPECT_TRUE(absl::IsAlreadyExists(datasets().Import(spec).status()));  // row-1 is there
  spec.source = SafetensorsColumns{WriteFile("cut.safetensors", "xx")};
  EXPECT_EQ(FieldPath(datasets().Import(spec).status()), "safetensors");
  spec.source = SafetensorsColumns{"/etc/passwd"};
  EXPECT_TRUE(absl::IsPermissionDenied(datasets().Import(spec).status()));
  spec.first_id = -1;
  EXPECT_EQ(FieldPath(datasets().Import(spec).status()), "first_id");
  EXPECT_EQ(datasets().Get("datasets/a")->samples, 3);
  EXPECT_TRUE(absl::IsNotFound(datasets().GetSample("datasets/a/samples/row-0").status()));
}

// Sequences of tokens with a label.
class SequencesTest : public DatasetsTest {
 protected:
  SequencesTest() {
    EXPECT_TRUE(
        datasets()
            .Create({{}, "a", "", {{"tokens", DType::kInt32, {-1}}, {"label", DType::kUint8, {}}}})
            .ok());
  }

  static Sample Sequence(const std::string& id, const std::vector<int32_t>& tokens) {
    const auto* begin = reinterpret_cast<const std::byte*>(tokens.data());
    return {id,
            {{{"tokens", DType::kInt32, {static_cast<int64_t>(tokens.size())}},
              {begin, begin + tokens.size() * sizeof(int32_t)}},
             {{"label", DType::kUint8, {}}, {std::byte{1}}}}};
  }
};

TEST_F(SequencesTest, OfAnyLengthAreReadBackWithTheirOwnShape) {
  ASSERT_TRUE(Append({Sequence("long", {1, 2, 3, 4}), Sequence("short", {5})}).ok());
  ASSERT_TRUE(Append({Sequence("more", {6, 7})}).ok());
  Restart();
  const StoredSample stored = *datasets().GetSample("datasets/a/samples/more");
  EXPECT_EQ(stored.sample.tensors[0].spec.shape, std::vector<int64_t>{2});
  EXPECT_EQ(stored.sample.tensors[0].data, Sequence("", {6, 7}).tensors[0].data);
  const Page<StoredSample> page = *datasets().ListSamples("datasets/a", {}, 1 << 20);
  ASSERT_EQ(page.items.size(), 3u);
  EXPECT_EQ(page.items[0].sample.tensors[0].spec.shape, std::vector<int64_t>{4});
  EXPECT_EQ(page.items[1].sample.tensors[0].data, Sequence("", {5}).tensors[0].data);
}

TEST_F(SequencesTest, AnEmptyOneIsRefusedByItsPathAndTheAppendWithIt) {
  EXPECT_EQ(FieldPath(Append({Sequence("x", {1}), Sequence("y", {})}).status()),
            "samples[1].tensors[0]");
  EXPECT_EQ(datasets().Get("datasets/a")->samples, 0);
}

TEST_F(SequencesTest, PagesEndWhereTheirTensorsWouldBeTooLarge) {
  std::vector<Sample> samples;
  for (size_t r = 0; r < 40; ++r)
    samples.push_back(
        Sequence("s" + std::to_string(r), std::vector<int32_t>(r == 7 ? 20'000 : 1000)));
  ASSERT_TRUE(Append(samples).ok());
  PageRequest request{30, ""};
  std::vector<std::string> ids;
  do {
    const Page<StoredSample> page = *datasets().ListSamples("datasets/a", request, 50'000);
    size_t bytes = 0;
    for (const StoredSample& stored : page.items) {
      bytes += stored.sample.tensors.at(0).data.size();
      ids.push_back(stored.sample.id);
    }
    EXPECT_TRUE(bytes <= 50'000 || page.items.size() == 1) << bytes;
    EXPECT_GE(page.items.size(), 1u);
    request.page_token = page.next_page_token;
  } while (!request.page_token.empty());
  ASSERT_EQ(ids.size(), 40u);
  for (size_t r = 0; r < 40; ++r) EXPECT_EQ(ids[r], "s" + std::to_string(r));
}

TEST_F(SequencesTest, ARepeatedAppendMayNotCutTheTokensElsewhere) {
  const RequestId request{"default", "append-1"};
  ASSERT_TRUE(Append({Sequence("x", {1, 2, 3}), Sequence("y", {4})}, request).ok());
  ASSERT_TRUE(Append({Sequence("x", {1, 2, 3}), Sequence("y", {4})}, request).ok());
  EXPECT_EQ(FieldPath(Append({Sequence("x", {1, 2}), Sequence("y", {3, 4})}, request).status()),
            "request_id");
}

TEST_F(DatasetsTest, HiddenDatasetsAreInNoListing) {
  MakeDataset("a", 1);
  const SampleBatch rows = SomeRows(2);
  const auto hidden =
      datasets().EnsureHidden("_inline", {rows.columns[0].spec, rows.columns[1].spec});
  ASSERT_TRUE(hidden.ok()) << hidden.status();
  EXPECT_EQ(*datasets().AppendHidden("_inline", rows, {"q0", "q1"}), 0u);
  EXPECT_EQ(*datasets().AppendHidden("_inline", SomeRows(1, 5), {"q2"}), 2u);
  EXPECT_EQ(datasets().List({})->items.size(), 1u);
  const auto key =
      storage::SampleDigestKey(hidden->number(), ToHex(storage::SampleDigest(rows, 1)));
  EXPECT_EQ(*store_->catalog().GetU32(key), 1u);
}

TEST_F(DatasetsTest, ADeletedDatasetLeavesItsNameFree) {
  MakeDataset("a", 3);
  EXPECT_TRUE(datasets().Delete("datasets/a").ok());
  EXPECT_TRUE(absl::IsNotFound(datasets().Get("datasets/a").status()));
  MakeDataset("a", 1);
  EXPECT_EQ(datasets().Get("datasets/a")->samples, 1);
}

}  // namespace
}  // namespace bif::jobs

// Well-formed calls that are cancelled or run out of time at any moment.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "google/protobuf/empty.pb.h"
#include "tests/integration/hostile_fixture.h"

namespace bif::server::testing {
namespace {

// How a call that is cut off at any moment may end: its own outcome, or the cut. Never INTERNAL,
// UNKNOWN, UNAVAILABLE or DATA_LOSS.
bool IsDocumented(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

class HostileCalls : public HostileClients {
 protected:
  void SetUp() override {
    posterior_ = MakePosterior(server_, 300);
    before_ = Answer(posterior_, 1000).rankings(0).SerializeAsString();
    scratch_ = MakeDataset(server_, "scratch", 100);
    ReadMethods();
    WriteMethods();
  }

  // A call with a deadline, and its end; `random` chooses what differs from call to call.
  using Attempt = std::function<void(int number, absl::Duration deadline, absl::Duration cancel)>;

  void AddRead(const std::string& method,
               std::function<std::unique_ptr<MessageLite>(int number)> request) {
    attempts_.push_back([=, this](int number, absl::Duration deadline, absl::Duration cancel) {
      auto stream = server_.Read(method, *request(number), deadline);
      std::thread canceller([&] {
        absl::SleepFor(cancel);
        stream->Cancel();
      });
      google::protobuf::Empty message;  // anything parses as unknown fields
      while (stream->Next(message)) {
      }
      const CallEnd end = stream->Finish();
      canceller.join();
      Judge(method, end);
    });
  }

  template <typename Request>
  void AddRead(const std::string& method, std::function<void(int number, Request&)> fill) {
    AddRead(method, [fill](int number) {
      auto request = std::make_unique<Request>();
      fill(number, *request);
      return request;
    });
  }

  void ReadMethods();
  void WriteMethods();

  void Judge(const std::string& method, const CallEnd& end) {
    EXPECT_TRUE(IsDocumented(end.code)) << method << ": " << end;
    ++ends_[end.code];
  }

  std::string posterior_;
  std::string before_;  // an answer before the attack
  std::string scratch_;
  std::vector<Attempt> attempts_;
  std::map<absl::StatusCode, int> ends_;
};

void HostileCalls::ReadMethods() {
  const auto questions = [this](int number, auto& request) {
    request.set_posterior(posterior_);
    *request.mutable_queries()->add_inline_() = RegressionSample(2000 + number, "");
  };
  AddRead<v1::AttributeRequest>("bif.v1.Attribution/Attribute", questions);
  AddRead<v1::ScoreMatrixRequest>("bif.v1.Attribution/ScoreMatrix", questions);
  AddRead<v1::SelfInfluenceRequest>("bif.v1.Attribution/SelfInfluence",
                                    [this](int, auto& r) { r.set_posterior(posterior_); });
  AddRead<v1::TokenInfluenceRequest>("bif.v1.Attribution/TokenInfluence", [this](int, auto& r) {
    r.set_posterior(posterior_);
    *r.mutable_query()->add_inline_() = RegressionSample(1, "");
    r.mutable_training()->set_dataset("datasets/train");
    r.mutable_training()->add_sample_ids("1");
  });
  AddRead<v1::GroupInfluenceRequest>("bif.v1.Attribution/GroupInfluence",
                                     [questions](int n, auto& r) {
                                       questions(n, r);
                                       r.mutable_group()->set_dataset("datasets/train");
                                       r.mutable_group()->add_sample_ids("1");
                                     });
  AddRead<v1::ExportTracesRequest>("bif.v1.Attribution/ExportTraces", [this](int, auto& r) {
    r.set_posterior(posterior_);
    r.mutable_samples()->set_dataset("datasets/train");
  });
  AddRead<v1::TraceSamplesRequest>("bif.v1.Attribution/TraceSamples", [this](int n, auto& r) {
    r.set_posterior(posterior_);
    r.set_dataset(scratch_);
    r.add_sample_ids(std::to_string(n % 100));
  });
  AddRead<v1::CreateDatasetRequest>("bif.v1.Datasets/CreateDataset", [](int n, auto& r) {
    r.set_dataset_id("made-" + std::to_string(n));
    *r.add_columns() = RegressionSample(0, "").tensors(0).spec();
  });
  AddRead<v1::ImportSamplesRequest>("bif.v1.Datasets/ImportSamples", [this](int, auto& r) {
    r.set_dataset(scratch_);
    auto* column = r.mutable_idx()->add_columns();
    column->set_column("target");
    column->set_path("/no/such/file");
  });
  AddRead<v1::GetSampleRequest>("bif.v1.Datasets/GetSample",
                                [this](int, auto& r) { r.set_name(scratch_ + "/samples/7"); });
  AddRead<v1::ListSamplesRequest>("bif.v1.Datasets/ListSamples", [this](int, auto& r) {
    r.set_dataset(scratch_);
    r.set_include_tensors(true);
  });
  AddRead<v1::DeleteSamplesRequest>("bif.v1.Datasets/DeleteSamples", [this](int n, auto& r) {
    r.set_dataset(scratch_);
    r.add_sample_ids(std::to_string(n % 100));
  });
  AddRead<v1::GetDatasetRequest>("bif.v1.Datasets/GetDataset",
                                 [this](int, auto& r) { r.set_name(scratch_); });
  AddRead<v1::ListDatasetsRequest>("bif.v1.Datasets/ListDatasets", [](int, auto&) {});
  AddRead<v1::DeleteDatasetRequest>("bif.v1.Datasets/DeleteDataset", [](int n, auto& r) {
    r.set_name("datasets/made-" + std::to_string(n - 1));
  });
}

void HostileCalls::WriteMethods() {
  MakeDataset(server_, "appended", 0);
  attempts_.push_back([this](int number, absl::Duration deadline, absl::Duration cancel) {
    v1::AppendSamplesResponse response;
    auto stream = server_.Write("bif.v1.Datasets/AppendSamples", response, deadline);
    v1::AppendSamplesRequest request;
    request.set_dataset("datasets/appended");
    std::thread canceller([&] {
      absl::SleepFor(cancel);
      stream->Cancel();
    });
    for (int i = 0; i < 10; ++i) {
      const std::string id = std::to_string(number) + "-" + std::to_string(i);
      *request.add_samples() = RegressionSample(i, id);
      if (!stream->Write(request)) break;
      request.Clear();
    }
    const CallEnd end = stream->Finish();
    canceller.join();
    Judge("AppendSamples", end);
  });
  attempts_.push_back([this](int, absl::Duration deadline, absl::Duration cancel) {
    v1::ImportSamplesResponse response;
    auto stream = server_.Write("bif.v1.Datasets/UploadSamples", response, deadline);
    v1::UploadSamplesRequest request;
    request.mutable_spec()->set_dataset(scratch_);
    auto* column = request.mutable_spec()->mutable_idx()->add_columns();
    column->set_column("target");
    column->set_path("target.idx");
    std::thread canceller([&] {
      absl::SleepFor(cancel);
      stream->Cancel();
    });
    bool open = stream->Write(request);
    request.set_file("target.idx");
    open = open && stream->Write(request);
    for (int i = 0; i < 20 && open; ++i) {
      request.set_chunk(std::string(10'000, 'x'));
      open = stream->Write(request);
    }
    const CallEnd end = stream->Finish();
    canceller.join();
    Judge("UploadSamples", end);
  });
}

TEST_F(HostileCalls, CutOffAtAnyMomentEveryMethodEndsAsDocumentedAndTheAnswersStayTheSame) {
  SeededBytes random(4);
  constexpr int kRounds = 15;
  for (int round = 0; round < kRounds; ++round) {
    for (const Attempt& attempt : attempts_) {
      // From before the call arrives until after its end; on even rounds the deadline cuts.
      const absl::Duration moment =
          absl::Microseconds(1 << random.Below(14)) + absl::Microseconds(random.Below(500));
      const bool by_deadline = round % 2 == 0;
      attempt(round, by_deadline ? moment : absl::Minutes(1),
              by_deadline ? absl::ZeroDuration() + 2 * moment : moment);
    }
  }
  ExpectUnharmed();
  for (const absl::StatusCode code :
       {absl::StatusCode::kOk, absl::StatusCode::kCancelled, absl::StatusCode::kDeadlineExceeded})
    EXPECT_GT(ends_[code], 0) << code << ": the moments were all too early, or all too late";
  EXPECT_EQ(SamplesOf("datasets/appended") % 10, 0) << "an append is visible whole or not at all";
  EXPECT_EQ(Answer(posterior_, 1000).rankings(0).SerializeAsString(), before_);
  ExpectUnharmed();
}

}  // namespace
}  // namespace bif::server::testing

#include "server/tenant_names.h"

#include <gtest/gtest.h>

#include "bif/v1/admin.pb.h"
#include "bif/v1/attribution.pb.h"
#include "bif/v1/checkpoints.pb.h"
#include "bif/v1/datasets.pb.h"
#include "bif/v1/operations.pb.h"
#include "bif/v1/posteriors.pb.h"
#include "google/longrunning/operations_proto.pb.h"
#include "server/method_rules.h"
#include "src/storage/store.h"
#include "tests/support/temp_dir.h"

namespace bif::server {
namespace {

class TenantNames : public ::testing::Test {
 protected:
  TenantNames() {
    auto store = storage::OpenStore({.root = scratch_ / "store", .min_free_disk_bytes = 1 << 20});
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    tenants_ = std::make_unique<jobs::Tenants>(store_->catalog(), Clock::System());
    EXPECT_TRUE(tenants_->Recover().ok());
    for (const char* id : {"vision", "text"}) EXPECT_TRUE(tenants_->Put({id, "", 1, {}, {}}).ok());
  }

  absl::StatusOr<std::string> Qualified(const std::string& tenant, const std::string& name,
                                        bool reads_shared = true) {
    v1::GetDatasetRequest request;
    request.set_name(name);
    Caller caller;
    caller.tenant = tenant;
    const absl::Status status = QualifyNames(caller, *tenants_, reads_shared, request);
    if (!status.ok()) return status;
    return request.name();
  }

  bif::testing::TempDir scratch_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<jobs::Tenants> tenants_;
};

TEST_F(TenantNames, AreTheCallersOwnUnlessTheySayWhose) {
  EXPECT_EQ(*Qualified("default", "datasets/a"), "datasets/a");
  EXPECT_EQ(*Qualified("vision", "datasets/a"), "datasets/vision~a");
  EXPECT_EQ(*Qualified("vision", "tenants/vision/datasets/a"), "datasets/vision~a");
  EXPECT_EQ(*Qualified("vision", "datasets/a/samples/x~y/z"), "datasets/vision~a/samples/x~y/z");
  EXPECT_EQ(*Qualified("vision", "operations/0000000007"), "operations/vision~0000000007");
  EXPECT_EQ(*Qualified("vision", "rubbish"), "rubbish");  // the handler's to refuse
  EXPECT_EQ(*Qualified("vision", ""), "");
}

TEST_F(TenantNames, OfOthersDoNotExistUnlessTheyAreShared) {
  for (const char* name :
       {"datasets/text~a", "tenants/text/datasets/a", "tenants/default/datasets/a",
        "tenants/nobody/datasets/a", "tenants/text~/datasets/a", "tenants/", "tenants/text/rubbish",
        "datasets/~a", "datasets/default~a"}) {
    const absl::Status status = Qualified("vision", name).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << name << ": " << status;
    EXPECT_EQ(status.message(), std::string(name) + " does not exist");
  }
  // The default tenant has no way to speak of others' either.
  EXPECT_TRUE(absl::IsNotFound(Qualified("default", "datasets/vision~a").status()));

  ASSERT_TRUE(tenants_->Grant("datasets/text~a", "vision").ok());
  EXPECT_EQ(*Qualified("vision", "tenants/text/datasets/a"), "datasets/text~a");
  EXPECT_EQ(*Qualified("vision", "tenants/text/datasets/a/samples/s"), "datasets/text~a/samples/s");
  EXPECT_TRUE(absl::IsNotFound(Qualified("default", "tenants/text/datasets/a").status()));
  EXPECT_TRUE(absl::IsNotFound(Qualified("vision", "tenants/text/datasets/ab").status()));
  EXPECT_TRUE(
      absl::IsPermissionDenied(Qualified("vision", "tenants/text/datasets/a", false).status()));
}

TEST_F(TenantNames, AreTurnedBackInAnswersAndInSentences) {
  EXPECT_EQ(UnqualifyName("vision", "datasets/vision~a/samples/x~y"), "datasets/a/samples/x~y");
  EXPECT_EQ(UnqualifyName("default", "datasets/a/samples/x~y"), "datasets/a/samples/x~y");
  EXPECT_EQ(UnqualifyName("text", "datasets/vision~a"), "tenants/vision/datasets/a");
  EXPECT_EQ(UnqualifyName("text", "datasets/a"), "tenants/default/datasets/a");
  EXPECT_EQ(UnqualifyText("vision", "datasets/vision~a does not exist; see datasets/text~b (1~2)"),
            "datasets/a does not exist; see tenants/text/datasets/b (1~2)");
}

TEST_F(TenantNames, WithinMessagesAreAllTurned) {
  google::longrunning::Operation operation;
  operation.set_name("operations/vision~1");
  v1::Posterior posterior;
  posterior.set_name("posteriors/vision~abc");
  posterior.set_dataset("datasets/text~train");
  posterior.set_display_name("datasets/vision~not-a-name");
  operation.mutable_response()->PackFrom(posterior);
  UnqualifyNames("vision", operation);
  EXPECT_EQ(operation.name(), "operations/1");
  ASSERT_TRUE(operation.response().UnpackTo(&posterior));
  EXPECT_EQ(posterior.name(), "posteriors/abc");
  EXPECT_EQ(posterior.dataset(), "tenants/text/datasets/train");
  EXPECT_EQ(posterior.display_name(), "datasets/vision~not-a-name");

  v1::AttributeRequest request;
  request.set_posterior("posteriors/abc");
  request.mutable_candidates()->set_dataset("datasets/a");
  request.mutable_candidates()->add_sample_ids("datasets/a");  // an id, not a name
  Caller caller;
  caller.tenant = "vision";
  ASSERT_TRUE(QualifyNames(caller, *tenants_, true, request).ok());
  EXPECT_EQ(request.posterior(), "posteriors/vision~abc");
  EXPECT_EQ(request.candidates().dataset(), "datasets/vision~a");
  EXPECT_EQ(request.candidates().sample_ids(0), "datasets/a");
}

// A field that is forgotten in the table would let a name through as it is.
TEST(NameFields, EveryFieldOfTheApiThatIsCalledAsANameIsInTheTable) {
  const google::protobuf::FileDescriptor* const files[] = {
      v1::Tenant::descriptor()->file(),     v1::AttributeRequest::descriptor()->file(),
      v1::Program::descriptor()->file(),    v1::Dataset::descriptor()->file(),
      v1::Posterior::descriptor()->file(),  v1::WatchOperationRequest::descriptor()->file(),
      v1::Provenance::descriptor()->file(),
  };
  int seen = 0;
  for (const auto* file : files) {
    for (int m = 0; m < file->message_type_count(); ++m) {
      const auto* message = file->message_type(m);
      for (int f = 0; f < message->field_count(); ++f) {
        const auto* field = message->field(f);
        const std::string& name = field->name();
        const bool is_resource = name == "posterior" || name == "dataset" || name == "checkpoint" ||
                                 name == "program" || name == "operation";
        const bool is_request =
            name == "name" && message->name().size() > 7 &&
            message->name().compare(message->name().size() - 7, 7, "Request") == 0;
        if (field->type() != google::protobuf::FieldDescriptor::TYPE_STRING ||
            (!is_resource && !is_request))
          continue;
        ++seen;
        EXPECT_TRUE(HoldsNames(*field)) << field->full_name();
      }
    }
  }
  EXPECT_GT(seen, 25);
}

TEST(MethodRules, EveryMethodOfTheApiHasOne) {
  const google::protobuf::FileDescriptor* const files[] = {
      v1::Tenant::descriptor()->file(),
      v1::AttributeRequest::descriptor()->file(),
      v1::Program::descriptor()->file(),
      v1::Dataset::descriptor()->file(),
      v1::Posterior::descriptor()->file(),
      v1::WatchOperationRequest::descriptor()->file(),
      google::longrunning::Operation::descriptor()->file(),
  };
  int seen = 0;
  for (const auto* file : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const std::string method =
            file->service(s)->full_name() + "/" + file->service(s)->method(m)->name();
        EXPECT_TRUE(RuleOf(method).has_value()) << method;
        ++seen;
      }
    }
  }
  EXPECT_GT(seen, 40);
  EXPECT_FALSE(RuleOf("bif.v1.Datasets/DropEverything").has_value());
}

}  // namespace
}  // namespace bif::server

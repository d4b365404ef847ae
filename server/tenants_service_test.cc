// Several tenants on one server: nobody sees, guesses or changes what is not theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bif/v1/admin.pb.h"
#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kRows = 12;

class TenantsService : public ::testing::Test {
 protected:
  TenantsService() : server_({.tokens_required = true}) {
    // What the operator's socket would do.
    jobs::Tenants& tenants = server_.jobs().tenants();
    for (const char* id : {"vision", "text"}) EXPECT_TRUE(tenants.Put({id, "", 1, {}, {}}).ok());
    for (const auto& [tenant, role] : {std::pair{"vision", jobs::Role::kSubmit},
                                       {"text", jobs::Role::kSubmit},
                                       {"default", jobs::Role::kAdmin}}) {
      secrets_[tenant] = tenants.CreateToken({tenant, role, "", {}})->secret;
    }
    reader_ = tenants.CreateToken({"vision", jobs::Role::kRead, "", {}})->secret;
  }

  void Be(const std::string& tenant) { Use(secrets_[tenant]); }
  void Use(const std::string& secret) {
    server_.SetMetadata("authorization", secret.empty() ? "" : "Bearer " + secret);
  }
  template <typename Response, typename Request>
  CallEnd Call(const std::string& method, const Request& request) {
    Response response;
    return server_.Call(method, request, response);
  }
  CallEnd GetDataset(const std::string& name) {
    v1::GetDatasetRequest request;
    request.set_name(name);
    return Call<v1::Dataset>("bif.v1.Datasets/GetDataset", request);
  }
  int Datasets() {
    v1::ListDatasetsResponse response;
    EXPECT_TRUE(
        server_.Call("bif.v1.Datasets/ListDatasets", v1::ListDatasetsRequest(), response).ok());
    return response.datasets_size();
  }
  CallEnd Share(const std::string& name, const std::string& with) {
    v1::ShareRequest request;
    request.set_name(name);
    request.set_tenant(with);
    return Call<google::protobuf::Empty>("bif.v1.Sharing/Share", request);
  }
  v1::AttributeResponse Ask(const std::string& posterior, CallEnd& end) {
    v1::AttributeRequest request;
    request.set_posterior(posterior);
    *request.mutable_queries()->add_inline_() = RegressionSample(100, "");
    request.set_top_k(3);
    auto stream = server_.Read("bif.v1.Attribution/Attribute", request);
    v1::AttributeResponse last;
    for (v1::AttributeResponse message; stream->Next(message);) last = message;
    end = stream->Finish();
    return last;
  }

  TestServer server_;
  std::map<std::string, std::string> secrets_;
  std::string reader_;
};

TEST_F(TenantsService, WithoutAValidTokenNothingIsAnswered) {
  Use("");
  CallEnd end = GetDataset("datasets/a");
  EXPECT_EQ(end.code, absl::StatusCode::kUnauthenticated) << end;
  EXPECT_EQ(end.reason, "TOKEN_MISSING");
  Use("bif_forged");
  end = GetDataset("datasets/a");
  EXPECT_EQ(end.code, absl::StatusCode::kUnauthenticated) << end;
  EXPECT_EQ(end.reason, "TOKEN_UNKNOWN");
  server_.SetMetadata("authorization", "Basic dXNlcjpwYXNz");
  EXPECT_EQ(GetDataset("datasets/a").code, absl::StatusCode::kUnauthenticated);
  CallEnd asked;
  Ask("posteriors/abcdefabcdef", asked);
  EXPECT_EQ(asked.code, absl::StatusCode::kUnauthenticated) << asked;
  v1::AppendSamplesResponse response;
  EXPECT_EQ(server_.Write("bif.v1.Datasets/AppendSamples", response)->Finish().code,
            absl::StatusCode::kUnauthenticated);
}

TEST_F(TenantsService, ARoleReachesAsFarAsItSays) {
  Be("vision");
  MakeDataset(server_, "a", 3);
  Use(reader_);
  EXPECT_TRUE(GetDataset("datasets/a").ok());
  v1::DeleteDatasetRequest request;
  request.set_name("datasets/a");
  CallEnd end = Call<google::protobuf::Empty>("bif.v1.Datasets/DeleteDataset", request);
  EXPECT_EQ(end.code, absl::StatusCode::kPermissionDenied) << end;
  EXPECT_THAT(end.message, HasSubstr("SUBMIT"));
  for (const char* tenant : {"vision", "text"}) {
    Be(tenant);
    end = Call<v1::ListTenantsResponse>("bif.v1.Admin/ListTenants", v1::ListTenantsRequest());
    EXPECT_EQ(end.code, absl::StatusCode::kPermissionDenied) << end;
  }
  Be("default");
  EXPECT_TRUE(
      Call<v1::ListTenantsResponse>("bif.v1.Admin/ListTenants", v1::ListTenantsRequest()).ok());
}

TEST_F(TenantsService, TheSameNameIsAnotherThingToAnotherTenant) {
  Be("vision");
  EXPECT_EQ(MakeDataset(server_, "a", 3), "datasets/a");
  Be("text");
  EXPECT_EQ(GetDataset("datasets/a").code, absl::StatusCode::kNotFound);
  EXPECT_EQ(Datasets(), 0);
  // Creating it neither fails nor tells that somebody has one.
  EXPECT_EQ(MakeDataset(server_, "a", 5), "datasets/a");
  EXPECT_EQ(Datasets(), 1);
  v1::Dataset theirs;
  v1::GetDatasetRequest request;
  request.set_name("datasets/a");
  ASSERT_TRUE(server_.Call("bif.v1.Datasets/GetDataset", request, theirs).ok());
  EXPECT_EQ(theirs.samples(), 5);
  Be("default");
  EXPECT_EQ(Datasets(), 0);
}

TEST_F(TenantsService, ForeignThingsDoNotExistHoweverTheyAreNamed) {
  Be("vision");
  MakeDataset(server_, "a", 3);
  Be("text");
  for (const char* name : {"datasets/a", "datasets/vision~a", "tenants/vision/datasets/a"}) {
    const CallEnd end = GetDataset(name);
    EXPECT_EQ(end.code, absl::StatusCode::kNotFound) << end;
    // A name that is not one is told as it would be written; nothing tells whether it exists.
    EXPECT_THAT(end.message, ::testing::EndsWith("datasets/a does not exist"));
  }
  v1::CreateDatasetRequest sly;
  sly.set_dataset_id("vision~a");
  *sly.add_columns() = RegressionSample(0, "").tensors(0).spec();
  const CallEnd end = Call<v1::Dataset>("bif.v1.Datasets/CreateDataset", sly);
  EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << end;
  EXPECT_EQ(end.field, "dataset_id");
}

TEST_F(TenantsService, APosteriorCanBeSharedAskedAndTakenBack) {
  Be("vision");
  const std::string posterior = MakePosterior(server_, kRows);
  CallEnd end;
  const v1::AttributeResponse own = Ask(posterior, end);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_EQ(own.provenance().posterior(), posterior);

  Be("text");
  const std::string shared = "tenants/vision/" + posterior;
  Ask(shared, end);
  EXPECT_EQ(end.code, absl::StatusCode::kNotFound) << end;
  Be("vision");
  ASSERT_TRUE(Share(posterior, "text").ok());
  Be("text");
  const v1::AttributeResponse answer = Ask(shared, end);
  ASSERT_TRUE(end.ok()) << end;
  EXPECT_EQ(answer.provenance().posterior(), shared);
  EXPECT_EQ(answer.rows_evaluated(), 1u);  // vision's own question tells text nothing
  EXPECT_EQ(answer.rankings(0).SerializeAsString(), own.rankings(0).SerializeAsString());
  v1::ListSharesResponse shares;
  ASSERT_TRUE(server_.Call("bif.v1.Sharing/ListShares", v1::ListSharesRequest(), shares).ok());
  ASSERT_EQ(shares.shares_size(), 1);
  EXPECT_EQ(shares.shares(0).name(), shared);

  v1::DeletePosteriorRequest remove;
  remove.set_name(shared);
  end = Call<google::protobuf::Empty>("bif.v1.Posteriors/DeletePosterior", remove);
  EXPECT_EQ(end.code, absl::StatusCode::kPermissionDenied) << end;
  // What it was sampled on is not shared with it.
  v1::GetPosteriorRequest get;
  get.set_name(shared);
  v1::Posterior seen;
  ASSERT_TRUE(server_.Call("bif.v1.Posteriors/GetPosterior", get, seen).ok());
  EXPECT_EQ(seen.dataset(), "tenants/vision/datasets/train");
  EXPECT_EQ(GetDataset(seen.dataset()).code, absl::StatusCode::kNotFound);

  Be("vision");
  v1::UnshareRequest back;
  back.set_name(posterior);
  back.set_tenant("text");
  ASSERT_TRUE(Call<google::protobuf::Empty>("bif.v1.Sharing/Unshare", back).ok());
  Be("text");
  Ask(shared, end);
  EXPECT_EQ(end.code, absl::StatusCode::kNotFound) << end;
}

TEST_F(TenantsService, OperationsAndPageTokensAreTheirOwners) {
  Be("vision");
  for (const char* id : {"a", "b", "c"}) MakeDataset(server_, id, 1);
  const std::string operation = StartPosterior(server_, PosteriorRequest(server_, kRows));
  WaitFor(server_, operation);
  v1::ListDatasetsRequest list;
  list.set_page_size(2);
  v1::ListDatasetsResponse page;
  ASSERT_TRUE(server_.Call("bif.v1.Datasets/ListDatasets", list, page).ok());
  ASSERT_FALSE(page.next_page_token().empty());
  list.set_page_token(page.next_page_token());
  ASSERT_TRUE(server_.Call("bif.v1.Datasets/ListDatasets", list, page).ok());

  Be("text");
  const CallEnd end = server_.Call("bif.v1.Datasets/ListDatasets", list, page);
  EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << end;
  EXPECT_EQ(end.field, "page_token");
  google::longrunning::GetOperationRequest get;
  get.set_name(operation);
  EXPECT_EQ(
      Call<google::longrunning::Operation>("google.longrunning.Operations/GetOperation", get).code,
      absl::StatusCode::kNotFound);
  google::longrunning::CancelOperationRequest cancel;
  cancel.set_name(operation);
  EXPECT_EQ(
      Call<google::protobuf::Empty>("google.longrunning.Operations/CancelOperation", cancel).code,
      absl::StatusCode::kNotFound);
}

TEST_F(TenantsService, ARefusalSaysWhenToAskAgain) {
  Be("default");
  v1::PutTenantRequest put;
  put.mutable_tenant()->set_id("text");
  put.mutable_tenant()->mutable_limits()->set_requests_per_second(1);
  ASSERT_TRUE(Call<v1::Tenant>("bif.v1.Admin/PutTenant", put).ok());
  Be("text");
  CallEnd end;
  for (int i = 0; i < 20 && end.code != absl::StatusCode::kResourceExhausted; ++i)
    end = GetDataset("datasets/a");
  EXPECT_EQ(end.code, absl::StatusCode::kResourceExhausted) << end;
  EXPECT_EQ(end.reason, "REQUEST_RATE");
  EXPECT_TRUE(end.retry);
  Be("vision");
  EXPECT_EQ(GetDataset("datasets/a").code, absl::StatusCode::kNotFound);
}

TEST_F(TenantsService, TokensAreMadeListedAndRevokedOverTheApi) {
  Be("default");
  v1::CreateTokenRequest create;
  create.set_tenant("vision");
  create.set_role(v1::READ);
  create.set_description("a dashboard");
  v1::CreateTokenResponse made;
  ASSERT_TRUE(server_.Call("bif.v1.Admin/CreateToken", create, made).ok());
  Use(made.secret());
  EXPECT_EQ(GetDataset("datasets/a").code, absl::StatusCode::kNotFound);
  Be("default");
  v1::ListTokensRequest list;
  list.set_tenant("vision");
  v1::ListTokensResponse tokens;
  ASSERT_TRUE(server_.Call("bif.v1.Admin/ListTokens", list, tokens).ok());
  EXPECT_THAT(tokens.DebugString(), HasSubstr("a dashboard"));
  EXPECT_THAT(tokens.DebugString(), ::testing::Not(HasSubstr(made.secret())));
  v1::RevokeTokenRequest revoke;
  revoke.set_id(made.token().id());
  ASSERT_TRUE(Call<google::protobuf::Empty>("bif.v1.Admin/RevokeToken", revoke).ok());
  Use(made.secret());
  EXPECT_EQ(GetDataset("datasets/a").code, absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace bif::server::testing

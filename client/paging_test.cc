#include "client/paging.h"

#include <set>
#include <vector>

#include "bif/v1/checkpoints.pb.h"
#include "client/request_id.h"
#include "gtest/gtest.h"

namespace bif::client {
namespace {

using Request = v1::ListProgramsRequest;
using Response = v1::ListProgramsResponse;

// Three pages, of two programs each; the tokens are "", "1", "2".
absl::StatusOr<Response> ThreePages(const Request& request) {
  const int page = request.page_token().empty() ? 0 : std::stoi(request.page_token());
  Response response;
  for (int i = 0; i < 2; ++i) {
    response.add_programs()->set_name("programs/" + std::to_string(2 * page + i));
  }
  if (page < 2) response.set_next_page_token(std::to_string(page + 1));
  return response;
}

int64_t Count(const Response& response) { return response.programs_size(); }

TEST(Paging, AllPagesAreReadInOrder) {
  const auto all = CollectPages<Response, Request>({}, ThreePages, Count);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->programs_size(), 6);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(all->programs(i).name(), "programs/" + std::to_string(i));
  EXPECT_TRUE(all->next_page_token().empty());
}

TEST(Paging, ALimitStopsAfterThePageThatReachesIt) {
  const auto some = CollectPages<Response, Request>({}, ThreePages, Count, 3);
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(some->programs_size(), 4);
  EXPECT_EQ(some->next_page_token(), "2");
}

TEST(Paging, AnErrorEndsTheWalk) {
  const auto fetch = [](const Request& request) -> absl::StatusOr<Response> {
    if (request.page_token() == "1") return absl::UnavailableError("gone");
    return ThreePages(request);
  };
  int pages = 0;
  const absl::Status status = ForEachPage<Response, Request>({}, fetch, [&](Response) {
    ++pages;
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(pages, 1);
}

TEST(Paging, AServerThatRepeatsAPageDoesNotTrapTheClient) {
  const auto fetch = [](const Request&) -> absl::StatusOr<Response> {
    Response response;
    response.set_next_page_token("again");
    return response;
  };
  EXPECT_EQ((CollectPages<Response, Request>({}, fetch, Count).status().code()),
            absl::StatusCode::kInternal);
}

TEST(RequestId, IsARandomUuidOfVersion4) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewRequestId();
    ASSERT_EQ(id.size(), 36u);
    for (const int dash : {8, 13, 18, 23}) EXPECT_EQ(id[dash], '-') << id;
    EXPECT_EQ(id[14], '4') << id;
    EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos) << id;
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
}

TEST(RequestId, AChosenOneIsKept) {
  v1::ProgramSpec spec;
  spec.set_request_id("mine");
  FillRequestId(spec);
  EXPECT_EQ(spec.request_id(), "mine");
}

}  // namespace
}  // namespace bif::client
